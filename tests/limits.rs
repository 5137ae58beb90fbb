//! Tests the limits of a worker and of the size of a request. `server.rs` and `http2.rs` test pure
//! time limits.

use std::{
    convert::Infallible,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use corelane::{Affinity, Body, Builder, Driver, Http2Config, Limits, Server, service_fn};
use corelane_test_support::{
    Backend, Drivers, H2Client, TestServer,
    client::{self, DEADLINE, connect, get, never, post, send},
    deadline, for_each_backend,
};
use futures_util::FutureExt;
use http::{Request, Response, StatusCode, header::CONTENT_LENGTH};
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

for_each_backend!(
    connection_above_limit_is_closed,
    oldest_handshake_is_displaced,
    silent_peer_is_pinged_then_closed,
    idle_connection_is_not_pinged,
    oversized_body_gets_413,
    full_accept_queue_is_drained,
);

fn with(backend: Backend, driver: Driver, options: impl FnOnce(Builder) -> Builder) -> TestServer {
    TestServer::with(backend.acceptor(), driver, options, |_| service_fn(never))
}

async fn ask(backend: Backend, server: &TestServer) {
    let client = H2Client::connect(backend, server.addr).await;
    client
        .run(|requests| async move {
            let answer = send(&requests, get("/"), None).await;
            assert!(answer.expect("served").body.is_empty());
        })
        .await;
}

/// `Builder::max_connections`.
fn connection_above_limit_is_closed(backend: Backend) {
    for &driver in Drivers::all() {
        let server = with(backend, driver, |builder| builder.max_connections(3));
        deadline(async {
            let mut open = Vec::new();
            for _ in 0..3 {
                open.push(H2Client::connect(backend, server.addr).await);
            }
            for refused in 1..=5 {
                let mut tcp = TcpStream::connect(server.addr).expect("the kernel's doing");
                tcp.set_read_timeout(Some(DEADLINE)).expect("a time-out");
                assert_eq!(tcp.read(&mut [0; 9]).expect("an end"), 0);
                server.wait_for("counted", |c| c.connections_refused == refused);
            }
            let last = open.pop().expect("open");
            last.run(|requests| async move {
                send(&requests, get("/"), None).await.expect("served");
            })
            .await;
            server.wait_for("closed", |c| c.connections_closed == 1);
            ask(backend, &server).await;
        });
        let counters = server.counters()[0];
        assert_eq!(
            (counters.connections_accepted, counters.connections_refused),
            (4, 5)
        );
    }
}

/// `Builder::max_handshakes`: Slowloris on the handshake does not keep out legitimate clients.
fn oldest_handshake_is_displaced(backend: Backend) {
    const SILENT: u64 = 50;
    const PLACES: u64 = 10;
    let opening: &[u8] = match backend.tls {
        true => &[22, 3, 1, 2, 0],
        false => b"PRI * HTTP",
    };
    for &driver in Drivers::all() {
        let server = with(backend, driver, |builder| builder.max_handshakes(10));
        let mut silent = Vec::new();
        for n in 1..=SILENT {
            let mut tcp = TcpStream::connect(server.addr).expect("connects");
            tcp.set_read_timeout(Some(DEADLINE)).expect("a time-out");
            tcp.write_all(opening).expect("sent");
            server.wait_for("accepted", |c| c.connections_accepted == n);
            silent.push(tcp);
        }
        server.wait_for("displaced", |c| c.handshakes_displaced == SILENT - PLACES);
        // The first request displaces one more connection; the second one uses the place that the
        // first one returned.
        deadline(ask(backend, &server));
        deadline(ask(backend, &server));
        let displaced = SILENT - PLACES + 1;
        for tcp in &mut silent[..displaced as usize] {
            // Without TLS the server may have sent SETTINGS.
            tcp.read_to_end(&mut Vec::new()).expect("closed");
        }
        server.wait_for("closed", |c| c.connections_closed == displaced + 2);
        let counters = server.counters()[0];
        assert_eq!(counters.handshakes_displaced, displaced, "{counters:?}");
        assert_eq!(counters.handshakes_timed_out, 0);
    }
}

const PING: u8 = 6;
/// The payload of the pings that h2 sends on request.
const ASKED: [u8; 8] = [0x3b, 0x7c, 0xdb, 0x7a, 0x0b, 0x87, 0x16, 0xb4];

/// The next frame's type, flags and payload, or `None` after the end of the connection.
async fn frame(stream: &mut Box<dyn client::Stream>) -> Option<(u8, u8, Vec<u8>)> {
    let mut header = [0; 9];
    stream.read_exact(&mut header).await.ok()?;
    let length = usize::from(u16::from_be_bytes([header[1], header[2]]));
    let mut payload = vec![0; length];
    stream.read_exact(&mut payload).await.ok()?;
    Some((header[3], header[4], payload))
}

async fn waits(_: Request<Body>) -> Result<Response<String>, Infallible> {
    std::future::pending().await
}

fn asking(builder: Builder) -> Builder {
    let limits = Limits::default()
        .keep_alive_interval(Duration::from_millis(50))
        .keep_alive_timeout(Duration::from_millis(500))
        .idle(Duration::from_millis(500));
    builder.limits(limits)
}

/// Opens a connection with hand-made frames: the preface, SETTINGS, and optionally GET /.
async fn open(backend: Backend, server: &TestServer, request: bool) -> Box<dyn client::Stream> {
    let mut stream = connect(backend, server.addr).await;
    let mut opening = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
    if request {
        opening.extend([0, 0, 6, 1, 5, 0, 0, 0, 1, 0x82, 0x87, 0x84, 0x41, 1, b'l']);
    }
    stream.write_all(&opening).await.expect("sent");
    stream.flush().await.expect("sent");
    stream
}

/// `Limits::keep_alive_interval` and `keep_alive_timeout` (RFC 9113 section 6.7).
fn silent_peer_is_pinged_then_closed(backend: Backend) {
    for &driver in Drivers::all() {
        let server = TestServer::with(backend.acceptor(), driver, asking, |_| service_fn(waits));
        // Answers keep the connection open for longer than the limit of one answer.
        let answering = Duration::from_secs(1);
        let unanswered = deadline(async {
            let mut stream = open(backend, &server, true).await;
            let (begun, mut unanswered) = (Instant::now(), 0);
            while let Some((kind, flags, payload)) = frame(&mut stream).await {
                if (kind, flags) != (PING, 0) {
                    continue;
                }
                assert_eq!(payload, ASKED);
                if begun.elapsed() > answering {
                    unanswered += 1;
                    continue;
                }
                let answer = [&[0, 0, 8, PING, 1, 0, 0, 0, 0], &payload[..]].concat();
                stream.write_all(&answer).await.expect("sent");
                stream.flush().await.expect("sent");
            }
            unanswered
        });
        assert_eq!(unanswered, 1, "asked once more, and closed");
        server.wait_for("closed", |c| c.connections_closed == 1);
        assert_eq!(server.counters()[0].keep_alive_timeouts, 1);
    }
}

/// `Limits::idle` covers such a connection.
fn idle_connection_is_not_pinged(backend: Backend) {
    for &driver in Drivers::all() {
        let server = TestServer::with(backend.acceptor(), driver, asking, |_| service_fn(waits));
        deadline(async {
            let mut stream = open(backend, &server, false).await;
            let mut told_to_go = false;
            while let Some((kind, _, payload)) = frame(&mut stream).await {
                told_to_go |= kind == 7;
                assert_ne!((kind, &payload[..]), (PING, &ASKED[..]));
                if told_to_go {
                    break;
                }
            }
            assert!(told_to_go, "GOAWAY");
        });
        assert_eq!(server.counters()[0].keep_alive_timeouts, 0);
    }
}

/// `Http2Config::max_request_body_size` (RFC 9110 section 15.5.14).
fn oversized_body_gets_413(backend: Backend) {
    let http2 = Http2Config::default().max_request_body_size(1_000);
    for &driver in Drivers::all() {
        let called = Arc::new(AtomicUsize::new(0));
        let handler = Arc::clone(&called);
        let options = |builder: Builder| builder.http2(http2.clone());
        let server = TestServer::with(backend.acceptor(), driver, options, move |_| {
            let called = Arc::clone(&handler);
            service_fn(move |request: Request<Body>| {
                called.fetch_add(1, Ordering::SeqCst);
                read_or_echo(request)
            })
        });
        deadline(async {
            let client = H2Client::connect(backend, server.addr).await;
            client
                .run(|requests| async move {
                    let declared = |length: usize| {
                        let mut request = post("/read", vec![b'x'; length]);
                        request.headers_mut().insert(CONTENT_LENGTH, length.into());
                        request
                    };
                    for (request, status) in [
                        (declared(1_000), StatusCode::OK),
                        (post("/read", vec![b'x'; 1_000]), StatusCode::OK),
                        (declared(1_001), StatusCode::PAYLOAD_TOO_LARGE),
                        (
                            post("/read", vec![b'x'; 1_001]),
                            StatusCode::PAYLOAD_TOO_LARGE,
                        ),
                        (
                            post("/read", vec![b'x'; 100_000]),
                            StatusCode::PAYLOAD_TOO_LARGE,
                        ),
                        (post("/echo", vec![b'x'; 1_000]), StatusCode::OK),
                    ] {
                        let length = request.body().len();
                        let answer = send(&requests, request, None).await;
                        let answer = answer.unwrap_or_else(|error| panic!("{length}: {error}"));
                        assert_eq!(answer.head.status, status, "{length} bytes");
                    }
                    // The response has started before the server detects the size.
                    let error = send(&requests, post("/echo", vec![b'x'; 1_001]), None).await;
                    let error = error.expect_err("reset");
                    assert_eq!(error.reason(), Some(h2::Reason::INTERNAL_ERROR));
                    let answer = send(&requests, get("/read"), None).await;
                    assert_eq!(answer.expect("it lives").head.status, StatusCode::OK);
                })
                .await;
        });
        assert_eq!(
            called.load(Ordering::SeqCst),
            7,
            "not for what was declared"
        );
        assert_eq!(server.counters()[0].request_bodies_too_large, 3);
    }
}

type AnyBody = UnsyncBoxBody<Bytes, corelane::Error>;

async fn read_or_echo(request: Request<Body>) -> Result<Response<AnyBody>, Infallible> {
    if request.uri().path() == "/echo" {
        return Ok(Response::new(request.into_body().boxed_unsync()));
    }
    let read = request.into_body().collect().await;
    if let Err(error) = &read {
        assert!(error.is_body_too_large(), "{error:?}");
    }
    let none = Full::new(Bytes::new()).map_err(|never| match never {});
    Ok(Response::new(none.boxed_unsync()))
}

/// If a connection does not fit into the accept queue, the kernel drops it and the client
/// retransmits (RFC 9293 section 3.10.7.2). The server drains the queue. If the kernel uses SYN
/// cookies (RFC 4987), it may reset clients that sent more than one segment; those connect again.
fn full_accept_queue_is_drained(backend: Backend) {
    const CLIENTS: usize = 16;
    for &driver in Drivers::all() {
        let server = Server::builder(backend.acceptor())
            .listen("127.0.0.1:0")
            .workers(1)
            .affinity(Affinity::None)
            .driver(driver)
            .backlog(4)
            .bind()
            .expect("loopback");
        let addr = server.local_addrs()[0];
        deadline(async {
            let until_served = || async { while ask_once(backend, addr).await.is_err() {} };
            let clients = futures_util::future::join_all((0..CLIENTS).map(|_| until_served()));
            let mut clients = std::pin::pin!(clients);
            // All clients have started, and the queue is full, before the server accepts.
            assert!(clients.as_mut().now_or_never().is_none());
            let handle = server.serve(|_| service_fn(never)).expect("workers");
            clients.await;
            let counters = handle.workers()[0].counters;
            assert_eq!(counters.requests, CLIENTS as u64);
            handle.shutdown(Duration::ZERO);
            handle.wait().expect("no worker panicked");
        });
    }
}

async fn ask_once(backend: Backend, addr: SocketAddr) -> Result<(), h2::Error> {
    let stream = connect(backend, addr).await;
    let (requests, connection) = h2::client::handshake(stream).await?;
    let client = H2Client::new(requests, connection);
    let answer = client.run(|requests| async move { send(&requests, get("/"), None).await });
    answer.await.map(drop)
}
