//! Tests how the server ends connections: the client receives what was queued, GOAWAY where HTTP/2
//! has begun, and close_notify before FIN (RFC 8446 section 6.1). No reset destroys them.

use std::{
    convert::Infallible,
    time::{Duration, Instant},
};

use corelane::{AlpnMissing, Body, Builder, Driver, Http2Engine, Limits, service_fn};
use corelane_test_support::{
    Backend, Drivers, Pattern, TestServer,
    client::{DEADLINE, Tls, never},
    deadline, for_each_backend,
    frames::*,
    hpack,
    peer::{Frame, Peer},
    server::http2_engine,
};
use futures_util::future::join_all;
use http::{Request, Response};

for_each_backend!(
    invalid_prefaces_are_refused,
    late_prefaces_time_out,
    client_that_leaves_within_its_preface,
    protocol_error,
    keep_alive_timeout,
    idle_connection,
    shutdown,
    shutdown_deadline,
    deaf_clients_do_not_hold_up_shutdown,
    shutdown_counts_from_end_of_last_stream,
    slow_client_receives_whole_response_at_shutdown,
);

mod over_tls {
    use super::{client_without_alpn_gets_505, unfinished_protocol_of_client_without_alpn};

    corelane_test_support::for_each_tls_backend!(
        client_without_alpn_gets_505,
        unfinished_protocol_of_client_without_alpn,
    );
}

const NO_ERROR: Option<u32> = Some(0);
const PROTOCOL_ERROR: Option<u32> = Some(1);

const SHORT: Duration = Duration::from_millis(100);

/// Longer than any test.
const NEVER: Duration = Duration::from_secs(24 * 60 * 60);

/// `/wait` is never answered, `/later` after a time that an idle connection does not get.
async fn answer(request: Request<Body>) -> Result<Response<String>, Infallible> {
    match request.uri().path() {
        "/wait" => std::future::pending().await,
        "/later" => monoio::time::sleep(Duration::from_millis(1_500)).await,
        _ => {}
    }
    Ok(Response::new(String::new()))
}

fn limits(change: impl FnOnce(Limits) -> Limits) -> impl FnOnce(Builder) -> Builder {
    |builder| builder.limits(change(Limits::default()))
}

/// Runs a test with a new server on each driver and with each version of TLS.
fn each(
    backend: Backend,
    options: impl Fn(Limits) -> Limits,
    test: impl AsyncFn(&TestServer, Tls),
) {
    for &driver in Drivers::all() {
        for &tls in Tls::of(backend) {
            let options = limits(&options);
            let server =
                TestServer::with(backend.acceptor(), driver, options, |_| service_fn(answer));
            deadline(test(&server, tls));
        }
    }
}

/// A connection that has sent its preface and a request for this path.
async fn asking(backend: Backend, server: &TestServer, tls: Tls, path: &str) -> Peer {
    let mut peer = Peer::with(backend, server, tls, &[b"h2"]).await;
    let bytes = [
        PREFACE,
        &settings(&[]),
        &settings_ack(),
        &headers(1, WHOLE, &hpack::get(path)),
    ];
    peer.send(&bytes.concat()).await.expect("sent");
    peer
}

/// The frames until the end, which has to be in order.
async fn end(peer: &mut Peer, code: Option<u32>, answers_ping: bool) -> Vec<Frame> {
    let mut frames = Vec::new();
    while let Some(frame) = peer.next().await {
        if answers_ping && frame.is(kind::PING, 0) {
            let answer = pong(&frame);
            peer.send(&answer).await.expect("sent");
        }
        frames.push(frame);
    }
    assert_eq!(peer.end, Some(Ok(())), "close_notify: {frames:?}");
    assert!(frames[0].is(kind::SETTINGS, 0), "{frames:?}");
    let last = frames.last().expect("GOAWAY");
    assert!(last.is(kind::GOAWAY, 0), "{frames:?}");
    assert_eq!(last.code(), code);
    frames
}

fn pong(ping: &Frame) -> Vec<u8> {
    frame(kind::PING, ACK, 0, &ping.payload)
}

fn invalid_prefaces_are_refused(backend: Backend) {
    let wrong = b"PRI * HTTP/3.0\r\n\r\nSM\r\n\r\n";
    // More than the server reads at once: closing a socket with unread bytes resets it.
    let long = [&wrong[..], &[b'x'; 200_000]].concat();
    let http1 = b"GET / HTTP/1.0\r\n\r\n";
    let mut prefaces = vec![&wrong[..], &long];
    if backend.tls {
        prefaces.push(http1);
    }
    each(
        backend,
        |limits| limits,
        async |server, tls| {
            for preface in &prefaces {
                for _ in 0..5 {
                    let mut peer = Peer::with(backend, server, tls, &[b"h2"]).await;
                    peer.send(preface).await.expect("sent");
                    end(&mut peer, PROTOCOL_ERROR, false).await;
                }
            }
        },
    );
}

fn late_prefaces_time_out(backend: Backend) {
    each(
        backend,
        |limits| limits.handshake(Duration::from_secs(2)),
        async |server, tls| {
            let mut peer = Peer::with(backend, server, tls, &[b"h2"]).await;
            let mut silent = Peer::with(backend, server, tls, &[b"h2"]).await;
            peer.send(&PREFACE[..20]).await.expect("sent");
            end(&mut peer, NO_ERROR, false).await;
            if backend.tls {
                end(&mut silent, NO_ERROR, false).await;
            } else {
                // HTTP/2 has not begun.
                assert_eq!(silent.until_closed().await, []);
                assert_eq!(silent.end, Some(Ok(())));
            }
        },
    );
}

fn client_that_leaves_within_its_preface(backend: Backend) {
    each(
        backend,
        |limits| limits,
        async |server, tls| {
            let mut peer = Peer::with(backend, server, tls, &[b"h2"]).await;
            peer.send(&PREFACE[..20]).await.expect("sent");
            peer.end_socket().expect("ended");
            let frames = peer.until_closed().await;
            // Crate corelane-http2 sends the window of the connection with it.
            let expected: &[u8] = match http2_engine() {
                Http2Engine::H2 => &[kind::SETTINGS],
                _ => &[kind::SETTINGS, kind::WINDOW_UPDATE],
            };
            let kinds: Vec<_> = frames.iter().map(|frame| frame.kind).collect();
            assert_eq!(kinds, expected);
            assert_eq!(peer.end, Some(Ok(())));
        },
    );
}

fn protocol_error(backend: Backend) {
    each(
        backend,
        |limits| limits,
        async |server, tls| {
            let mut peer = asking(backend, server, tls, "/wait").await;
            peer.send(&data(0, 0, b"of no stream")).await.expect("sent");
            end(&mut peer, PROTOCOL_ERROR, false).await;
        },
    );
}

fn keep_alive_timeout(backend: Backend) {
    each(
        backend,
        |limits| limits.keep_alive_interval(SHORT).keep_alive_timeout(SHORT),
        async |server, tls| {
            let mut peer = asking(backend, server, tls, "/wait").await;
            let frames = end(&mut peer, NO_ERROR, false).await;
            assert!(frames.iter().any(|frame| frame.is(kind::PING, 0)));
            assert_eq!(server.counters()[0].keep_alive_timeouts, 1);
        },
    );
}

fn idle_connection(backend: Backend) {
    each(
        backend,
        |limits| limits.idle(SHORT).write(NEVER),
        async |server, tls| {
            for answers_ping in [true, false] {
                let mut peer = asking(backend, server, tls, "/").await;
                let frames = end(&mut peer, NO_ERROR, answers_ping).await;
                assert!(frames.iter().any(|frame| frame.ends(1)));
            }
            server.wait_for("closed", |c| c.connections_closed == 2);
            assert_eq!(server.counters()[0].connections_failed, 0);
        },
    );
}

fn shutdown(backend: Backend) {
    each(
        backend,
        |limits| limits,
        async |server, tls| {
            let mut peer = asking(backend, server, tls, "/").await;
            peer.until(|frame| frame.ends(1)).await;
            let mut silent = asking(backend, server, tls, "/").await;
            server.wait_for("asked", |c| c.requests_answered == 2);
            server.handle().shutdown(NEVER);
            let goaway = peer.next().await.expect("GOAWAY");
            assert!(goaway.is(kind::GOAWAY, 0), "{goaway:?}");
            let ping = peer.next().await.expect("PING");
            peer.send(&pong(&ping)).await.expect("sent");
            let frames = peer.until_closed().await;
            assert!(frames[0].is(kind::GOAWAY, 0), "{frames:?}");
            assert_eq!(peer.end, Some(Ok(())));
            end(&mut silent, NO_ERROR, false).await;
        },
    );
}

/// The server no longer waits for the client then, but still sends close_notify.
fn shutdown_deadline(backend: Backend) {
    each(
        backend,
        |limits| limits,
        async |server, tls| {
            let mut peer = asking(backend, server, tls, "/wait").await;
            server.wait_for("asked", |c| c.requests == 1);
            server.handle().shutdown(SHORT);
            let frames = peer.until_closed().await;
            assert!(frames.iter().any(|frame| frame.is(kind::GOAWAY, 0)));
            assert_eq!(peer.end, Some(Ok(())), "{frames:?}");
        },
    );
}

/// They answer no PING.
fn deaf_clients_do_not_hold_up_shutdown(backend: Backend) {
    const CLIENTS: usize = 50;
    // It takes little more than one second; the limit of writes was 30.
    const LONG: Duration = Duration::from_secs(15);
    for &driver in Drivers::all() {
        let server = TestServer::start(backend.acceptor(), driver, |_| service_fn(answer));
        deadline(async {
            let peers = (0..CLIENTS).map(|_| async {
                let mut peer = asking(backend, &server, Tls::Any, "/").await;
                peer.until(|frame| frame.ends(1)).await;
                peer
            });
            let peers = join_all(peers).await;
            let begun = Instant::now();
            server.handle().shutdown(DEADLINE);
            server.wait_for("closed", |c| c.connections_closed == CLIENTS as u64);
            let took = begun.elapsed();
            assert!(took < LONG, "{took:?}");
            assert_eq!(server.counters()[0].connections_failed, 0);
            for mut peer in peers {
                let frames = peer.until_closed().await;
                let last = frames.last().expect("GOAWAY");
                // It names the last stream.
                assert_eq!((last.kind, last.number(0)), (kind::GOAWAY, Some(1)));
                assert_eq!(peer.end, Some(Ok(())));
            }
        });
    }
}

fn shutdown_counts_from_end_of_last_stream(backend: Backend) {
    each(
        backend,
        |limits| limits,
        async |server, tls| {
            let mut peer = asking(backend, server, tls, "/later").await;
            server.wait_for("asked", |c| c.requests == 1);
            server.handle().shutdown(DEADLINE);
            let frames = end(&mut peer, NO_ERROR, false).await;
            assert!(frames.iter().any(|frame| frame.ends(1)), "{frames:?}");
        },
    );
}

/// The kernel has taken the response, so no stream is open. While the client reads slowly, its
/// WINDOW_UPDATEs meet a connection that the server has closed on its side.
///
/// The server waits for about two seconds of silence, which a busy machine may cause.
fn slow_client_receives_whole_response_at_shutdown(backend: Backend) {
    const TRIES: usize = 3;
    for &driver in Drivers::all() {
        let received = (0..TRIES).any(|_| slow_client_receives_whole_response(backend, driver));
        assert!(received, "{driver:?}");
    }
}

fn slow_client_receives_whole_response(backend: Backend, driver: Driver) -> bool {
    const RESPONSE: u64 = 1 << 20;
    const STEP: u32 = 64 << 10;
    // The first is longer than the server waits for the answer to its PING.
    const PAUSES: [u64; 6] = [1_200, 300, 300, 300, 300, 300];
    let server = TestServer::start(backend.acceptor(), driver, |_| {
        service_fn(|_: Request<Body>| async {
            Ok::<_, Infallible>(Response::new(Pattern::of(RESPONSE)))
        })
    });
    deadline(async {
        let window = [(setting::INITIAL_WINDOW_SIZE, 2 << 20)];
        let mut peer = Peer::open(backend, &server, &window).await;
        let ask = [
            window_update(0, 2 << 20),
            headers(1, WHOLE, &hpack::get("/")),
        ];
        peer.send(&ask.concat()).await.expect("sent");
        server.wait_for("answered", |c| c.requests_answered == 1);
        server.handle().shutdown(NEVER);
        let (mut received, mut until_pause) = (0, 0);
        let mut pauses = PAUSES.into_iter();
        let mut last = None;
        while let Some(frame) = peer.next().await {
            if frame.is(kind::DATA, 1) {
                received += frame.payload.len() as u64;
                until_pause += frame.payload.len();
            }
            if until_pause >= STEP as usize
                && let Some(pause) = pauses.next()
            {
                until_pause = 0;
                tokio::time::sleep(Duration::from_millis(pause)).await;
                // The server may have reset the connection. The next reads find that out.
                let _ = peer.send(&window_update(0, STEP)).await;
            }
            last = Some(frame);
        }
        let is_whole = received == RESPONSE && peer.end == Some(Ok(()));
        let last = last.expect("a frame");
        is_whole && (last.kind, last.number(0)) == (kind::GOAWAY, Some(1))
    })
}

fn client_without_alpn_gets_505(backend: Backend) {
    for &driver in Drivers::all() {
        for &tls in Tls::of(backend) {
            let options = |builder: Builder| builder.alpn_missing(AlpnMissing::Allow);
            let server =
                TestServer::with(backend.acceptor(), driver, options, |_| service_fn(never));
            deadline(async {
                for request in ["GET / HTTP/1.1\r\nhost: localhost\r\n\r\n", "G"] {
                    let mut peer = Peer::with(backend, &server, tls, &[]).await;
                    peer.send(request.as_bytes()).await.expect("sent");
                    if request.len() == 1 {
                        peer.send(b"ET / HTTP/1.0\r\n\r\n").await.expect("sent");
                    }
                    let mut text = Vec::new();
                    let mut chunk = [0; 1024];
                    while let n @ 1.. = peer.read(&mut chunk).await.expect("close_notify") {
                        text.extend_from_slice(&chunk[..n]);
                    }
                    let text = String::from_utf8(text).expect("text");
                    let status = "HTTP/1.1 505 HTTP Version Not Supported\r\n";
                    assert!(text.starts_with(status), "{text}");
                    assert!(text.contains("h2 by ALPN"), "{text}");
                }
                // HTTP/2 is served as before.
                let mut peer = Peer::with(backend, &server, tls, &[]).await;
                peer.send(&PREFACE[..2]).await.expect("sent");
                let rest = [
                    &PREFACE[2..],
                    &settings(&[]),
                    &headers(1, WHOLE, &hpack::get("/")),
                ];
                peer.send(&rest.concat()).await.expect("sent");
                peer.until(|frame| frame.ends(1)).await;
            });
            server.wait_for("both are counted", |counters| {
                counters.plain_http_refused == 2 && counters.handshakes_failed == 2
            });
        }
    }
}

/// They complete the handshake, and the server cannot tell yet which protocol they speak.
fn unfinished_protocol_of_client_without_alpn(backend: Backend) {
    for &driver in Drivers::all() {
        for &tls in Tls::of(backend) {
            let options = |builder: Builder| {
                let limits = Limits::default().handshake(Duration::from_secs(2));
                builder.alpn_missing(AlpnMissing::Allow).limits(limits)
            };
            let server =
                TestServer::with(backend.acceptor(), driver, options, |_| service_fn(never));
            deadline(async {
                let mut peers = Vec::new();
                for sent in [&b""[..], b"PR"] {
                    for leaves in [false, true] {
                        let mut peer = Peer::with(backend, &server, tls, &[]).await;
                        peer.send(sent).await.expect("sent");
                        if leaves {
                            peer.end().await.expect("ended");
                        }
                        peers.push(peer);
                    }
                }
                for mut peer in peers {
                    assert_eq!(peer.until_closed().await, []);
                    assert_eq!(peer.end, Some(Ok(())), "close_notify");
                }
            });
            server.wait_for("closed", |counters| counters.connections_closed == 4);
            let counters = &server.counters()[0];
            assert_eq!(counters.handshakes_completed, 4);
            assert_eq!(counters.connections_failed, 4);
            assert_eq!(counters.handshakes_failed, 0);
        }
    }
}
