//! Tests the documented maximum memory of a connection, `docs/limits.md`.
//!
//! The test counts what Rust allocates on the server's thread. OpenSSL's own buffers, two records per
//! connection, are not included.

mod attacks;
mod bound;
#[path = "../worker_memory/counting.rs"]
mod counting;
mod target;

use std::{convert::Infallible, time::Duration};

use bytes::Bytes;
use corelane::{Body, Driver, service_fn};
use corelane_test_support::{
    Backend, Drivers, Pattern, TestServer, backend_tests,
    client::{Tls, rustls_config, server_name},
    deadline, for_each_tls_backend,
    frames::{PREFACE, settings},
    raw_tls::{APPLICATION_DATA, HANDSHAKE, RawTls},
};
use http::{HeaderName, HeaderValue, Request, Response};
use http_body_util::{BodyExt, combinators::UnsyncBoxBody};

use self::{
    attacks::{Attack, attacks},
    bound::Bound,
    counting::{alone, begin, count_this_thread, most},
    target::Target,
};

for_each_tls_backend!(
    request_memory_stays_within_documented_bound,
    renegotiation_memory_stays_within_documented_bound,
);
backend_tests!(on_none, NONE, request_memory_stays_within_documented_bound);

const CONNECTIONS: usize = 10;

/// Waits until the amount of memory does not change, and returns it.
fn settled() -> isize {
    deadline(counting::settled(Duration::from_millis(200)))
}

type AnyBody = UnsyncBoxBody<Bytes, corelane::Error>;

/// `/r` answers with an endless body, `/t` with many fields. Other paths keep the request and its body, and never
/// read it.
async fn answer(request: Request<Body>) -> Result<Response<AnyBody>, Infallible> {
    let mut response = Response::new(AnyBody::default());
    match request.uri().path() {
        "/r" => *response.body_mut() = Pattern::of(u64::MAX).boxed_unsync(),
        "/t" => {
            let fields =
                (0..100).map(|i| HeaderName::try_from(format!("y{i:03}")).expect("a name"));
            let fields = fields.map(|name| (name, HeaderValue::from_static("")));
            response.headers_mut().extend(fields);
        }
        _ => {
            let () = std::future::pending().await;
            drop(request);
        }
    }
    Ok(response)
}

fn start(backend: Backend, driver: Driver) -> TestServer {
    TestServer::start(backend.acceptor(), driver, |_| {
        count_this_thread();
        service_fn(answer)
    })
}

/// The bytes that `attack` makes each connection hold: in the end, and the most.
fn held(backend: Backend, driver: Driver, attack: &Attack) -> [usize; 2] {
    let server = start(backend, driver);
    // Allocates the memory that a thread keeps for all of its connections.
    let mut first = Target::connect(backend, &server);
    (attack.run)(&mut first);
    settled();
    drop(first);
    server.wait_for("closed", |c| c.connections_closed == 1);
    settled();
    let before = begin();
    let mut open = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut target = Target::connect(backend, &server);
        (attack.run)(&mut target);
        open.push(target);
    }
    let held = settled();
    let counters = server.counters()[0];
    assert_eq!(
        counters.connections_closed, 1,
        "{}: they are all open: {counters:?}",
        attack.what
    );
    [held, most()].map(|bytes| usize::try_from(bytes - before).unwrap_or(0) / CONNECTIONS)
}

fn request_memory_stays_within_documented_bound(backend: Backend) {
    let _alone = alone();
    for attack in attacks(&Bound::of(backend)) {
        for &driver in Drivers::all() {
            let [held, peak] = held(backend, driver, &attack);
            let Attack {
                what, least, most, ..
            } = attack;
            eprintln!(
                "{} {driver:?}: {what}: {held} bytes, {peak} at once, at most {most}",
                backend.name
            );
            assert!(peak <= most, "{what}: {peak} bytes");
            assert!(held >= least, "{what} does not work: {held} bytes");
        }
    }
}

/// CVE-2011-1473 with unread refusals: the answers queue up, within a bound.
fn renegotiation_memory_stays_within_documented_bound(backend: Backend) {
    let config = rustls_config(Tls::V1_2, &[b"h2"]);
    let mut client = rustls::ClientConnection::new(config, server_name()).expect("a client");
    let mut hello = Vec::new();
    client.write_tls(&mut hello).expect("memory");
    let hello = &hello[5..];
    let _alone = alone();
    for &driver in Drivers::all() {
        let server = start(backend, driver);
        let mut raw = RawTls::connect(server.addr, Tls::V1_2);
        raw.send(APPLICATION_DATA, &[PREFACE, &settings(&[])].concat())
            .expect("sent");
        raw.tcp
            .set_write_timeout(Some(Duration::from_secs(1)))
            .expect("a time-out");
        settled();
        let before = begin();
        let mut sent = 0;
        // Until the server closes, or stops reading because its answers are not read.
        for _ in 0..400_000 {
            if raw.send(HANDSHAKE, hello).is_err() {
                break;
            }
            sent += hello.len();
        }
        let held = usize::try_from(most() - before).unwrap_or(0);
        eprintln!(
            "{}: {sent} bytes of renegotiation: {held} held",
            backend.name
        );
        assert!(held <= Bound::of(backend).tls, "{held} bytes");
    }
}
