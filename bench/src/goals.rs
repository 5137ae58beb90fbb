//! What corelane wants to reach, and whether it did.

use serde::Serialize;

use crate::{
    results::{GroupResult, ShapeResult},
    servers::{Backend, Server},
    statistics::{Spread, Verdict},
    terms::Group,
};

struct Goal {
    group: Group,
    shape: &'static str,
    against: Against,
    limit: f64,
}

#[derive(Clone, Copy)]
enum Against {
    BestPeer,
    Peer(Server),
    /// The same server with one worker.
    OneWorker,
    /// Nothing: the figure itself has a limit.
    Itself,
}

const HYPER_RUSTLS: Against = Against::Peer(Server::Hyper(Backend::Rustls));
const HYPER_NATIVE: Against = Against::Peer(Server::Hyper(Backend::NativeTls));

#[rustfmt::skip]
const GOALS: [Goal; 24] = [
    goal(Group::Tls13, "tiny-x32", HYPER_RUSTLS, 0.70),
    goal(Group::Tls13, "tiny-x32", Against::Peer(Server::Nghttpd), 0.85),
    goal(Group::Tls13, "tiny-x32", Against::Peer(Server::Nginx), 0.25),
    goal(Group::Tls13, "tiny-x1-64", Against::BestPeer, 0.90),
    goal(Group::Tls13, "tiny-x1-500", Against::BestPeer, 0.90),
    goal(Group::Tls13, "16k", Against::BestPeer, 0.85),
    goal(Group::Tls13, "1m", Against::BestPeer, 0.85),
    goal(Group::Tls13, "upload-1m", Against::BestPeer, 0.90),
    goal(Group::Tls13, "handshake-p256", Against::BestPeer, 0.95),
    goal(Group::Tls13, "handshake-rsa2048", Against::BestPeer, 0.95),
    goal(Group::Tls13, "resumed", Against::BestPeer, 0.90),
    goal(Group::Tls13, "idle", Against::Itself, 16.0),
    goal(Group::Tls13, "workers-2", Against::OneWorker, 1.05),
    goal(Group::Tls12, "tiny-x32", HYPER_NATIVE, 0.65),
    goal(Group::Tls12, "tiny-x1-64", HYPER_NATIVE, 0.90),
    goal(Group::Tls12, "tiny-x1-500", HYPER_NATIVE, 0.90),
    goal(Group::Tls12, "16k", HYPER_NATIVE, 0.60),
    goal(Group::Tls12, "1m", HYPER_NATIVE, 0.85),
    goal(Group::Tls12, "upload-1m", HYPER_NATIVE, 0.80),
    goal(Group::Tls12, "handshake-p256", HYPER_NATIVE, 0.95),
    goal(Group::Tls12, "handshake-rsa2048", HYPER_NATIVE, 0.95),
    goal(Group::Tls12, "resumed", HYPER_NATIVE, 0.95),
    goal(Group::Tls12, "idle", Against::Itself, 28.0),
    goal(Group::Tls12, "workers-2", Against::OneWorker, 1.05),
];

const fn goal(group: Group, shape: &'static str, against: Against, limit: f64) -> Goal {
    Goal {
        group,
        shape,
        against,
        limit,
    }
}

/// A goal beside what was measured.
#[derive(Debug, Serialize)]
pub struct Judged {
    pub group: Group,
    pub shape: &'static str,
    /// Whose figure corelane's is divided by; none where the figure itself has the limit.
    pub against: Option<String>,
    pub limit: f64,
    pub measured: Spread,
    pub verdict: Verdict,
}

/// Those goals that this run can tell of.
pub fn judge(shapes: &[ShapeResult]) -> Vec<Judged> {
    let judged = GOALS.iter().filter_map(|goal| {
        let shape = shapes.iter().find(|shape| shape.name == goal.shape)?;
        let (against, measured) = goal.measured(shape.group(goal.group)?)?;
        Some(Judged {
            group: goal.group,
            shape: goal.shape,
            against,
            limit: goal.limit,
            measured,
            verdict: measured.against(goal.limit),
        })
    });
    judged.collect()
}

impl Goal {
    fn measured(&self, group: &GroupResult) -> Option<(Option<String>, Spread)> {
        let one = group.subject(1)?;
        let (of, to) = match self.against {
            Against::Itself => return Some((None, one.figure()?)),
            Against::BestPeer => (one, group.named(group.best_peer.as_deref()?)?),
            Against::Peer(server) => (one, group.server(server, 1)?),
            Against::OneWorker => (group.subject(2)?, one),
        };
        Some((Some(to.name.clone()), of.ratio_to(to)?))
    }
}
