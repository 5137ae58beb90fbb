//! Tests peers that send too much, by the known vulnerabilities. The peer gets the expected answer,
//! and neither memory nor work grows with its input. `trickles.rs` tests slow peers.

use std::{
    convert::Infallible,
    fs,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use corelane::{Body, Builder, Error, Http2Config, Http2Engine, Limits, service_fn};
use corelane_test_support::{
    Backend, Drivers, H2Client, TestServer, client, deadline, for_each_backend,
    frames::{setting::*, *},
    peer::{self, Flooded, Peer},
    running::{Run, Running},
    server::http2_engine,
};
use h2::Reason;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};

for_each_backend!(
    rapid_reset,
    rapid_reset_of_running_requests,
    rapid_reset_of_uploads_that_are_answered_at_once,
    cancelling_all_requests_once_is_allowed,
    resets_between_responses_are_allowed,
    made_you_reset_by_window_overflow,
    made_you_reset_by_wrong_content_length,
    streams_above_limit,
    malformed_request_flood,
    endless_continuation,
    endless_empty_continuation,
    header_lists_above_limit,
    hpack_bomb,
    ping_flood,
    settings_flood,
    priority_flood,
    window_update_flood,
    one_byte_window_update_flood,
    unknown_frame_flood,
    flooding_peer_is_throttled_then_closed,
    throttled_peer_that_stops_is_answered,
    empty_data_is_throttled_not_closed,
    one_byte_data_is_throttled_not_closed,
    time_limits_apply_to_throttled_peer,
    throttled_peer_can_disconnect,
    ping_flood_with_unread_answers,
    settings_flood_with_unread_answers,
    unread_responses,
    empty_data_flood,
    end_stream_flood_on_reset_stream,
    unread_one_byte_data,
    backlog_of_small_messages_is_allowed,
    five_byte_messages_are_allowed,
    single_keystrokes_are_allowed,
    window_updates_of_fast_download_are_allowed,
);

const CALM: Option<u32> = Some(0xb);

/// The bytes by which the process may grow while a peer sends many times that amount.
const GROWTH: usize = 4 << 20;

/// One test at a time, because they measure the memory of the whole process.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The memory in use by the process, and its peak since the measurement started.
struct Memory(usize);

impl Memory {
    fn begin() -> Self {
        // Resets the peak: proc(5).
        fs::write("/proc/self/clear_refs", "5").expect("Linux");
        Self(Self::of("VmRSS:"))
    }

    fn assert_has_not_grown(&self) {
        let grown = Self::of("VmHWM:").saturating_sub(self.0);
        assert!(grown < GROWTH, "the process has grown by {grown} bytes");
    }

    fn of(name: &str) -> usize {
        let status = fs::read_to_string("/proc/self/status").expect("Linux");
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok());
        kib.map(|kib: usize| kib * 1024).expect("a size")
    }
}

type AnyBody = UnsyncBoxBody<Bytes, Error>;

/// Repeats one block, so that its memory does not count as the library's.
fn endless() -> impl http_body::Body<Data = Bytes, Error = Error> {
    let block = Bytes::from_static(&[0; 64 * 1024]);
    let frames = std::iter::repeat_with(move || Ok(Frame::data(block.clone())));
    StreamBody::new(futures_util::stream::iter(frames))
}

/// "/" answers after it has read the body, "/early" before, "/echo" with the body, "/wait" never,
/// "/endless" with an endless body.
fn server(
    backend: Backend,
    driver: corelane::Driver,
    options: impl FnOnce(&mut Limits, &mut Http2Config),
) -> (TestServer, Arc<Running>) {
    let running = Arc::new(Running::default());
    let (mut limits, mut http2) = (Limits::default(), Http2Config::default());
    options(&mut limits, &mut http2);
    let options = |builder: Builder| builder.limits(limits).http2(http2);
    let counted = Arc::clone(&running);
    let server = TestServer::with(backend.acceptor(), driver, options, move |_| {
        let running = Arc::clone(&counted);
        service_fn(move |request: Request<Body>| {
            let run = Run::begin(&running);
            async move {
                let _run = run;
                let body: AnyBody = match request.uri().path() {
                    "/wait" => std::future::pending().await,
                    "/endless" => endless().boxed_unsync(),
                    "/echo" => request.into_body().boxed_unsync(),
                    path => {
                        if path != "/early" {
                            let _ = request.into_body().collect().await;
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

fn assert_serves(backend: Backend, server: &TestServer) {
    deadline(async {
        let client = H2Client::connect(backend, server.addr).await;
        client
            .run(|requests| async move {
                let answer = client::send(&requests, client::get("/"), None).await;
                assert!(answer.expect("another client is served").body.is_empty());
            })
            .await;
    });
}

/// Sends a flood on one connection to a new server, on every driver.
fn flood(
    backend: Backend,
    options: fn(&mut Limits, &mut Http2Config),
    begin: &[u8],
    over_and_over: &[u8],
    check: impl Fn(Flooded, &TestServer, &Running),
) {
    let _alone = alone();
    for &driver in Drivers::all() {
        let (server, running) = server(backend, driver, options);
        assert_serves(backend, &server);
        let memory = Memory::begin();
        let flooded = deadline(async {
            let mut peer = Peer::open(backend, &server, &[]).await;
            peer.send(begin).await.expect("sent");
            peer.flood(over_and_over, 64 << 20).await
        });
        assert_serves(backend, &server);
        memory.assert_has_not_grown();
        check(flooded, &server, &running);
    }
}

fn any(_: &mut Limits, _: &mut Http2Config) {}

/// Lifts the limit on frames, so that h2's own limits apply.
fn frames_unlimited(_: &mut Limits, http2: &mut Http2Config) {
    http2.max_extra_frames = u32::MAX;
}

/// The connection is neither closed nor throttled.
fn assert_no_flood(server: &TestServer) {
    let counters = server.counters()[0];
    assert_eq!((counters.floods, counters.connections_held_back), (0, 0));
}

/// Pairs of HEADERS and RST_STREAM, each on its own stream, from the first to the last.
fn requests(streams: std::ops::Range<u32>, path: &str, behind: impl Fn(u32) -> Vec<u8>) -> Vec<u8> {
    let block = hpack::get(path);
    streams
        .map(|i| 2 * i + 1)
        .flat_map(|stream| [headers(stream, WHOLE, &block), behind(stream)].concat())
        .collect()
}

/// CVE-2023-44487 as in the original attack: all requests at once.
fn rapid_reset(backend: Backend) {
    let _alone = alone();
    for &driver in Drivers::all() {
        let (server, running) = server(backend, driver, any);
        let flood = requests(0..10_000, "/wait", |stream| reset(stream, 8));
        let ended = deadline(async {
            let peer = Peer::open(backend, &server, &[]).await;
            peer.flood(&flood, flood.len()).await
        });
        assert_eq!(ended.goaway, CALM);
        let most = server.counters()[0].requests;
        assert!(most <= 1000, "{most} requests were given to the service");
        server.wait_for("counted", |c| c.floods == 1 && c.connections_failed == 1);
        assert_eq!(running.now(), 0, "handlers are dropped");
        assert_serves(backend, &server);
    }
}

/// A slow variant: each request has reached its handler before it is reset, so h2 does not count
/// it.
fn rapid_reset_of_running_requests(backend: Backend) {
    let _alone = alone();
    for &driver in Drivers::all() {
        let (server, running) = server(backend, driver, any);
        deadline(async {
            let mut peer = Peer::open(backend, &server, &[]).await;
            for round in 0..20 {
                let streams = 100 * round..100 * (round + 1);
                let begun = requests(streams.clone(), "/wait", |_| Vec::new());
                let resets = streams.flat_map(|i| reset(2 * i + 1, 8)).collect();
                let mut ended = false;
                for bytes in [begun, resets] {
                    ended = ended || !peer.settle(&bytes).await;
                }
                if ended {
                    assert_eq!(round, 5, "500 are taken");
                    return;
                }
            }
            panic!("2000 requests were taken back");
        });
        server.wait_for("counted", |c| {
            c.reset_floods == 1 && c.connections_failed == 1
        });
        assert_eq!(server.counters()[0].floods, 1);
        assert_eq!(running.now(), 0, "handlers are dropped");
        assert!(running.most() <= 200);
        assert_serves(backend, &server);
    }
}

/// The handler has answered without a body, but the server holds that answer behind the upload. The
/// peer causes neither errors of the handler nor answers that offset its resets.
fn rapid_reset_of_uploads_that_are_answered_at_once(backend: Backend) {
    let _alone = alone();
    let block = hpack::request("POST", "/early", &[("content-length", b"10")]);
    for &driver in Drivers::all() {
        let (server, _) = server(backend, driver, any);
        deadline(async {
            let mut peer = Peer::open(backend, &server, &[]).await;
            for round in 0..100 {
                let streams = (20 * round..20 * (round + 1)).map(|i| 2 * i + 1);
                let begun = streams
                    .clone()
                    .flat_map(|stream| headers(stream, END_HEADERS, &block));
                let begun = begun.collect::<Vec<_>>();
                let resets: Vec<_> = streams.flat_map(|stream| reset(stream, 8)).collect();
                for bytes in [begun, resets] {
                    if !peer.settle(&bytes).await {
                        return;
                    }
                }
            }
            panic!("2000 requests were taken back");
        });
        server.wait_for("counted", |c| {
            c.reset_floods == 1 && c.connections_failed == 1
        });
        let counters = server.counters()[0];
        assert!(counters.requests <= 1000, "{counters:?}");
        assert_eq!(counters.handler_errors, 0, "{counters:?}");
        assert_serves(backend, &server);
    }
}

/// A browser that leaves a page while it loads.
fn cancelling_all_requests_once_is_allowed(backend: Backend) {
    let _alone = alone();
    for &driver in Drivers::all() {
        let (server, running) = server(backend, driver, any);
        deadline(async {
            let mut peer = Peer::open(backend, &server, &[]).await;
            let streams = Http2Config::default().max_concurrent_streams;
            let burst = requests(0..streams, "/wait", |stream| reset(stream, 8));
            assert!(peer.settle(&burst).await, "the connection was ended");
        });
        server.wait_for("counted", |c| c.requests_abandoned == 200);
        assert_no_flood(&server);
        assert_eq!(running.now(), 0, "handlers are dropped");
    }
}

/// A client that cancels half of its requests.
fn resets_between_responses_are_allowed(backend: Backend) {
    let _alone = alone();
    for &driver in Drivers::all() {
        let (server, _) = server(backend, driver, any);
        deadline(async {
            let mut peer = Peer::open(backend, &server, &[]).await;
            for round in 0..20 {
                let first = 100 * round;
                let answered = requests(first..first + 50, "/", |_| Vec::new());
                let waiting = requests(first + 50..first + 100, "/wait", |_| Vec::new());
                let resets = (first + 50..first + 100).flat_map(|i| reset(2 * i + 1, 8));
                for bytes in [[answered, waiting].concat(), resets.collect()] {
                    assert!(peer.settle(&bytes).await, "round {round}");
                }
            }
        });
        assert_no_flood(&server);
    }
}

/// CVE-2025-8671: the peer makes the server reset streams whose handlers are running.
fn made_you_reset(backend: Backend, provoke: fn(u32) -> Vec<u8>) {
    let _alone = alone();
    for &driver in Drivers::all() {
        let (server, running) = server(backend, driver, any);
        let code = deadline(async {
            let mut peer = Peer::open(backend, &server, &[]).await;
            for round in 0..100 {
                for i in 100 * round..100 * (round + 1) {
                    peer.send(&provoke(2 * i + 1)).await.expect("sent");
                }
                if !peer.settle(&[]).await {
                    return peer.goaway;
                }
            }
            panic!("10,000 resets were made");
        });
        assert_eq!(code, CALM);
        server.wait_for("counted", |c| c.floods == 1 && c.connections_failed == 1);
        assert!(server.counters()[0].requests <= 1100);
        assert_eq!(running.now(), 0, "handlers are dropped");
        let most = running.most();
        assert!(most <= 200, "{most} handlers ran at once");
        assert_serves(backend, &server);
    }
}

fn made_you_reset_by_window_overflow(backend: Backend) {
    made_you_reset(backend, |stream| {
        let begun = headers(stream, WHOLE, &hpack::get("/wait"));
        [begun, window_update(stream, (1 << 31) - 1)].concat()
    });
}

fn made_you_reset_by_wrong_content_length(backend: Backend) {
    made_you_reset(backend, |stream| {
        let block = hpack::request("POST", "/wait", &[("content-length", b"1")]);
        [headers(stream, END_HEADERS, &block), data(stream, 0, b"xx")].concat()
    });
}

fn streams_above_limit(backend: Backend) {
    let flood = requests(200..5000, "/wait", |_| Vec::new());
    let begin = requests(0..200, "/wait", |_| Vec::new());
    ended_by_h2(backend, &begin, &flood, |running| {
        assert!(running.most() <= 201);
    });
}

fn malformed_request_flood(backend: Backend) {
    let flood: Vec<u8> = (0..5000)
        .flat_map(|i| headers(2 * i + 1, WHOLE, &hpack::block(&[("x", b"y")])))
        .collect();
    ended_by_h2(backend, b"", &flood, |running| {
        assert!(running.most() <= 1, "none reaches the service");
    });
}

/// Sends the flood once; h2 closes the connection.
fn ended_by_h2(backend: Backend, begin: &[u8], flood: &[u8], check: impl Fn(&Running)) {
    let _alone = alone();
    for &driver in Drivers::all() {
        let (server, running) = server(backend, driver, any);
        let ended = deadline(async {
            let mut peer = Peer::open(backend, &server, &[]).await;
            peer.send(begin).await.expect("sent");
            peer.flood(flood, flood.len()).await
        });
        assert_eq!(ended.goaway, CALM);
        assert!(ended.resets <= 1024, "{} resets", ended.resets);
        server.wait_for("counted", |c| c.floods == 1);
        assert_serves(backend, &server);
        check(&running);
    }
}

fn assert_ended_by_h2(server: &TestServer) {
    let counters = server.counters()[0];
    assert_eq!((counters.floods, counters.frame_floods), (1, 0));
}

/// CVE-2024-27316 and similar attacks.
fn endless_continuation(backend: Backend) {
    let begin = headers(1, END_STREAM, &hpack::get("/"));
    let fields = hpack::block(&[("x-header", &[b'y'; 1000])]);
    let more = continuation(1, 0, &fields.repeat(15));
    flood(backend, any, &begin, &more, |flooded, server, _| {
        assert_eq!(flooded.goaway, CALM);
        assert_ended_by_h2(server);
    });
}

fn endless_empty_continuation(backend: Backend) {
    let begin = headers(1, END_STREAM, &hpack::get("/"));
    let more = continuation(1, 0, b"").repeat(1000);
    flood(backend, any, &begin, &more, |flooded, server, _| {
        assert_eq!(flooded.goaway, CALM);
        assert_ended_by_h2(server);
    });
}

/// As large as CONTINUATION allows, repeatedly: each gets 431, and the server keeps none.
fn header_lists_above_limit(backend: Backend) {
    const REQUESTS: u32 = 200;
    let _alone = alone();
    let large = |i| {
        let stream = 2 * i + 1;
        let mut request = headers(stream, END_STREAM, &hpack::get("/"));
        for i in 0..5 {
            let fields = hpack::block(&[(&format!("x-{i}"), &[b'y'; 1000])]);
            request.extend(continuation(stream, 0, &fields.repeat(15)));
        }
        request.extend(continuation(stream, END_HEADERS, b""));
        request
    };
    let flood: Vec<u8> = (0..REQUESTS).flat_map(large).collect();
    for &driver in Drivers::all() {
        let (server, running) = server(backend, driver, any);
        let memory = Memory::begin();
        deadline(async {
            let mut peer = Peer::open(backend, &server, &[(HEADER_TABLE_SIZE, 0)]).await;
            for request in flood.chunks(flood.len() / REQUESTS as usize) {
                peer.send(request).await.expect("sent");
                let answer = peer.until(|frame| frame.kind == kind::HEADERS).await;
                assert_eq!(answer.last().map(peer::Frame::status), Some(431));
            }
        });
        memory.assert_has_not_grown();
        assert_eq!(running.most(), 0, "none reaches the service");
    }
}

/// CVE-2016-6581 and similar attacks: one large table entry, and a frame full of references to it,
/// which would decode to 64 MiB.
fn hpack_bomb(backend: Backend) {
    let entry = [&[0x40, 1, b'x'][..], &hpack::string(&[b'y'; 4000])].concat();
    let first = [hpack::get("/"), entry].concat();
    let bomb = [hpack::get("/"), vec![0x80 | 62; 16_000]].concat();
    let begin = [headers(1, WHOLE, &first), headers(3, WHOLE, &bomb)].concat();
    flood(
        backend,
        any,
        &begin,
        &ping(&[0; 8]),
        |flooded, server, _| {
            assert_eq!(flooded.goaway, CALM);
            assert_eq!(server.counters()[0].floods, 1);
        },
    );
}

/// Frames that cause no useful work: the server closes the connection after more than any client
/// sends.
fn extra_frames(backend: Backend, begin: &[u8], frame: &[u8]) {
    more_than(1_000, backend, begin, frame);
}

fn more_than(most: usize, backend: Backend, begin: &[u8], frame: &[u8]) {
    flood(
        backend,
        // Equals the burst, or the test would take the whole period.
        |_, http2| http2.max_extra_frames = 1_000,
        begin,
        &frame.repeat(1000),
        |flooded, server, _| {
            assert_eq!(flooded.goaway, CALM);
            let counters = server.counters()[0];
            assert_eq!((counters.floods, counters.frame_floods), (1, 1));
            let least = most * frame.len();
            assert!(flooded.sent > least, "{} bytes were too many", flooded.sent);
        },
    );
}

/// CVE-2019-9512.
fn ping_flood(backend: Backend) {
    extra_frames(backend, b"", &ping(&[0; 8]));
}

/// CVE-2019-9515. Each SETTINGS changes the windows of all streams.
fn settings_flood(backend: Backend) {
    let waiting = requests(0..200, "/wait", |_| Vec::new());
    let change = [
        settings(&[(INITIAL_WINDOW_SIZE, 1)]),
        settings(&[(INITIAL_WINDOW_SIZE, 2)]),
    ];
    more_than(5, backend, &waiting, &change.concat());
}

/// CVE-2019-9513.
fn priority_flood(backend: Backend) {
    let shuffle = [priority(3, 5), priority(5, 3)].concat();
    extra_frames(backend, b"", &shuffle);
}

/// CVE-2019-9511 and CVE-2019-9517 open windows in small steps.
fn window_update_flood(backend: Backend) {
    let waiting = requests(0..1, "/wait", |_| Vec::new());
    extra_frames(backend, &waiting, &window_update(1, 1));
}

/// A slow variant: each WINDOW_UPDATE lets a response continue by one byte before the next one.
fn one_byte_window_update_flood(backend: Backend) {
    let _alone = alone();
    for &driver in Drivers::all() {
        let (server, _) = server(backend, driver, |_, http2| http2.max_extra_frames = 100);
        deadline(async {
            let mut peer = Peer::open(backend, &server, &[(INITIAL_WINDOW_SIZE, 0)]).await;
            let ask = headers(1, WHOLE, &hpack::get("/endless"));
            peer.send(&ask).await.expect("sent");
            for _ in 0..200 {
                peer.send(&window_update(1, 1)).await.expect("sent");
                loop {
                    let frame = peer.next().await.expect("a byte, or GOAWAY");
                    if frame.is(kind::GOAWAY, 0) {
                        return;
                    }
                    if frame.is(kind::DATA, 1) {
                        break;
                    }
                }
            }
            panic!("200 bytes were fetched one by one");
        });
        server.wait_for("counted", |c| c.frame_floods == 1);
    }
}

fn unknown_frame_flood(backend: Backend) {
    extra_frames(backend, b"", &frame(kind::UNKNOWN, 0, 0, b""));
}

/// A burst of 1,000 passes; the rest follow at 110 a second until the limit of 1,100.
fn soon(_: &mut Limits, http2: &mut Http2Config) {
    http2.max_extra_frames = 1_100;
}

fn flooding_peer_is_throttled_then_closed(backend: Backend) {
    let pings = ping(&[0; 8]).repeat(1000);
    flood(backend, soon, b"", &pings, |flooded, server, _| {
        assert_eq!(flooded.goaway, CALM);
        let counters = server.counters()[0];
        assert_eq!((counters.floods, counters.frame_floods), (1, 1));
        assert_eq!(counters.connections_held_back, 1);
    });
}

fn throttled_peer_that_stops_is_answered(backend: Backend) {
    let pings = ping(&[0; 8]).repeat(1500);
    held_back(backend, any, &pings, async |peer, _| {
        let ask = headers(1, WHOLE, &hpack::get("/"));
        peer.send(&ask).await.expect("sent");
        peer.until(|frame| frame.ends(1)).await;
    });
}

/// h2 accepts a hundred of them.
fn empty_data_is_throttled_not_closed(backend: Backend) {
    let begun = headers(1, END_HEADERS, &hpack::post("/"));
    let empty = data(1, 0, b"").repeat(15);
    held_back(backend, any, &[begun, empty].concat(), async |peer, _| {
        let last = data(1, END_STREAM, b"x");
        peer.send(&last).await.expect("sent");
        peer.until(|frame| frame.ends(1)).await;
    });
}

/// A legitimate program may write byte by byte.
fn one_byte_data_is_throttled_not_closed(backend: Backend) {
    let options = |_: &mut Limits, http2: &mut Http2Config| http2.max_extra_frames = 20_000;
    let begun = headers(1, END_HEADERS, &hpack::post("/"));
    let bytes = data(1, 0, b"x").repeat(2_500);
    held_back(
        backend,
        options,
        &[begun, bytes].concat(),
        async |peer, _| {
            let last = data(1, END_STREAM, b"x");
            peer.send(&last).await.expect("sent");
            peer.until(|frame| frame.ends(1)).await;
        },
    );
}

/// The server reads nothing for about a second.
fn time_limits_apply_to_throttled_peer(backend: Backend) {
    let options = |limits: &mut Limits, http2: &mut Http2Config| {
        soon(limits, http2);
        limits.idle = Duration::from_millis(300);
    };
    let pings = ping(&[0; 8]).repeat(1050);
    held_back(backend, options, &pings, async |peer, _| {
        let received = peer.until(|frame| frame.is(kind::GOAWAY, 0)).await;
        let pongs = received.iter().filter(|frame| frame.is_ack(kind::PING));
        assert!(pongs.count() < 1050, "it was read from all the time");
        let goaway = received.last().and_then(peer::Frame::code);
        assert_eq!(goaway, Some(u32::from(Reason::NO_ERROR)));
    });
}

fn throttled_peer_can_disconnect(backend: Backend) {
    let pings = ping(&[0; 8]).repeat(1050);
    held_back(backend, soon, &pings, async |peer, server| {
        peer.end().await.expect("sent");
        peer.until_closed().await;
        server.wait_for("noticed", |c| c.connections_closed == 1);
    });
}

/// A peer that sends too much once, and its behaviour afterwards.
fn held_back(
    backend: Backend,
    options: fn(&mut Limits, &mut Http2Config),
    too_much: &[u8],
    go_on: impl AsyncFn(&mut Peer, &TestServer),
) {
    for &driver in Drivers::all() {
        let (server, _) = server(backend, driver, options);
        deadline(async {
            let mut peer = Peer::open(backend, &server, &[]).await;
            peer.send(too_much).await.expect("sent");
            server.wait_for("held back", |c| c.connections_held_back == 1);
            go_on(&mut peer, &server).await;
        });
        assert_eq!(server.counters()[0].floods, 0);
    }
}

/// The client does not read: the server must not queue its answers without bound.
fn deaf_flood(backend: Backend, settings: &[(u16, u32)], begin: &[u8], over_and_over: &[u8]) {
    let _alone = alone();
    for &driver in Drivers::all() {
        let (server, _) = server(backend, driver, |limits, http2| {
            limits.write = Duration::from_millis(300);
            http2.max_extra_frames = u32::MAX;
        });
        assert_serves(backend, &server);
        let memory = Memory::begin();
        let most = deadline(async {
            let mut peer = Peer::open(backend, &server, settings).await;
            peer.send(begin).await.expect("sent");
            let sent = peer.flood_deaf(over_and_over, 256 << 20).await;
            assert_serves_async(backend, &server).await;
            sent
        });
        memory.assert_has_not_grown();
        assert!(most < 256 << 20, "the server went on reading");
        server.wait_for("the connection is closed", |c| c.connections_failed == 1);
    }
}

async fn assert_serves_async(backend: Backend, server: &TestServer) {
    let mut peer = Peer::open(backend, server, &[]).await;
    let ask = headers(1, WHOLE, &hpack::get("/"));
    peer.send(&ask).await.expect("sent");
    peer.until(|frame| frame.ends(1)).await;
}

/// CVE-2019-9512: answers to PING.
fn ping_flood_with_unread_answers(backend: Backend) {
    deaf_flood(backend, &[], b"", &ping(&[0; 8]).repeat(1000));
}

/// CVE-2019-9515: acknowledgements of SETTINGS.
fn settings_flood_with_unread_answers(backend: Backend) {
    deaf_flood(backend, &[], b"", &settings(&[]).repeat(1000));
}

/// CVE-2019-9517: HTTP/2's windows are open, but TCP's is not.
fn unread_responses(backend: Backend) {
    const ALL: u32 = (1 << 31) - 1;
    let begin = [
        window_update(0, ALL - 65_535),
        requests(0..200, "/endless", |_| Vec::new()),
    ];
    let windows = [(INITIAL_WINDOW_SIZE, ALL)];
    deaf_flood(backend, &windows, &begin.concat(), &ping(&[0; 8]));
}

/// CVE-2019-9518.
fn empty_data_flood(backend: Backend) {
    let begin = headers(1, END_HEADERS, &hpack::post("/"));
    let more = data(1, 0, b"").repeat(1000);
    flood(
        backend,
        frames_unlimited,
        &begin,
        &more,
        |flooded, server, _| {
            assert_eq!(flooded.goaway, CALM);
            assert_ended_by_h2(server);
        },
    );
}

/// A variant of CVE-2019-9518 that h2 does not limit: the stream was answered and reset early.
fn end_stream_flood_on_reset_stream(backend: Backend) {
    let _alone = alone();
    for &driver in Drivers::all() {
        let (server, _) = server(backend, driver, |limits, http2| {
            http2.max_extra_frames = 1_000;
            // How long the reset may take.
            limits.body = Duration::from_millis(100);
        });
        let flooded = deadline(async {
            let mut peer = Peer::open(backend, &server, &[]).await;
            let begin = headers(1, END_HEADERS, &hpack::post("/early"));
            peer.send(&begin).await.expect("sent");
            peer.until(|frame| frame.is(kind::RST_STREAM, 1)).await;
            let ends = data(1, END_STREAM, b"").repeat(1000);
            peer.flood(&ends, 64 << 20).await
        });
        assert_eq!(flooded.goaway, CALM);
        assert_eq!(server.counters()[0].frame_floods, 1);
    }
}

/// Each frame takes a buffer many times its size.
fn unread_one_byte_data(backend: Backend) {
    let begin = headers(1, END_HEADERS, &hpack::post("/wait"));
    let more = data(1, 0, b"x").repeat(1000);
    let half = |limits: &mut Limits, http2: &mut Http2Config| {
        frames_unlimited(limits, http2);
        http2.initial_connection_window_size = 512 * 1024;
    };
    flood(backend, half, &begin, &more, |flooded, server, _| {
        match http2_engine() {
            Http2Engine::H2 => {
                assert_eq!(flooded.goaway, CALM);
                assert_ended_by_h2(server);
            }
            // It puts them together, so that they take no more than the window, and the peer exceeds that.
            _ => assert_eq!(flooded.goaway, Some(Reason::FLOW_CONTROL_ERROR.into())),
        }
    });
}

/// Telemetry, or a streaming gRPC client, while the handler waits for something else.
fn backlog_of_small_messages_is_allowed(backend: Backend) {
    let _alone = alone();
    for &driver in Drivers::all() {
        let (server, _) = server(backend, driver, any);
        deadline(async {
            let mut peer = Peer::open(backend, &server, &[]).await;
            let ask = headers(1, END_HEADERS, &hpack::post("/wait"));
            let messages = data(1, 0, b"message").repeat(15_000);
            assert!(peer.settle(&[ask, messages].concat()).await);
        });
        assert_no_flood(&server);
    }
}

/// A gRPC stream of the shortest possible messages, as fast as possible.
fn five_byte_messages_are_allowed(backend: Backend) {
    let _alone = alone();
    for &driver in Drivers::all() {
        let (server, _) = server(backend, driver, any);
        deadline(async {
            let mut peer = Peer::open(backend, &server, &[]).await;
            let ask = headers(1, END_HEADERS, &hpack::post("/"));
            let messages = data(1, 0, b"\0\0\0\0\0").repeat(50_000);
            let last = data(1, END_STREAM, b"");
            let all = [ask, messages, last].concat();
            peer.send(&all).await.expect("sent");
            peer.until(|frame| frame.ends(1)).await;
        });
        assert_no_flood(&server);
    }
}

/// A terminal: the server echoes each keystroke before the next one.
fn single_keystrokes_are_allowed(backend: Backend) {
    let _alone = alone();
    for &driver in Drivers::all() {
        let (server, _) = server(backend, driver, any);
        deadline(async {
            let mut peer = Peer::open(backend, &server, &[]).await;
            let ask = headers(1, END_HEADERS, &hpack::post("/echo"));
            peer.send(&ask).await.expect("sent");
            for key in b'a'..=b'z' {
                peer.send(&data(1, 0, &[key])).await.expect("sent");
                let echo = peer.until(|frame| frame.is(kind::DATA, 1)).await;
                assert_eq!(
                    echo.last().map(|frame| &frame.payload[..]),
                    Some(&[key][..])
                );
            }
        });
        assert_no_flood(&server);
    }
}

/// WINDOW_UPDATE for every DATA frame, on the stream and on the connection: wasteful, but not
/// hostile.
fn window_updates_of_fast_download_are_allowed(backend: Backend) {
    const FRAMES: usize = 5_000;
    let _alone = alone();
    for &driver in Drivers::all() {
        let (server, _) = server(backend, driver, |_, http2| http2.max_extra_frames = 100);
        deadline(async {
            let mut peer = Peer::open(backend, &server, &[]).await;
            let ask = headers(1, WHOLE, &hpack::get("/endless"));
            peer.send(&ask).await.expect("sent");
            let mut received = 0;
            while received < FRAMES {
                let frame = peer.next().await.expect("the connection goes on");
                let length = u32::try_from(frame.payload.len()).expect("fits");
                if frame.is(kind::DATA, 1) {
                    received += 1;
                    let grants = [window_update(0, length), window_update(1, length)];
                    peer.send(&grants.concat()).await.expect("sent");
                }
            }
        });
        assert_no_flood(&server);
    }
    // A name in h2 for one of the codes above.
    assert_eq!(CALM, Some(u32::from(Reason::ENHANCE_YOUR_CALM)));
}
