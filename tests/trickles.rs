//! Tests peers that are deliberately slow: after a time limit the server frees the resources that
//! they hold. `floods.rs` tests peers that send too much.

use std::{
    convert::Infallible,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use corelane::{Body, Builder, Error, Http2Config, Limits, service_fn};
use corelane_test_support::{
    Backend, Drivers, Pattern, TestServer, deadline, for_each_backend,
    frames::{setting::INITIAL_WINDOW_SIZE, *},
    peer::{self, Peer},
    running::{Run, Running},
};
use http::{Request, Response};
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};

for_each_backend!(
    unfinished_bodies_time_out,
    one_byte_bodies_time_out,
    body_not_awaited_does_not_time_out,
    body_does_not_time_out_after_response_starts,
    unread_body_is_drained,
    draining_unread_body_times_out,
    one_byte_windows_time_out,
    slowly_read_responses_time_out,
    pings_do_not_keep_connection_open,
    unfinished_field_block_times_out,
    unfinished_frame_times_out,
);

/// The limit under test.
const LIMIT: Duration = Duration::from_millis(300);

/// How long a trickle lasts if no limit stops it.
const KEPT_UP: Duration = Duration::from_secs(3);

/// A minimum rate that nothing here reaches.
const TOO_FAST: u32 = u32::MAX;

const CANCEL: Option<u32> = Some(8);
const NO_ERROR: Option<u32> = Some(0);

type AnyBody = UnsyncBoxBody<Bytes, Error>;

/// "/" reads its body and answers, "/unread" answers without reading it, "/later" answers without
/// reading it after some time.
fn server(
    backend: Backend,
    driver: corelane::Driver,
    options: impl FnOnce(&mut Limits),
) -> (TestServer, Arc<Running>) {
    let running = Arc::new(Running::default());
    let mut limits = Limits::default();
    options(&mut limits);
    // The clients here send PINGs to keep time.
    let http2 = Http2Config::default().max_extra_frames(u32::MAX);
    let options = |builder: Builder| builder.limits(limits).http2(http2);
    let counted = Arc::clone(&running);
    let server = TestServer::with(backend.acceptor(), driver, options, move |_| {
        let running = Arc::clone(&counted);
        service_fn(move |request: Request<Body>| {
            let run = Run::begin(&running);
            async move {
                let _run = run;
                let path = request.uri().path().to_owned();
                let body: AnyBody = match path.as_str() {
                    "/endless" => Pattern::of(u64::MAX).boxed_unsync(),
                    "/echo" => request.into_body().boxed_unsync(),
                    _ => {
                        match path.as_str() {
                            "/unread" => drop(request),
                            "/later" => monoio::time::sleep(2 * LIMIT).await,
                            _ => drop(request.into_body().collect().await),
                        }
                        Full::default()
                            .map_err(|never| match never {})
                            .boxed_unsync()
                    }
                };
                Ok::<_, Infallible>(Response::new(body))
            }
        })
    });
    (server, running)
}

/// Sends a request, which shows that the connection still works.
async fn assert_answers(peer: &mut Peer, stream: u32) {
    let ask = headers(stream, WHOLE, &hpack::get("/"));
    peer.send(&ask).await.expect("sent");
    peer.until(|frame| frame.ends(stream)).await;
}

/// Streams that are opened and never finished.
fn unfinished_bodies_time_out(backend: Backend) {
    const STREAMS: u32 = 100;
    for &driver in Drivers::all() {
        let (server, running) = server(backend, driver, |limits| limits.body = LIMIT);
        deadline(async {
            let mut peer = Peer::open(backend, &server, &[(setting::HEADER_TABLE_SIZE, 0)]).await;
            let opened: Vec<u8> = (0..STREAMS)
                .flat_map(|i| headers(2 * i + 1, END_HEADERS, &hpack::post("/")))
                .collect();
            peer.send(&opened).await.expect("sent");
            let (mut answered, mut reset) = (0, 0);
            while (answered, reset) != (STREAMS, STREAMS) {
                let frame = peer.next().await.expect("the connection goes on");
                match frame.kind {
                    kind::HEADERS => {
                        assert_eq!(frame.status(), 408);
                        answered += 1;
                    }
                    kind::RST_STREAM => {
                        assert_eq!(frame.code(), NO_ERROR);
                        reset += 1;
                    }
                    kind::WINDOW_UPDATE => {}
                    other => panic!("a frame of type {other}"),
                }
            }
            assert_answers(&mut peer, 2 * STREAMS + 1).await;
        });
        let counters = server.counters()[0];
        assert_eq!(counters.bodies_timed_out, u64::from(STREAMS));
        assert_eq!(counters.connections_failed, 0);
        assert_eq!(running.now(), 0, "handlers are dropped");
    }
}

/// The peer never pauses.
fn one_byte_bodies_time_out(backend: Backend) {
    for &driver in Drivers::all() {
        let (server, _) = server(backend, driver, |limits| {
            limits.body = LIMIT;
            limits.min_rate = TOO_FAST;
        });
        deadline(async {
            let mut peer = Peer::open(backend, &server, &[]).await;
            let begun = headers(1, END_HEADERS, &hpack::post("/"));
            peer.send(&begun).await.expect("sent");
            let since = Instant::now();
            let mut answered = false;
            while !answered && since.elapsed() < KEPT_UP {
                let round = [data(1, 0, b"x"), ping(b"go on ..")];
                peer.send(&round.concat()).await.expect("sent");
                let frames = peer.until(|frame| frame.is_ack(kind::PING)).await;
                if let Some(head) = frames.iter().find(|frame| frame.is(kind::HEADERS, 1)) {
                    assert_eq!(head.status(), 408);
                    answered = true;
                }
            }
            peer.settle(&data(1, END_STREAM, b"x")).await;
            assert_answers(&mut peer, 3).await;
        });
        assert_eq!(server.counters()[0].bodies_timed_out, 1);
    }
}

/// A handler that is busy with something else is not the peer's fault.
fn body_not_awaited_does_not_time_out(backend: Backend) {
    for &driver in Drivers::all() {
        let (server, _) = server(backend, driver, |limits| limits.body = LIMIT / 3);
        deadline(async {
            let mut peer = Peer::open(backend, &server, &[]).await;
            let begun = headers(1, END_HEADERS, &hpack::post("/later"));
            peer.send(&begun).await.expect("sent");
            let answer = peer.until(|frame| frame.is(kind::HEADERS, 1)).await;
            assert_eq!(answer.last().map(peer::Frame::status), Some(200));
        });
        assert_eq!(server.counters()[0].bodies_timed_out, 0);
    }
}

/// A stream that works in both directions may be silent for a long time.
fn body_does_not_time_out_after_response_starts(backend: Backend) {
    for &driver in Drivers::all() {
        let (server, _) = server(backend, driver, |limits| limits.body = LIMIT / 3);
        deadline(async {
            let mut peer = Peer::open(backend, &server, &[]).await;
            let begun = headers(1, END_HEADERS, &hpack::post("/echo"));
            peer.send(&begun).await.expect("sent");
            // Another stream measures the time.
            let other = headers(3, WHOLE, &hpack::get("/later"));
            peer.send(&other).await.expect("sent");
            peer.until(|frame| frame.ends(3)).await;
            let last = data(1, END_STREAM, b"late, not too late");
            peer.send(&last).await.expect("sent");
            let echoed = peer.until(|frame| frame.ends(1)).await;
            assert!(echoed.iter().any(|f| f.payload == b"late, not too late"));
        });
        assert_eq!(server.counters()[0].bodies_timed_out, 0);
    }
}

/// Some clients that are still sending treat a reset as a failure, even with `NO_ERROR`.
fn unread_body_is_drained(backend: Backend) {
    let window = Http2Config::default().initial_stream_window_size as usize;
    for &driver in Drivers::all() {
        let (server, _) = server(backend, driver, |_| {});
        deadline(async {
            let mut peer = Peer::open(backend, &server, &[]).await;
            let begun = headers(1, END_HEADERS, &hpack::post("/unread"));
            peer.send(&begun).await.expect("sent");
            let answer = peer.until(|frame| frame.ends(1)).await;
            assert_eq!(answer.last().map(peer::Frame::status), Some(200));
            let half = data(1, 0, &[0; 16 * 1024]).repeat(window / 2 / (16 * 1024));
            for _ in 0..4 {
                peer.send(&half).await.expect("sent");
                peer.until(|frame| frame.is(kind::WINDOW_UPDATE, 1)).await;
            }
            peer.send(&data(1, END_STREAM, b"all")).await.expect("sent");
            let ask = headers(3, WHOLE, &hpack::get("/"));
            peer.send(&ask).await.expect("sent");
            let frames = peer.until(|frame| frame.ends(3)).await;
            assert!(!frames.iter().any(|frame| frame.kind == kind::RST_STREAM));
        });
        assert_eq!(server.counters()[0].requests_answered, 2);
    }
}

/// The peer sends without end, or is silent on the whole connection, so that only the timer can
/// wake the server.
fn draining_unread_body_times_out(backend: Backend) {
    for &driver in Drivers::all() {
        for goes_on in [true, false] {
            let (server, _) = server(backend, driver, |limits| limits.body = LIMIT);
            deadline(async {
                let mut peer = Peer::open(backend, &server, &[]).await;
                let begun = headers(1, END_HEADERS, &hpack::post("/unread"));
                peer.send(&begun).await.expect("sent");
                peer.until(|frame| frame.ends(1)).await;
                let is_reset = |frame: &peer::Frame| frame.is(kind::RST_STREAM, 1);
                let mut frames = Vec::new();
                while goes_on && !frames.iter().any(is_reset) {
                    let round = [data(1, 0, b"more"), ping(b"go on ..")].concat();
                    peer.send(&round).await.expect("sent");
                    frames = peer.until(|frame| frame.is_ack(kind::PING)).await;
                }
                if !goes_on {
                    frames = peer.until(is_reset).await;
                }
                let reset = frames.iter().find(|frame| is_reset(frame));
                assert_eq!(reset.and_then(peer::Frame::code), NO_ERROR);
                assert_answers(&mut peer, 3).await;
            });
        }
    }
}

/// A slow read through HTTP/2's windows.
fn one_byte_windows_time_out(backend: Backend) {
    for &driver in Drivers::all() {
        let (server, _) = server(backend, driver, |limits| {
            limits.write = LIMIT;
            limits.min_rate = TOO_FAST;
        });
        deadline(async {
            let mut peer = Peer::open(backend, &server, &[(INITIAL_WINDOW_SIZE, 1)]).await;
            let ask = headers(1, WHOLE, &hpack::get("/endless"));
            peer.send(&ask).await.expect("sent");
            let since = Instant::now();
            let mut code = None;
            while code.is_none() && since.elapsed() < KEPT_UP {
                let frame = peer.next().await.expect("the connection goes on");
                if frame.is(kind::DATA, 1) {
                    assert_eq!(frame.payload.len(), 1);
                    peer.send(&window_update(1, 1)).await.expect("sent");
                }
                code = frame.code();
            }
            assert_eq!(code, CANCEL);
            peer.settle(&reset(1, 8)).await;
            assert_answers(&mut peer, 3).await;
        });
        assert_eq!(server.counters()[0].streams_stalled, 1);
    }
}

/// A slow read through TCP's window; HTTP/2's windows are open.
fn slowly_read_responses_time_out(backend: Backend) {
    const ALL: u32 = (1 << 31) - 1;
    for &driver in Drivers::all() {
        let (server, _) = server(backend, driver, |limits| {
            limits.write = LIMIT;
            limits.min_rate = TOO_FAST;
        });
        deadline(async {
            let windows = [(INITIAL_WINDOW_SIZE, ALL)];
            let mut peer = Peer::open(backend, &server, &windows).await;
            let ask = [
                window_update(0, ALL - 65_535),
                headers(1, WHOLE, &hpack::get("/endless")),
            ];
            peer.send(&ask.concat()).await.expect("sent");
            let mut other = Peer::open(backend, &server, &[]).await;
            let since = Instant::now();
            let mut stream = 1;
            let ended = || server.counters()[0].connections_failed == 1;
            while !ended() && since.elapsed() < KEPT_UP {
                // This takes a moment, and shows that the server serves others.
                assert_answers(&mut other, stream).await;
                stream += 2;
                // Enough for the kernel to accept more from the server each time.
                if !matches!(peer.read(&mut [0; 64 * 1024]).await, Ok(1..)) {
                    break;
                }
            }
            assert!(since.elapsed() < KEPT_UP, "a trickle keeps it open");
        });
        server.wait_for("closed", |counters| counters.connections_failed == 1);
    }
}

/// Only requests keep a connection open.
fn pings_do_not_keep_connection_open(backend: Backend) {
    for &driver in Drivers::all() {
        let (server, _) = server(backend, driver, |limits| {
            limits.idle = LIMIT;
            limits.write = LIMIT;
        });
        deadline(async {
            let mut peer = Peer::open(backend, &server, &[]).await;
            assert_answers(&mut peer, 1).await;
            while peer.settle(b"").await {}
            assert_eq!(peer.goaway, NO_ERROR);
        });
        server.wait_for("closed", |counters| counters.connections_closed == 1);
    }
}

/// A stream opens only after its field block is complete.
fn unfinished_field_block_times_out(backend: Backend) {
    let begun = headers(1, END_STREAM, &hpack::get("/"));
    closed_as_idle(backend, &begun, &[]);
}

fn unfinished_frame_times_out(backend: Backend) {
    closed_as_idle(backend, &head(16 * 1024, kind::HEADERS, WHOLE, 1), &[0]);
}

fn closed_as_idle(backend: Backend, begun: &[u8], more: &[u8]) {
    for &driver in Drivers::all() {
        let (server, _) = server(backend, driver, |limits| {
            limits.idle = LIMIT;
            limits.write = LIMIT;
        });
        deadline(async {
            let mut peer = Peer::open(backend, &server, &[]).await;
            let mut other = Peer::open(backend, &server, &[]).await;
            peer.send(begun).await.expect("sent");
            let mut stream = 1;
            while server.counters()[0].connections_closed == 0 {
                let _ = peer.send(more).await;
                assert_answers(&mut other, stream).await;
                stream += 2;
            }
            let frames = peer.until_closed().await;
            let goaway = frames.iter().find(|frame| frame.is(kind::GOAWAY, 0));
            assert_eq!(goaway.and_then(peer::Frame::code), NO_ERROR);
        });
    }
}
