//! Which response is sent first (RFC 9218).

use bytes::Bytes;
use corelane_http2::{Config, Event, Priority};
use corelane_test_frames::{self as frames, WHOLE, hpack, setting};
use http::{HeaderMap, StatusCode};

use crate::support::{Pair, Seen, data_of, stream_of};

/// Answers requests of these priorities with 40,000 bytes each, and returns whose DATA the frames
/// are.
fn order(mut pair: Pair, priorities: &[(u32, Option<&str>)]) -> Vec<u32> {
    let large = [
        frames::settings(&[(setting::INITIAL_WINDOW_SIZE, 1 << 20)]),
        frames::window_update(0, 1 << 20),
    ];
    pair.send(&large.concat());
    for (number, priority) in priorities {
        let field = priority.map(|it| ("priority", it.as_bytes()));
        let block = hpack::request("GET", "/", field.as_slice());
        let stream = stream_of(&pair.send(&frames::headers(*number, WHOLE, &block)));
        let (server, fields) = (&mut pair.server, HeaderMap::new());
        assert_eq!(
            server.respond(stream, StatusCode::OK, &fields, false),
            Ok(())
        );
        let body = Bytes::from_static(&[0; 40_000]);
        assert_eq!(server.send_data(stream, body, true), Ok(()));
    }
    let sent = data_of(&pair.frames_in(usize::MAX));
    sent.iter().map(|(stream, _)| *stream).collect()
}

fn new() -> Pair {
    Pair::new(Config::default())
}

#[test]
fn streams_without_priorities_take_turns() {
    let asked = [(1, None), (3, None), (5, None)];
    assert_eq!(order(new(), &asked), [1, 3, 5, 1, 3, 5, 1, 3, 5]);
}

#[test]
fn the_most_urgent_goes_first() {
    let asked = [(1, Some("u=7")), (3, Some("u=0")), (5, Some("u=3"))];
    assert_eq!(order(new(), &asked), [3, 3, 3, 5, 5, 5, 1, 1, 1]);
}

#[test]
fn incremental_ones_take_turns_and_others_do_not() {
    let asked = [(1, Some("i")), (3, Some("i"))];
    assert_eq!(order(new(), &asked), [1, 3, 1, 3, 1, 3]);
    let asked = [(1, Some("u=3")), (3, Some("u=3"))];
    assert_eq!(order(new(), &asked), [1, 1, 1, 3, 3, 3]);
    let asked = [(1, Some("u=3")), (3, Some("u=3, i")), (5, Some("i"))];
    assert_eq!(order(new(), &asked), [1, 3, 1, 5, 1, 3, 5, 3, 5]);
}

#[test]
fn the_defaults_hold_for_a_client_that_knows_of_priorities() {
    let asked = [(1, Some("u=4")), (3, None), (5, None)];
    assert_eq!(order(new(), &asked), [3, 3, 3, 5, 5, 5, 1, 1, 1]);
    let mut pair = new();
    // SETTINGS_NO_RFC7540_PRIORITIES
    pair.send(&frames::settings(&[(9, 1)]));
    assert_eq!(order(pair, &[(1, None), (3, None)]), [1, 1, 1, 3, 3, 3]);
}

fn update(stream: u32, field: &str) -> Vec<u8> {
    let payload = [&stream.to_be_bytes()[..], field.as_bytes()].concat();
    frames::frame(0x10, 0, 0, &payload)
}

#[test]
fn an_update_before_the_request_overrides_its_field() {
    let mut pair = new();
    assert!(pair.send(&update(3, "u=0")).is_empty());
    let asked = [(1, Some("u=3")), (3, Some("u=7"))];
    assert_eq!(order(pair, &asked), [3, 3, 3, 1, 1, 1]);
}

#[test]
fn an_update_changes_a_response_that_waits() {
    let mut pair = new();
    let (first, second) = (pair.responding(1), pair.responding(3));
    for stream in [first, second] {
        let body = Bytes::from_static(&[0; 20_000]);
        assert_eq!(pair.server.send_data(stream, body, true), Ok(()));
    }
    let seen = pair.send(&update(3, "u=1"));
    let expected = Priority {
        urgency: 1,
        incremental: false,
    };
    assert!(matches!(
        seen[..],
        [Seen::Event(Event::PriorityChanged { stream, priority })]
            if stream == second && priority == expected
    ));
    let expected = [(3, 16_384), (3, 3616), (1, 16_384), (1, 3616)];
    assert_eq!(data_of(&pair.frames_in(usize::MAX)), expected);
}
