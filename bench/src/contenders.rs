//! Which servers are measured in which shape, and which are left out.

use crate::{
    fixtures::Resource,
    options::Http2Engine,
    server::{Backend, Server},
    shapes::{Load, Service, Shape},
    terms::{Group, Http, KeyExchange, Terms},
};

/// The values of `--peer`.
pub const PEERS: [&str; 12] = [
    "command",
    "hyper",
    "axum-server",
    "xitca-http",
    "actix-web",
    "ntex",
    "nginx",
    "h2o",
    "nghttpd",
    "haproxy",
    "caddy",
    "floor",
];

/// A server in a group, with a number of workers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Contender {
    pub server: Server,
    pub group: Group,
    pub workers: usize,
}

impl Contender {
    pub fn name(&self) -> String {
        match self.workers {
            1 => self.server.name().into(),
            workers => format!("{}, {workers} workers", self.server.name()),
        }
    }

    pub fn terms(&self, shape: &Shape) -> Terms {
        Terms {
            group: self.group,
            key_type: shape.key_type,
            http: shape.http,
            key_exchange: match self.server {
                Server::Nghttpd => KeyExchange::P256,
                _ => KeyExchange::X25519,
            },
        }
    }

    /// The reason why this shape leaves the server out.
    fn reason_to_leave_out(&self, shape: &Shape) -> Option<&'static str> {
        let resumed = matches!(shape.load, Load::Handshakes { resumed: true, .. });
        match self.server {
            Server::Nginx if shape.resource() == Resource::Upload => Some(
                "nginx itself has no way to read a request's body without writing it somewhere",
            ),
            Server::Command { .. } if shape.resource() == Resource::Upload => {
                Some("its demonstration does more with an upload than count its bytes")
            }
            Server::Haproxy
                if shape.service == Service::Own
                    && !matches!(shape.resource(), Resource::Tiny | Resource::K16) =>
            {
                Some("it serves no files, and returns small bodies only")
            }
            Server::Xitca(_) | Server::XitcaUring if shape.resource() == Resource::M1 => {
                Some("some of the downloads end in an error")
            }
            Server::Xitca(_) | Server::XitcaUring if shape.resource() == Resource::Upload => {
                Some("uploads that share a connection come to a halt")
            }
            Server::Ntex(_) if matches!(shape.resource(), Resource::K64 | Resource::M1) => {
                Some("downloads that share a connection end in an error")
            }
            Server::H2o if resumed && self.group == Group::Tls13 => Some(
                "it issues no new ticket to a client that resumes, and the client uses each ticket only once",
            ),
            _ => None,
        }
    }
}

/// Which servers take part in a run.
#[derive(Debug)]
pub struct Selection {
    /// Leaves out the servers that only complete their group.
    pub quick: bool,
    /// The peers beside corelane's library; empty for all.
    pub peers: Vec<String>,
    /// The backends of the servers that have a choice; empty for all.
    pub backends: Vec<Backend>,
}

/// The servers that are measured in a shape, and those that are not, with the reason.
pub fn of(
    shape: &Shape,
    selection: &Selection,
) -> (Vec<Contender>, Vec<(Contender, &'static str)>) {
    let all = match shape.service {
        Service::Own if shape.http == Http::Http1 => http1(),
        Service::Own => {
            let mut all = all(selection.quick);
            if !selection.quick || selection.peers.iter().any(|it| it == "floor") {
                all.extend(FLOORS);
            }
            all
        }
        Service::Files => gateways(&[Server::Nginx, Server::H2o, Server::Caddy]),
        Service::Proxy => gateways(&[Server::Nginx, Server::H2o, Server::Haproxy, Server::Caddy]),
    };
    let one = all.into_iter().filter(|(server, _)| {
        let corelane = server.family() == "corelane";
        let family = corelane
            || selection.peers.is_empty()
            || selection.peers.iter().any(|it| it == server.family());
        let wanted =
            |backend| selection.backends.is_empty() || selection.backends.contains(&backend);
        family && server.backend().is_none_or(wanted)
    });
    let contenders: Vec<_> = one
        .flat_map(|(server, group)| {
            let workers: &[usize] = match shape.load {
                Load::Workers(_) if !matches!(server, Server::Corelane(_) | Server::Hyper(_)) => {
                    &[]
                }
                Load::Workers(_) => &[1, 2],
                // The log has a line for each request.
                Load::Arrivals(_)
                | Load::Handshakes { .. }
                | Load::Storm { .. }
                | Load::Idle { .. }
                | Load::Latency(_)
                    if server == (Server::Command { access_log: true }) =>
                {
                    &[]
                }
                _ => &[1],
            };
            workers.iter().map(move |&workers| Contender {
                server,
                group,
                workers,
            })
        })
        .collect();
    let left_out = contenders
        .iter()
        .filter_map(|it| Some((*it, it.reason_to_leave_out(shape)?)))
        .collect();
    let measured = contenders
        .into_iter()
        .filter(|it| it.reason_to_leave_out(shape).is_none())
        .collect();
    (measured, left_out)
}

/// Whether corelane's command takes part in one of the shapes.
pub fn have_command(shapes: &[&Shape], selection: &Selection) -> bool {
    shapes.iter().any(|shape| {
        let (measured, _) = of(shape, selection);
        let command = |it: &Contender| matches!(it.server, Server::Command { .. });
        shape.service != Service::Own || measured.iter().any(command)
    })
}

/// corelane's command and these peers.
fn gateways(peers: &[Server]) -> Vec<(Server, Group)> {
    let corelane = Server::Corelane(Backend::Rustls);
    let servers = std::iter::once(corelane).chain(peers.iter().copied());
    servers.map(|server| (server, Group::Tls13)).collect()
}

const FLOORS: [(Server, Group); 2] = [
    (Server::Floor(Http2Engine::H2), Group::Tls13),
    (Server::Floor(Http2Engine::Corelane), Group::Tls13),
];

fn http1() -> Vec<(Server, Group)> {
    let servers = [
        Server::Corelane(Backend::Rustls),
        Server::Command { access_log: false },
        Server::Hyper(Backend::Rustls),
        Server::Corelane(Backend::Openssl),
        Server::Hyper(Backend::Openssl),
        Server::Nginx,
        Server::H2o,
        Server::Haproxy,
    ];
    servers.map(|server| (server, Group::Tls13)).into()
}

fn all(quick: bool) -> Vec<(Server, Group)> {
    let mut all = vec![
        (Server::Corelane(Backend::Rustls), Group::Tls13),
        (Server::CorelaneHttp2(Backend::Rustls), Group::Tls13),
        (Server::Command { access_log: false }, Group::Tls13),
        (Server::Hyper(Backend::Rustls), Group::Tls13),
        (Server::Corelane(Backend::Openssl), Group::Tls13),
        (Server::CorelaneHttp2(Backend::Openssl), Group::Tls13),
        (Server::Hyper(Backend::Openssl), Group::Tls13),
        (Server::Axum, Group::Tls13),
        (Server::Xitca(Backend::Rustls), Group::Tls13),
        (Server::Actix(Backend::Rustls), Group::Tls13),
        (Server::Ntex(Backend::Rustls), Group::Tls13),
        (Server::Nginx, Group::Tls13),
        (Server::H2o, Group::Tls13),
        (Server::Nghttpd, Group::Tls13),
        (Server::Corelane(Backend::NativeTls), Group::Tls12),
        (Server::CorelaneHttp2(Backend::NativeTls), Group::Tls12),
        (Server::Hyper(Backend::NativeTls), Group::Tls12),
        (Server::Corelane(Backend::Openssl), Group::Tls12),
    ];
    if !quick {
        // nghttpd has no option that limits it to TLS 1.2.
        all.extend([
            (Server::Command { access_log: true }, Group::Tls13),
            (Server::Xitca(Backend::Openssl), Group::Tls13),
            (Server::XitcaUring, Group::Tls13),
            (Server::Actix(Backend::Openssl), Group::Tls13),
            (Server::Ntex(Backend::Openssl), Group::Tls13),
            (Server::Corelane(Backend::Rustls), Group::Tls12),
            (Server::Hyper(Backend::Rustls), Group::Tls12),
            (Server::Hyper(Backend::Openssl), Group::Tls12),
            (Server::Nginx, Group::Tls12),
            (Server::H2o, Group::Tls12),
        ]);
    }
    all
}
