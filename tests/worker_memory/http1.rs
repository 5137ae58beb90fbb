//! A connection of HTTP/1.1 holds little while it is idle, and never more than `docs/limits.md` says.

use std::time::Duration;

use bytes::Bytes;
use corelane::{
    Body, Builder, Driver, Http2Config, Limits, ProtocolName, service_fn,
    tls::{MAX_SEALED, TlsConfig},
};
use corelane_test_support::{
    Backend, Drivers, Http1Client, Pattern, TestServer, certs::identity, deadline, for_each_backend,
};
use http::{Request, Response};
use http_body_util::{BodyExt, combinators::UnsyncBoxBody};

use crate::{
    SESSION,
    counting::{alone, count_this_thread, settled},
};

for_each_backend!(memory_stays_within_documented_bound);

const CONNECTIONS: isize = 3;

const SHORT: Duration = Duration::from_millis(100);

/// Until an idle connection has dropped hyper's state.
const LONG: Duration = Duration::from_millis(1_200);

/// What an idle connection holds, bytes, without its TLS session.
const IDLE: usize = 4608;

/// The terms of `docs/limits.md` for HTTP/1.1: base, TLS, head, body, response.
pub fn bound(backend: Backend, piece: usize) -> usize {
    let tls = if backend.tls {
        6 * MAX_SEALED + 96 * 1024
    } else {
        0
    };
    // 7 by the document, for any size of a list. The default is not one of the worst.
    let head = Http2Config::default().max_header_list_size as usize * 6;
    64 * 1024 + tls + head + 2 * 64 * 1024 + 64 * 1024 + piece
}

/// `/held` is never answered and its body not read. The others are answered when their body was read: `/large`
/// endlessly, `/page` by 1,000 bytes.
async fn answer(
    request: Request<Body>,
) -> Result<Response<UnsyncBoxBody<Bytes, corelane::Error>>, corelane::Error> {
    let path = request.uri().path().to_owned();
    if path == "/held" {
        let () = std::future::pending().await;
    }
    let mut body = request.into_body();
    while let Some(frame) = body.frame().await {
        frame?;
    }
    Ok(Response::new(match &*path {
        "/large" => Pattern::of(u64::MAX).boxed_unsync(),
        "/page" => Pattern::of(1_000).boxed_unsync(),
        _ => UnsyncBoxBody::default(),
    }))
}

pub fn start(backend: Backend, driver: Driver, limits: Limits) -> TestServer {
    let names = || [ProtocolName::HTTP_1_1];
    let config = TlsConfig::new(identity()).alpn_protocols(names());
    let acceptor = (backend.make)(&config).expect("an acceptor");
    let options = |builder: Builder| builder.protocols(names()).limits(limits);
    TestServer::with(acceptor, driver, options, |_| {
        count_this_thread();
        service_fn(answer)
    })
}

/// The bytes that each connection holds after these bytes from its client, which are sent without
/// regard to answers.
fn held(backend: Backend, driver: Driver, bytes: &[u8], time: Duration) -> usize {
    let server = start(backend, driver, Limits::default());
    deadline(async {
        // The first connection allocates what the thread keeps for all of them.
        let mut open = Vec::new();
        let mut before = 0;
        for n in 0..=CONNECTIONS {
            let mut client = Http1Client::connect(backend, &server).await;
            // The client may find its socket full.
            let sent = tokio::time::timeout(Duration::from_millis(50), client.send(bytes));
            let _ = sent.await;
            open.push(client);
            if n == 0 {
                before = settled(time).await;
            }
        }
        let held = (settled(time).await - before) / CONNECTIONS;
        assert_eq!(server.counters()[0].connections_closed, 0, "all are open");
        if time == LONG {
            // The connection has dropped hyper's state, and makes it anew.
            for client in &mut open[1..] {
                assert_eq!(
                    client.response(false).await.expect("a response").status,
                    200
                );
                assert_eq!(client.ask(bytes).await.status, 200);
            }
        }
        held.unsigned_abs()
    })
}

fn memory_stays_within_documented_bound(backend: Backend) {
    let _alone = alone();
    let head = |path: &str| format!("POST {path} HTTP/1.1\r\nhost: localhost\r\n");
    // Shorter fields cost more memory beyond their length.
    let fields: String = (0..95).map(|i| format!("{i}:\r\n")).collect();
    let upload = |fields: &str| {
        let body = "x".repeat(3_000_000);
        head("/held") + fields + "content-length: 3000000\r\n\r\n" + &body
    };
    let pipelined = (head("/") + &fields + "\r\n").repeat(20);
    let idle = IDLE + if backend.tls { SESSION } else { 0 };
    for (i, &driver) in Drivers::all().iter().enumerate() {
        let rows = [
            ("idle", head("/") + "\r\n", LONG, idle),
            ("without a request", String::new(), SHORT, idle),
            ("half a head", head("/") + &fields, SHORT, bound(backend, 0)),
            ("unread body", upload(&fields), SHORT, bound(backend, 0)),
            (
                "pipelined behind a held request",
                head("/held") + "\r\n" + &pipelined.repeat(100),
                SHORT,
                bound(backend, 0),
            ),
            (
                "unread response",
                head("/large") + "\r\n" + &pipelined,
                SHORT,
                bound(backend, 64 * 1024),
            ),
        ];
        // Drivers differ in what the socket of an idle connection holds.
        let rows = rows.into_iter().take(if i == 0 { usize::MAX } else { 1 });
        for (what, bytes, time, most) in rows {
            let held = held(backend, driver, bytes.as_bytes(), time);
            eprintln!(
                "{} {driver:?}: {what}: {held} bytes, at most {most}",
                backend.name
            );
            assert!(held <= most, "{what}: {held} bytes");
        }
    }
}
