//! Peers that send too much, by the vulnerabilities that had names: what they get, and that neither
//! memory nor work grows with what they send. Slow ones are in `trickles.rs`.

use std::{
    convert::Infallible,
    fs,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use corelane::{Body, Builder, Error, Http2Config, Limits, service_fn};
use corelane_test_support::{
    Backend, Drivers, H2Client, TestServer, client, deadline, for_each_backend,
    frames::{setting::*, *},
    peer::{self, Flooded, Peer},
    running::{Run, Running},
};
use h2::Reason;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};

for_each_backend!(
    rapid_reset,
    rapid_reset_of_requests_under_way,
    all_taken_back_at_once_is_no_flood,
    resets_among_answers_are_no_flood,
    made_you_reset_by_windows,
    made_you_reset_by_bodies,
    streams_above_the_limit,
    malformed_requests,
    continuation_without_end,
    empty_continuation_without_end,
    header_lists_above_the_limit,
    an_hpack_bomb,
    pings_without_end,
    settings_without_end,
    priorities_without_end,
    window_updates_without_end,
    single_bytes_of_window_without_end,
    unknown_frames_without_end,
    who_sends_too_much_is_held_back_and_ended,
    who_stops_in_time_is_answered,
    empty_data_is_held_back_and_not_ended,
    single_bytes_are_held_back_and_not_ended,
    time_limits_hold_for_who_is_held_back,
    who_is_held_back_may_go,
    pings_that_nobody_reads_the_answers_of,
    settings_that_nobody_reads_the_answers_of,
    responses_that_nobody_reads,
    empty_data_without_end,
    ends_of_a_stream_that_was_reset,
    single_bytes_that_nobody_reads,
    a_backlog_of_small_messages_is_no_flood,
    messages_of_five_bytes_are_no_flood,
    single_keystrokes_are_no_flood,
    a_fast_download_is_no_flood,
);

const CALM: Option<u32> = Some(0xb);

/// How much the process may grow while many times that is sent.
const GROWTH: usize = 4 << 20;

/// One test at a time: they look at the memory of the whole process.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The memory that the process has in use, and how far it has grown since at most.
struct Memory(usize);

impl Memory {
    fn begin() -> Self {
        // Begins the peak anew: proc(5).
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

/// One block over and over: what it takes is not the library's.
fn endless() -> impl http_body::Body<Data = Bytes, Error = Error> {
    let block = Bytes::from_static(&[0; 64 * 1024]);
    let frames = std::iter::repeat_with(move || Ok(Frame::data(block.clone())));
    StreamBody::new(futures_util::stream::iter(frames))
}

/// Answers "/" when it has read the body, "/early" before, "/echo" with it, "/wait" never, "/endless"
/// without end.
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

/// On every driver: a flood, by one connection, on a server of its own.
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

/// So that h2's own limits show.
fn frames_unlimited(_: &mut Limits, http2: &mut Http2Config) {
    http2.max_extra_frames = u32::MAX;
}

/// Neither ended nor held back.
fn assert_no_flood(server: &TestServer) {
    let counters = server.counters()[0];
    assert_eq!((counters.floods, counters.connections_held_back), (0, 0));
}

/// Pairs of HEADERS and RST_STREAM on streams of their own, from the first to the last.
fn requests(streams: std::ops::Range<u32>, path: &str, behind: impl Fn(u32) -> Vec<u8>) -> Vec<u8> {
    let block = hpack::get(path);
    streams
        .map(|i| 2 * i + 1)
        .flat_map(|stream| [headers(stream, WHOLE, &block), behind(stream)].concat())
        .collect()
}

/// CVE-2023-44487, as it was done: everything at once.
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

/// The same at leisure: each request has reached its handler before it is reset, so that h2 counts
/// nothing.
fn rapid_reset_of_requests_under_way(backend: Backend) {
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

/// A browser that leaves a page while it loads.
fn all_taken_back_at_once_is_no_flood(backend: Backend) {
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

/// A client that changes its mind half of the time.
fn resets_among_answers_are_no_flood(backend: Backend) {
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

/// CVE-2025-8671: the peer makes the server reset streams whose handlers are at work.
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

fn made_you_reset_by_windows(backend: Backend) {
    made_you_reset(backend, |stream| {
        let begun = headers(stream, WHOLE, &hpack::get("/wait"));
        [begun, window_update(stream, (1 << 31) - 1)].concat()
    });
}

fn made_you_reset_by_bodies(backend: Backend) {
    made_you_reset(backend, |stream| {
        let block = hpack::request("POST", "/wait", &[("content-length", b"1")]);
        [headers(stream, END_HEADERS, &block), data(stream, 0, b"xx")].concat()
    });
}

fn streams_above_the_limit(backend: Backend) {
    let flood = requests(200..5000, "/wait", |_| Vec::new());
    let begin = requests(0..200, "/wait", |_| Vec::new());
    ended_by_h2(backend, &begin, &flood, |running| {
        assert!(running.most() <= 201);
    });
}

fn malformed_requests(backend: Backend) {
    let flood: Vec<u8> = (0..5000)
        .flat_map(|i| headers(2 * i + 1, WHOLE, &hpack::block(&[("x", b"y")])))
        .collect();
    ended_by_h2(backend, b"", &flood, |running| {
        assert!(running.most() <= 1, "none reaches the service");
    });
}

/// Sent once; h2 ends it.
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

/// CVE-2024-27316 and its family.
fn continuation_without_end(backend: Backend) {
    let begin = headers(1, END_STREAM, &hpack::get("/"));
    let fields = hpack::block(&[("x-header", &[b'y'; 1000])]);
    let more = continuation(1, 0, &fields.repeat(15));
    flood(backend, any, &begin, &more, |flooded, server, _| {
        assert_eq!(flooded.goaway, CALM);
        assert_ended_by_h2(server);
    });
}

fn empty_continuation_without_end(backend: Backend) {
    let begin = headers(1, END_STREAM, &hpack::get("/"));
    let more = continuation(1, 0, b"").repeat(1000);
    flood(backend, any, &begin, &more, |flooded, server, _| {
        assert_eq!(flooded.goaway, CALM);
        assert_ended_by_h2(server);
    });
}

/// As many as CONTINUATION allows, again and again: each is answered 431, and none is kept.
fn header_lists_above_the_limit(backend: Backend) {
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

/// CVE-2016-6581 and such: one large entry of the table, and a frame full of references to it. 64
/// MiB, if it were decoded.
fn an_hpack_bomb(backend: Backend) {
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

/// Frames that ask for nothing: ended once there are more than any client sends.
fn extra_frames(backend: Backend, begin: &[u8], frame: &[u8]) {
    more_than(1_000, backend, begin, frame);
}

fn more_than(most: usize, backend: Backend, begin: &[u8], frame: &[u8]) {
    flood(
        backend,
        // No more than may come at once, or it would take until the period is over.
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
fn pings_without_end(backend: Backend) {
    extra_frames(backend, b"", &ping(&[0; 8]));
}

/// CVE-2019-9515. Each changes the windows of all streams.
fn settings_without_end(backend: Backend) {
    let waiting = requests(0..200, "/wait", |_| Vec::new());
    let change = [
        settings(&[(INITIAL_WINDOW_SIZE, 1)]),
        settings(&[(INITIAL_WINDOW_SIZE, 2)]),
    ];
    more_than(5, backend, &waiting, &change.concat());
}

/// CVE-2019-9513.
fn priorities_without_end(backend: Backend) {
    let shuffle = [priority(3, 5), priority(5, 3)].concat();
    extra_frames(backend, b"", &shuffle);
}

/// CVE-2019-9511 and CVE-2019-9517 open windows in small steps.
fn window_updates_without_end(backend: Backend) {
    let waiting = requests(0..1, "/wait", |_| Vec::new());
    extra_frames(backend, &waiting, &window_update(1, 1));
}

/// The same at leisure: each has let a response go on by a byte before the next one comes.
fn single_bytes_of_window_without_end(backend: Backend) {
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

fn unknown_frames_without_end(backend: Backend) {
    extra_frames(backend, b"", &frame(kind::UNKNOWN, 0, 0, b""));
}

/// A burst of 1,000 passes, the rest by 110 in a second until it is too much.
fn soon(_: &mut Limits, http2: &mut Http2Config) {
    http2.max_extra_frames = 1_100;
}

fn who_sends_too_much_is_held_back_and_ended(backend: Backend) {
    let pings = ping(&[0; 8]).repeat(1000);
    flood(backend, soon, b"", &pings, |flooded, server, _| {
        assert_eq!(flooded.goaway, CALM);
        let counters = server.counters()[0];
        assert_eq!((counters.floods, counters.frame_floods), (1, 1));
        assert_eq!(counters.connections_held_back, 1);
    });
}

fn who_stops_in_time_is_answered(backend: Backend) {
    let pings = ping(&[0; 8]).repeat(1500);
    held_back(backend, any, &pings, async |peer, _| {
        let ask = headers(1, WHOLE, &hpack::get("/"));
        peer.send(&ask).await.expect("sent");
        peer.until(|frame| frame.ends(1)).await;
    });
}

/// h2 takes a hundred of them.
fn empty_data_is_held_back_and_not_ended(backend: Backend) {
    let begun = headers(1, END_HEADERS, &hpack::post("/"));
    let empty = data(1, 0, b"").repeat(15);
    held_back(backend, any, &[begun, empty].concat(), async |peer, _| {
        let last = data(1, END_STREAM, b"x");
        peer.send(&last).await.expect("sent");
        peer.until(|frame| frame.ends(1)).await;
    });
}

/// It may be an honest program that writes byte by byte.
fn single_bytes_are_held_back_and_not_ended(backend: Backend) {
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

/// Nothing is read for about a second.
fn time_limits_hold_for_who_is_held_back(backend: Backend) {
    let options = |limits: &mut Limits, http2: &mut Http2Config| {
        soon(limits, http2);
        limits.idle = Duration::from_millis(300);
    };
    let pings = ping(&[0; 8]).repeat(1050);
    held_back(backend, options, &pings, async |peer, _| {
        let told = peer.until(|frame| frame.is(kind::GOAWAY, 0)).await;
        let pongs = told.iter().filter(|frame| frame.is_ack(kind::PING));
        assert!(pongs.count() < 1050, "it was read from all the time");
        let goaway = told.last().and_then(peer::Frame::code);
        assert_eq!(goaway, Some(u32::from(Reason::NO_ERROR)));
    });
}

fn who_is_held_back_may_go(backend: Backend) {
    let pings = ping(&[0; 8]).repeat(1050);
    held_back(backend, soon, &pings, async |peer, server| {
        peer.end().await.expect("sent");
        peer.until_closed().await;
        server.wait_for("noticed", |c| c.connections_closed == 1);
    });
}

/// A peer that sends too much for once, and what it does then.
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

/// The client does not read: what waits for it must not pile up.
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
fn pings_that_nobody_reads_the_answers_of(backend: Backend) {
    deaf_flood(backend, &[], b"", &ping(&[0; 8]).repeat(1000));
}

/// CVE-2019-9515: acknowledgements of SETTINGS.
fn settings_that_nobody_reads_the_answers_of(backend: Backend) {
    deaf_flood(backend, &[], b"", &settings(&[]).repeat(1000));
}

/// CVE-2019-9517: HTTP/2's windows are open, TCP's is not.
fn responses_that_nobody_reads(backend: Backend) {
    const ALL: u32 = (1 << 31) - 1;
    let begin = [
        window_update(0, ALL - 65_535),
        requests(0..200, "/endless", |_| Vec::new()),
    ];
    let windows = [(INITIAL_WINDOW_SIZE, ALL)];
    deaf_flood(backend, &windows, &begin.concat(), &ping(&[0; 8]));
}

/// CVE-2019-9518.
fn empty_data_without_end(backend: Backend) {
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

/// A variant of CVE-2019-9518 that h2 has no limit for: the stream was answered and reset early.
fn ends_of_a_stream_that_was_reset(backend: Backend) {
    let _alone = alone();
    for &driver in Drivers::all() {
        let (server, _) = server(backend, driver, |limits, http2| {
            http2.max_extra_frames = 1_000;
            // So long it may take until the reset.
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

/// Each is a buffer of its own, many times its size.
fn single_bytes_that_nobody_reads(backend: Backend) {
    let begin = headers(1, END_HEADERS, &hpack::post("/wait"));
    let more = data(1, 0, b"x").repeat(1000);
    let half = |limits: &mut Limits, http2: &mut Http2Config| {
        frames_unlimited(limits, http2);
        http2.initial_connection_window_size = 512 * 1024;
    };
    flood(backend, half, &begin, &more, |flooded, server, _| {
        assert_eq!(flooded.goaway, CALM);
        assert_ended_by_h2(server);
    });
}

/// Telemetry, or a gRPC client that streams, while the handler has something else to wait for.
fn a_backlog_of_small_messages_is_no_flood(backend: Backend) {
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

/// gRPC streaming the shortest messages that there are, as fast as it can.
fn messages_of_five_bytes_are_no_flood(backend: Backend) {
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

/// A terminal: each is echoed before the next one comes.
fn single_keystrokes_are_no_flood(backend: Backend) {
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

/// WINDOW_UPDATE for every DATA frame, on the stream and on the connection: wasteful, not hostile.
fn a_fast_download_is_no_flood(backend: Backend) {
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
    // A name of h2's that the codes above stand for.
    assert_eq!(CALM, Some(u32::from(Reason::ENHANCE_YOUR_CALM)));
}
