//! The prober, against corelane's own server and against servers that are faulty on purpose.
#![cfg(all(
    feature = "probe-rustls",
    feature = "probe-native-tls",
    any(feature = "aws-lc-rs", feature = "ring")
))]

mod common;

use common::{Backend, TestServer, client::never};
use corelane::{
    Driver,
    probe::{ProbeOptions, Trust, probe_blocking},
    service_fn,
};

for_each_tls_backend!(every_row_is_as_specified);

fn every_row_is_as_specified(backend: Backend) {
    let server = TestServer::start(backend.acceptor(), Driver::Epoll, |_| service_fn(never));
    let mut options = ProbeOptions::default();
    options.trust = Trust::Any;
    let report = probe_blocking(server.addr, "localhost", &options).expect("a report");
    println!("{report}");
}
