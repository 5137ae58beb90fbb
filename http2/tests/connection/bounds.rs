//! What a client cannot make the connection hold or do.

use corelane_http2::{Config, ErrorCode, Event};
use corelane_test_frames::{self as frames, END_HEADERS, END_STREAM, WHOLE, hpack, kind};
use http::{HeaderMap, StatusCode};

use crate::support::{Pair, Seen};

#[test]
fn input_waits_while_the_answers_are_not_sent() {
    let mut pair = Pair::new(Config::default());
    pair.frames();
    let pings = frames::ping(&[0; 8]).repeat(10_000);
    let mut input = &pings[..];
    let mut answers = 0;
    let mut rounds = 0;
    while !input.is_empty() {
        assert!(matches!(pair.server.receive(&mut input), Ok(None)));
        assert!(pair.server.pending_output() < 17 * 1024);
        // Nothing more is taken.
        let left = input.len();
        assert!(matches!(pair.server.receive(&mut input), Ok(None)));
        assert_eq!(input.len(), left);
        answers += pair.frames().len();
        rounds += 1;
    }
    assert_eq!(answers, 10_000);
    assert!(rounds > 10);
    assert_eq!(pair.server.stats().pings, 10_000);
}

#[test]
fn more_streams_than_allowed_are_refused() {
    let mut pair = Pair::new(Config::default().max_concurrent_streams(2));
    let first = pair.request(1, "/");
    pair.request(3, "/");
    let third = frames::headers(5, WHOLE, &hpack::get("/"));
    assert!(pair.send(&third).is_empty());
    assert_eq!(pair.reset_code(5), Some(ErrorCode::REFUSED_STREAM.0));
    assert_eq!(pair.server.stats().refused, 1);
    let fields = HeaderMap::new();
    let responded = pair.server.respond(first, StatusCode::OK, &fields, true);
    assert_eq!(responded, Ok(()));
    pair.request(7, "/");
}

#[test]
fn a_head_above_the_limit_may_be_answered() {
    let mut pair = Pair::new(Config::default().max_header_list_size(1000));
    let block = hpack::request("GET", "/", &[("x", &[b'y'; 1000])]);
    let seen = pair.send(&frames::headers(1, WHOLE, &block));
    let [Seen::Event(Event::HeadTooLarge { stream, end: true })] = seen[..] else {
        panic!("{seen:?}");
    };
    let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
    let responded = pair.server.respond(stream, status, &HeaderMap::new(), true);
    assert_eq!(responded, Ok(()));
    let mut sent = pair.frames();
    let head = sent.pop().expect("a response");
    assert_eq!(pair.fields(&head.payload)[0].1, "431");
    pair.request(3, "/");
}

#[test]
fn a_header_block_is_bounded_in_bytes_and_in_frames() {
    let block = hpack::get("/");
    for piece in [&b""[..], &[0; 16_384]] {
        let mut pair = Pair::new(Config::default());
        pair.send(&frames::headers(1, END_STREAM, &block));
        let mut continuations = 0;
        let error = loop {
            match pair.try_send(&frames::continuation(1, 0, piece)) {
                Ok(seen) => assert!(seen.is_empty()),
                Err(error) => break error,
            }
            continuations += 1;
            assert!(continuations <= 32);
        };
        assert_eq!(error.code(), ErrorCode::ENHANCE_YOUR_CALM);
    }
    // As many as allowed.
    let mut pair = Pair::new(Config::default());
    pair.send(&frames::headers(1, END_STREAM, &block));
    for _ in 0..31 {
        pair.send(&frames::continuation(1, 0, b""));
    }
    assert_eq!(
        pair.send(&frames::continuation(1, END_HEADERS, b"")).len(),
        1
    );
}

#[test]
fn resets_are_counted() {
    let mut pair = Pair::new(Config::default());
    pair.request(1, "/");
    pair.responding(3);
    pair.send(
        &[
            frames::reset(1, 8),
            frames::reset(3, 8),
            frames::reset(1, 8),
        ]
        .concat(),
    );
    let stats = pair.server.stats();
    assert_eq!(
        (stats.requests, stats.resets, stats.early_resets),
        (2, 2, 1)
    );
    assert_eq!(pair.server.open_streams(), 0);
}

#[test]
fn frames_that_only_cost_work_are_counted() {
    let mut pair = Pair::new(Config::default());
    pair.upload(1);
    let before = *pair.server.stats();
    let frames = [
        frames::data(1, 0, b""),
        frames::data(1, 0, b"x"),
        frames::settings(&[]),
        frames::priority(1, 0),
        frames::window_update(1, 1),
        frames::frame(kind::UNKNOWN, 0, 0, b"xyz"),
    ];
    pair.send(&frames.concat());
    let now = *pair.server.stats();
    assert_eq!(now.frames - before.frames, 6);
    assert_eq!(now.data - before.data, 2);
    assert_eq!(now.empty_data - before.empty_data, 1);
    assert_eq!(now.small_data - before.small_data, 2);
    assert_eq!(now.settings - before.settings, 1);
    assert_eq!(now.priorities - before.priorities, 1);
    assert_eq!(now.window_updates - before.window_updates, 1);
    assert_eq!(now.unknown - before.unknown, 1);
}

#[test]
fn a_frame_above_the_limit_is_an_error_when_its_head_arrives() {
    let mut pair = Pair::new(Config::default());
    let head = frames::head(16_385, kind::DATA, 0, 1);
    let error = pair.try_send(&head).expect_err("too large");
    assert_eq!(error.code(), ErrorCode::FRAME_SIZE_ERROR);
}
