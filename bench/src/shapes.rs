//! The shapes: the kinds of load that are measured.

use crate::{
    fixtures::Resource,
    terms::{Http, KeyType},
};

#[derive(Debug)]
pub struct Shape {
    pub name: &'static str,
    pub what: &'static str,
    pub load: Load,
    pub key_type: KeyType,
    pub service: Service,
    pub http: Http,
}

/// What the servers do with a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Service {
    /// Answer it themselves: corelane, hyper and axum from memory, the other servers from files that
    /// they keep open.
    Own,
    /// Answer it from a file. corelane is the command, with `--root`.
    Files,
    /// Forward it to the same upstream. corelane is the command, with `--upstream`.
    Proxy,
}

#[derive(Clone, Copy, Debug)]
pub enum Load {
    /// h2load: server CPU per request.
    Requests(Requests),
    /// The same with one worker and with two.
    Workers(Requests),
    /// h2load: server CPU per connection, with one request each. The connections come in batches.
    Arrivals(Requests),
    /// Own client: server CPU per connection, with one request each.
    Handshakes { count: u32, resumed: bool },
    /// Own client: server CPU per connection, with one request each. All are opened at once.
    Storm { connections: u32 },
    /// Own client: the server's memory per connection.
    Idle { connections: u32 },
    /// Own client: the latency of requests at a steady rate, half of the highest rate of the group's
    /// slowest server. h2load measures that rate with the same requests.
    Latency(Requests),
}

/// The requests of one round.
#[derive(Clone, Copy, Debug)]
pub struct Requests {
    pub resource: Resource,
    pub requests: u32,
    pub connections: u32,
    pub streams: u32,
    /// How many connections h2load opens at a time; `None` for all.
    pub batch: Option<u32>,
}

impl Requests {
    /// The load with fewer requests.
    pub fn divided(self, divisor: u32) -> Self {
        let requests = self.requests / divisor;
        match self.batch {
            // One request on each connection.
            Some(_) => Self {
                requests,
                connections: requests,
                ..self
            },
            None => Self {
                requests: requests.max(self.connections),
                ..self
            },
        }
    }
}

const fn requests(resource: Resource, requests: u32, connections: u32, streams: u32) -> Requests {
    Requests {
        resource,
        requests,
        connections,
        streams,
        batch: None,
    }
}

const fn shape(name: &'static str, what: &'static str, load: Load) -> Shape {
    Shape {
        name,
        what,
        load,
        key_type: KeyType::P256,
        service: Service::Own,
        http: Http::Http2,
    }
}

const fn http1(name: &'static str, what: &'static str, load: Load) -> Shape {
    Shape {
        http: Http::Http1,
        ..shape(name, what, load)
    }
}

/// The servers under attack answer small requests.
pub static TINY: Shape = shape(
    "tiny",
    "13 bytes, one connection",
    Load::Requests(requests(Resource::Tiny, 1, 1, 1)),
);

pub static SHAPES: [Shape; 23] = [
    shape(
        "tiny-x32",
        "13 bytes, 10 connections, 32 streams each",
        Load::Requests(requests(Resource::Tiny, 100_000, 10, 32)),
    ),
    shape(
        "tiny-x1-64",
        "13 bytes, 64 connections, one stream at a time",
        Load::Requests(requests(Resource::Tiny, 40_000, 64, 1)),
    ),
    shape(
        "tiny-x1-500",
        "13 bytes, 500 connections, one stream at a time",
        Load::Requests(requests(Resource::Tiny, 30_000, 500, 1)),
    ),
    shape(
        "16k",
        "16 KiB, 10 connections, 8 streams each",
        Load::Requests(requests(Resource::K16, 15_000, 10, 8)),
    ),
    shape(
        "1m",
        "1 MiB, 10 connections, 4 streams each",
        Load::Requests(requests(Resource::M1, 800, 10, 4)),
    ),
    shape(
        "upload-1m",
        "POST of 1 MiB, 10 connections, 4 streams each",
        Load::Requests(requests(Resource::Upload, 800, 10, 4)),
    ),
    shape(
        "streams-100x64k",
        "64 KiB, one connection, 100 streams",
        Load::Requests(requests(Resource::K64, 5_000, 1, 100)),
    ),
    shape(
        "handshake-p256",
        "full handshakes, P-256 certificate, one request each",
        Load::Handshakes {
            count: 1_000,
            resumed: false,
        },
    ),
    Shape {
        key_type: KeyType::Rsa2048,
        ..shape(
            "handshake-rsa2048",
            "full handshakes, RSA-2048 certificate, one request each",
            Load::Handshakes {
                count: 600,
                resumed: false,
            },
        )
    },
    shape(
        "resumed",
        "resumed handshakes, P-256 certificate, one request each",
        Load::Handshakes {
            count: 1_000,
            resumed: true,
        },
    ),
    shape(
        "handshake-h2load",
        "full handshakes by h2load, which leaves with the response; P-256 certificate, one request each",
        Load::Arrivals(Requests {
            batch: Some(16),
            ..requests(Resource::Tiny, 1_000, 1_000, 1)
        }),
    ),
    shape(
        "storm",
        "400 connections at once, full handshakes, P-256 certificate, one request each",
        Load::Storm { connections: 400 },
    ),
    shape(
        "idle",
        "memory of 1,000 connections that made one request each and stay open",
        Load::Idle { connections: 1_000 },
    ),
    shape(
        "workers-2",
        "tiny-x32 with one worker and with two",
        Load::Workers(requests(Resource::Tiny, 100_000, 10, 32)),
    ),
    shape(
        "latency",
        "13 bytes, 64 connections, at half of the highest rate of the slowest server of the group",
        Load::Latency(requests(Resource::Tiny, 20_000, 64, 1)),
    ),
    Shape {
        service: Service::Files,
        ..shape(
            "static-16k",
            "a file of 16 KiB, 10 connections, 8 streams each; corelane is the command",
            Load::Requests(requests(Resource::K16, 15_000, 10, 8)),
        )
    },
    Shape {
        service: Service::Proxy,
        ..shape(
            "proxy-tiny",
            "13 bytes from an upstream, 10 connections, 32 streams each; corelane is the command",
            Load::Requests(requests(Resource::Tiny, 60_000, 10, 32)),
        )
    },
    Shape {
        service: Service::Proxy,
        ..shape(
            "proxy-1m",
            "1 MiB from an upstream, 10 connections, 4 streams each; corelane is the command",
            Load::Requests(requests(Resource::M1, 400, 10, 4)),
        )
    },
    http1(
        "http1-tiny-x1",
        "13 bytes over HTTP/1.1, 64 connections",
        Load::Requests(requests(Resource::Tiny, 40_000, 64, 1)),
    ),
    http1(
        "http1-16k",
        "16 KiB over HTTP/1.1, 64 connections",
        Load::Requests(requests(Resource::K16, 15_000, 64, 1)),
    ),
    http1(
        "http1-1m",
        "1 MiB over HTTP/1.1, 16 connections",
        Load::Requests(requests(Resource::M1, 800, 16, 1)),
    ),
    http1(
        "http1-upload-1m",
        "POST of 1 MiB over HTTP/1.1, 16 connections",
        Load::Requests(requests(Resource::Upload, 800, 16, 1)),
    ),
    http1(
        "http1-idle",
        "memory of 1,000 connections of HTTP/1.1 that made one request each and stay open",
        Load::Idle { connections: 1_000 },
    ),
];

impl Shape {
    pub fn unit(&self) -> &'static str {
        match self.load {
            Load::Requests(_) | Load::Workers(_) => "µs of server CPU per request",
            Load::Arrivals(_) | Load::Handshakes { .. } | Load::Storm { .. } => {
                "µs of server CPU per connection"
            }
            Load::Idle { .. } => "KiB of server memory per connection",
            Load::Latency(_) => "µs until the response, 99th percentile",
        }
    }

    /// The second figure, beside the first.
    pub fn aside(&self) -> Option<&'static str> {
        match self.load {
            Load::Requests(_) | Load::Workers(_) => Some("requests/s"),
            Load::Handshakes { .. } => Some("connections/s"),
            Load::Storm { .. } => Some("ms until the last response"),
            // h2load opens the batches at a fixed rate.
            Load::Arrivals(_) | Load::Idle { .. } => None,
            Load::Latency(_) => Some("µs, median"),
        }
    }

    /// Whether `--quick` includes the shape. A fifth of the requests of tiny-x1-500 would mostly measure
    /// the handshakes of its 500 connections.
    pub fn is_quick(&self) -> bool {
        self.name != "tiny-x1-500"
    }

    pub fn resource(&self) -> Resource {
        match self.load {
            Load::Requests(it) | Load::Workers(it) | Load::Arrivals(it) | Load::Latency(it) => {
                it.resource
            }
            Load::Handshakes { .. } | Load::Storm { .. } | Load::Idle { .. } => Resource::Tiny,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn divided_load_has_a_request_for_each_connection() {
        let load = requests(Resource::Tiny, 1_000, 64, 1);
        let divided = |load: Requests, by| {
            let it = load.divided(by);
            (it.requests, it.connections)
        };
        assert_eq!(divided(load, 5), (200, 64));
        assert_eq!(divided(load, 100), (64, 64));
        let batches = Requests {
            batch: Some(16),
            ..requests(Resource::Tiny, 1_000, 1_000, 1)
        };
        assert_eq!(divided(batches, 5), (200, 200));
    }
}
