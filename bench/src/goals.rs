//! corelane's goals, and whether a run meets them.

use serde::Serialize;

use crate::{
    results::{GroupResult, ShapeResult},
    server::{Backend, Server},
    statistics::{Spread, Verdict},
    terms::Group,
};

struct Goal {
    group: Group,
    shape: &'static str,
    /// The backend of corelane.
    of: Backend,
    against: Against,
    limit: f64,
}

#[derive(Clone, Copy)]
enum Against {
    BestPeer,
    Peer(Server),
    /// The same server with one worker.
    OneWorker,
    /// No server: the limit is on the figure itself.
    Itself,
}

const HYPER_RUSTLS: Against = Against::Peer(Server::Hyper(Backend::Rustls));
const NGINX: Against = Against::Peer(Server::Nginx);
const HYPER_NATIVE: Against = Against::Peer(Server::Hyper(Backend::NativeTls));
const HYPER_OPENSSL: Against = Against::Peer(Server::Hyper(Backend::Openssl));
/// The two backends on OpenSSL, under the version that both have.
const OURS_NATIVE: Against = Against::Peer(Server::Corelane(Backend::NativeTls));

#[rustfmt::skip]
const GOALS: [Goal; 51] = [
    goal(RUSTLS_13, "tiny-x32", HYPER_RUSTLS, 0.70),
    goal(RUSTLS_13, "tiny-x32", Against::Peer(Server::Nghttpd), 0.85),
    goal(RUSTLS_13, "tiny-x32", Against::Peer(Server::Nginx), 0.25),
    goal(RUSTLS_13, "tiny-x1-64", Against::BestPeer, 0.90),
    goal(RUSTLS_13, "tiny-x1-500", Against::BestPeer, 0.90),
    goal(RUSTLS_13, "16k", Against::BestPeer, 0.85),
    goal(RUSTLS_13, "1m", Against::BestPeer, 0.85),
    goal(RUSTLS_13, "upload-1m", Against::BestPeer, 0.90),
    goal(RUSTLS_13, "handshake-p256", Against::BestPeer, 0.95),
    goal(RUSTLS_13, "handshake-rsa2048", Against::BestPeer, 0.95),
    goal(RUSTLS_13, "resumed", Against::BestPeer, 0.90),
    goal(RUSTLS_13, "idle", Against::Itself, 16.0),
    goal(RUSTLS_13, "workers-2", Against::OneWorker, 1.05),
    goal(RUSTLS_13, "static-16k", NGINX, 0.70),
    goal(RUSTLS_13, "proxy-tiny", NGINX, 0.80),
    goal(RUSTLS_13, "proxy-1m", NGINX, 1.00),
    goal(RUSTLS_13, "http1-tiny-x1", HYPER_RUSTLS, 0.90),
    goal(RUSTLS_13, "http1-tiny-x1", NGINX, 0.85),
    goal(RUSTLS_13, "http1-16k", HYPER_RUSTLS, 1.00),
    goal(RUSTLS_13, "http1-1m", HYPER_RUSTLS, 1.00),
    goal(RUSTLS_13, "http1-upload-1m", HYPER_RUSTLS, 1.00),
    goal(RUSTLS_13, "http1-idle", Against::Itself, 12.0),
    goal(NATIVE_12, "tiny-x32", HYPER_NATIVE, 0.65),
    goal(NATIVE_12, "tiny-x1-64", HYPER_NATIVE, 0.90),
    goal(NATIVE_12, "tiny-x1-500", HYPER_NATIVE, 0.90),
    goal(NATIVE_12, "16k", HYPER_NATIVE, 0.60),
    goal(NATIVE_12, "1m", HYPER_NATIVE, 0.85),
    goal(NATIVE_12, "upload-1m", HYPER_NATIVE, 0.80),
    goal(NATIVE_12, "handshake-p256", HYPER_NATIVE, 0.95),
    goal(NATIVE_12, "handshake-rsa2048", HYPER_NATIVE, 0.95),
    goal(NATIVE_12, "resumed", HYPER_NATIVE, 0.95),
    goal(NATIVE_12, "idle", Against::Itself, 28.0),
    goal(NATIVE_12, "workers-2", Against::OneWorker, 1.05),
    goal(OPENSSL_13, "tiny-x32", HYPER_OPENSSL, 0.85),
    goal(OPENSSL_13, "tiny-x1-64", HYPER_OPENSSL, 0.85),
    goal(OPENSSL_13, "16k", HYPER_OPENSSL, 0.85),
    goal(OPENSSL_13, "1m", HYPER_OPENSSL, 0.85),
    goal(OPENSSL_13, "upload-1m", HYPER_OPENSSL, 0.85),
    goal(OPENSSL_13, "handshake-p256", HYPER_OPENSSL, 1.0),
    goal(OPENSSL_13, "handshake-rsa2048", HYPER_OPENSSL, 1.0),
    goal(OPENSSL_13, "resumed", HYPER_OPENSSL, 0.85),
    goal(OPENSSL_13, "idle", Against::Itself, 30.0),
    goal(OPENSSL_12, "tiny-x32", OURS_NATIVE, 1.0),
    goal(OPENSSL_12, "tiny-x1-64", OURS_NATIVE, 1.0),
    goal(OPENSSL_12, "16k", OURS_NATIVE, 1.0),
    goal(OPENSSL_12, "1m", OURS_NATIVE, 1.0),
    goal(OPENSSL_12, "upload-1m", OURS_NATIVE, 1.0),
    goal(OPENSSL_12, "handshake-p256", OURS_NATIVE, 1.0),
    goal(OPENSSL_12, "handshake-rsa2048", OURS_NATIVE, 1.0),
    goal(OPENSSL_12, "resumed", OURS_NATIVE, 1.0),
    goal(OPENSSL_12, "idle", Against::Itself, 30.0),
];

type Of = (Group, Backend);
const RUSTLS_13: Of = (Group::Tls13, Backend::Rustls);
const OPENSSL_13: Of = (Group::Tls13, Backend::Openssl);
const NATIVE_12: Of = (Group::Tls12, Backend::NativeTls);
const OPENSSL_12: Of = (Group::Tls12, Backend::Openssl);

const fn goal((group, of): Of, shape: &'static str, against: Against, limit: f64) -> Goal {
    Goal {
        group,
        shape,
        of,
        against,
        limit,
    }
}

/// A goal and the measured figure.
#[derive(Debug, Serialize)]
pub struct Judged {
    pub group: Group,
    pub shape: &'static str,
    pub of: &'static str,
    /// The server by whose figure corelane's is divided. None if the limit is on the figure itself.
    pub against: Option<String>,
    pub limit: f64,
    pub measured: Spread,
    pub verdict: Verdict,
}

/// Judges the goals whose shapes and servers this run has measured.
pub fn judge(shapes: &[ShapeResult]) -> Vec<Judged> {
    let judged = GOALS.iter().filter_map(|goal| {
        let shape = shapes.iter().find(|shape| shape.name == goal.shape)?;
        let (against, measured) = goal.measured(shape.group(goal.group)?)?;
        Some(Judged {
            group: goal.group,
            shape: goal.shape,
            of: Server::Corelane(goal.of).name(),
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
        let with = |workers| group.server(Server::Corelane(self.of), workers);
        let one = with(1)?;
        let (of, to) = match self.against {
            Against::Itself => return Some((None, one.figure()?)),
            Against::BestPeer => (one, group.named(group.best_peer.as_deref()?)?),
            Against::Peer(server) => (one, group.server(server, 1)?),
            Against::OneWorker => (with(2)?, one),
        };
        Some((Some(to.name.clone()), of.ratio_to(to)?))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::{
        contenders::Contender, results::ContenderResult, sample::Sample, shapes::SHAPES,
        terms::Group,
    };

    fn measured(server: Server, figures: &[f64], error: Option<&str>) -> ContenderResult {
        let contender = Contender {
            server,
            group: Group::Tls13,
            workers: 1,
        };
        let samples = figures.iter().map(|&figure| Sample {
            figure,
            aside: None,
        });
        ContenderResult {
            name: contender.name(),
            contender,
            negotiated: None,
            samples: samples.collect(),
            error: error.map(str::to_owned),
        }
    }

    fn tiny_x32(servers: Vec<ContenderResult>) -> ShapeResult {
        ShapeResult::new(&SHAPES[0], servers, Vec::new(), HashMap::new())
    }

    #[test]
    fn goal_verdict_depends_on_the_quartiles() {
        let shape = tiny_x32(vec![
            measured(Server::Corelane(Backend::Rustls), &[1.0, 2.0, 1.5], None),
            measured(Server::Hyper(Backend::Rustls), &[2.0, 4.0, 3.0], None),
            measured(Server::Nghttpd, &[2.0, 2.0, 1.5], None),
            measured(Server::Nginx, &[3.0, 3.0, 3.0], None),
        ]);
        let judged = judge(&[shape]);
        let verdicts: Vec<_> = judged
            .iter()
            .map(|it| (it.measured.median, it.verdict))
            .collect();
        assert_eq!(
            verdicts,
            [
                (0.5, Verdict::Met),       // by hyper, at most 0.70
                (1.0, Verdict::Undecided), // by nghttpd, at most 0.85: 0.5, 1.0, 1.0
                (0.5, Verdict::Missed),    // by nginx, at most 0.25
            ]
        );
    }

    #[test]
    fn server_with_an_error_is_not_the_best_peer() {
        let shape = tiny_x32(vec![
            measured(Server::Corelane(Backend::Rustls), &[1.0], None),
            measured(Server::Hyper(Backend::Rustls), &[2.0], None),
            measured(Server::Nghttpd, &[0.1], Some("answered 404")),
        ]);
        let group = shape.group(Group::Tls13).expect("it has servers");
        assert_eq!(group.best_peer.as_deref(), Some("hyper + tokio-rustls"));
        assert_eq!(judge(&[shape]).len(), 1);
    }
}
