//! Requests' bodies and their windows, and settings.

use corelane_http2::{Config, ErrorCode, Event};
use corelane_test_frames::{
    self as frames, END_HEADERS, END_STREAM, PADDED, WHOLE, hpack, kind, setting,
};
use http::{HeaderMap, StatusCode};

use crate::support::{Pair, Seen, stream_of};

fn small() -> Config {
    Config::default().initial_stream_window_size(1000)
}

/// The increments of WINDOW_UPDATE by stream.
fn increments(pair: &mut Pair) -> Vec<(u32, u32)> {
    let mut frames = pair.frames();
    frames.retain(|frame| frame.kind == kind::WINDOW_UPDATE);
    let updates = frames.iter().map(|frame| (frame.stream, frame.number(0)));
    updates.collect()
}

#[test]
fn data_is_given_as_it_arrives() {
    let mut pair = Pair::new(Config::default());
    let stream = pair.upload(1);
    let frame = frames::data(1, END_STREAM | PADDED, &frames::padded(b"hello", &[0; 3]));
    let mut seen = Vec::new();
    for piece in frame.chunks(4) {
        for it in pair.send(piece) {
            match it {
                Seen::Data(on, data, end) => {
                    assert_eq!(on, stream);
                    seen.push((String::from_utf8(data).expect("text"), end));
                }
                Seen::Event(event) => panic!("{event:?}"),
            }
        }
        assert!(pair.server.open_streams() == 1);
    }
    let seen: Vec<_> = seen.iter().map(|(data, end)| (&data[..], *end)).collect();
    assert_eq!(seen, [("he", false), ("llo", true)]);
    assert!(!pair.server.is_within_frame());
}

#[test]
fn windows_open_when_data_is_released_and_for_padding_at_once() {
    let mut pair = Pair::new(small());
    let stream = pair.upload(1);
    pair.frames();
    pair.send(&frames::data(1, 0, &[0; 1000]));
    assert_eq!(increments(&mut pair), []);
    pair.server.release_capacity(stream, 499);
    assert_eq!(increments(&mut pair), []);
    pair.server.release_capacity(stream, 1);
    assert_eq!(increments(&mut pair), [(1, 500)]);
    pair.server.release_capacity(stream, 500);
    assert_eq!(increments(&mut pair), [(1, 500)]);
    // Three times 256 bytes, 1 of them data.
    for _ in 0..2 {
        let padded = frames::padded(b"x", &[0; 254]);
        pair.send(&frames::data(1, PADDED, &padded));
    }
    assert_eq!(increments(&mut pair), [(1, 510)]);
}

#[test]
fn the_window_of_the_connection_does_not_depend_on_streams_that_are_closed() {
    let mut pair = Pair::new(Config::default());
    for number in (1..100).step_by(2) {
        let stream = pair.upload(number);
        pair.send(&frames::data(number, 0, &[0; 10_000]));
        match number % 3 {
            0 => drop(pair.send(&frames::reset(number, 8))),
            1 => assert_eq!(pair.server.reset(stream, ErrorCode::CANCEL), Ok(())),
            _ => {}
        }
        pair.server.release_capacity(stream, 10_000);
        // Late, or on an open stream.
        pair.send(&frames::data(number, 0, &[0; 10_000]));
        if number % 3 == 2 {
            pair.server.release_capacity(stream, 10_000);
        }
        pair.frames();
    }
}

#[test]
fn data_past_a_window_is_an_error() {
    let mut pair = Pair::new(small());
    let first = pair.upload(1);
    let seen = pair.send(&frames::data(1, 0, &[0; 1001]));
    assert!(matches!(
        seen[..],
        [Seen::Event(Event::Reset { stream, code: ErrorCode::FLOW_CONTROL_ERROR, by_peer: false })]
            if stream == first
    ));
    assert_eq!(pair.reset_code(1), Some(ErrorCode::FLOW_CONTROL_ERROR.0));

    let mut pair = Pair::new(Config::default().initial_stream_window_size(1 << 20));
    pair.upload(1);
    for _ in 0..3 {
        pair.send(&frames::data(1, 0, &[0; 16_384]));
    }
    let error = pair.try_send(&frames::data(1, 0, &[0; 16_384]));
    let code = error.expect_err("past the connection's window").code();
    assert_eq!(code, ErrorCode::FLOW_CONTROL_ERROR);
    assert!(pair.server.is_ended());
    let last = pair.frames().pop().expect("GOAWAY");
    assert!(last.is(kind::GOAWAY, 0));
    assert_eq!((last.number(0), last.number(4)), (1, 3));
}

#[test]
fn a_smaller_window_holds_when_it_is_acknowledged() {
    let mut pair = Pair::unacknowledged(small());
    let stream = pair.upload(1);
    // The default window holds still.
    assert_eq!(pair.send(&frames::data(1, 0, &[0; 1500])).len(), 1);
    assert!(pair.server.awaits_settings_ack());
    let seen = pair.send(&frames::settings_ack());
    assert!(matches!(
        seen[..],
        [Seen::Event(Event::SettingsAcknowledged)]
    ));
    assert!(!pair.server.awaits_settings_ack());
    pair.server.release_capacity(stream, 1000);
    assert_eq!(pair.send(&frames::data(1, 0, &[0; 500])).len(), 1);
    let seen = pair.send(&frames::data(1, 0, &[0; 1]));
    assert!(matches!(seen[..], [Seen::Event(Event::Reset { .. })]));
    // A second acknowledgement acknowledges nothing.
    assert!(pair.try_send(&frames::settings_ack()).is_err());
}

#[test]
fn a_stream_is_half_closed_by_either_side() {
    let mut pair = Pair::new(Config::default());
    let stream = pair.upload(1);
    let fields = HeaderMap::new();
    let responded = pair.server.respond(stream, StatusCode::OK, &fields, true);
    assert_eq!(responded, Ok(()));
    assert_eq!(pair.server.open_streams(), 1);
    assert_eq!(pair.send(&frames::data(1, 0, b"x")).len(), 1);
    assert_eq!(pair.send(&frames::data(1, END_STREAM, b"")).len(), 1);
    assert_eq!(pair.server.open_streams(), 0);
    // Closed: more DATA is refused, and once only.
    pair.frames();
    for code in [Some(ErrorCode::STREAM_CLOSED.0), None] {
        assert!(pair.send(&frames::data(1, 0, b"x")).is_empty());
        assert_eq!(pair.reset_code(1), code);
    }
}

#[test]
fn a_reset_within_a_data_frame_drops_the_rest() {
    let mut pair = Pair::new(Config::default());
    let stream = pair.upload(1);
    let frame = frames::data(1, END_STREAM, &[0; 100]);
    let (first, rest) = frame.split_at(50);
    assert_eq!(pair.send(first).len(), 1);
    assert_eq!(pair.server.reset(stream, ErrorCode::CANCEL), Ok(()));
    assert!(pair.send(rest).is_empty());
    pair.request(3, "/");
}

#[test]
fn trailers_end_a_request() {
    let mut pair = Pair::new(Config::default());
    let stream = pair.upload(1);
    pair.send(&frames::data(1, 0, b"x"));
    let trailers = frames::headers(1, WHOLE, &hpack::block(&[("x", b"y")]));
    let seen = pair.send(&trailers);
    let [
        Seen::Event(Event::Trailers {
            stream: on,
            trailers,
        }),
    ] = &seen[..]
    else {
        panic!("{seen:?}");
    };
    assert_eq!(*on, stream);
    assert_eq!(trailers["x"], "y");
}

#[test]
fn settings_are_acknowledged_and_told() {
    let mut pair = Pair::new(Config::default());
    let settings = frames::settings(&[(setting::MAX_FRAME_SIZE, 20_000)]);
    let seen = pair.send(&settings);
    let [Seen::Event(Event::Settings(peer))] = &seen[..] else {
        panic!("{seen:?}");
    };
    assert_eq!(peer.max_frame_size, 20_000);
    let sent = pair.frames();
    assert!(
        sent.iter()
            .any(|it| it.is(kind::SETTINGS, 0) && it.flags == 1)
    );
}

#[test]
fn pings_are_answered_and_answers_told() {
    let mut pair = Pair::new(Config::default());
    pair.frames();
    assert!(pair.send(&frames::ping(b"as it is")).is_empty());
    pair.server.ping(*b"the same");
    let sent: Vec<_> = pair.frames();
    let payloads: Vec<_> = sent.iter().map(|it| (it.flags, &it.payload[..])).collect();
    assert_eq!(payloads, [(1, &b"as it is"[..]), (0, &b"the same"[..])]);
    let seen = pair.send(&frames::frame(kind::PING, 1, 0, b"the same"));
    assert!(matches!(&seen[..], [Seen::Event(Event::Pong(it))] if it == b"the same"));
}

#[test]
fn a_request_may_come_in_any_pieces() {
    let block = hpack::get("/");
    let request = [
        frames::headers(1, END_STREAM, &block[..7]),
        frames::continuation(1, 0, &block[7..9]),
        frames::continuation(1, END_HEADERS, &block[9..]),
    ];
    let request = request.concat();
    for size in 1..request.len() {
        let mut pair = Pair::new(Config::default());
        let mut seen = Vec::new();
        for piece in request.chunks(size) {
            assert!(seen.is_empty());
            seen.extend(pair.send(piece));
        }
        stream_of(&seen);
        assert!(!pair.server.is_within_frame());
    }
}

#[test]
fn a_client_is_told_to_stop_when_the_response_is_sent() {
    let mut pair = Pair::new(Config::default());
    pair.frames();
    let stream = pair.upload(1);
    let body = || bytes::Bytes::from_static(&[0; 1000]);
    let (server, fields) = (&mut pair.server, HeaderMap::new());
    assert_eq!(
        server.respond(stream, StatusCode::OK, &fields, false),
        Ok(())
    );
    assert_eq!(server.reset_when_sent(stream), Ok(()));
    assert_eq!(server.send_data(stream, body(), true), Ok(()));
    assert_eq!(pair.server.open_streams(), 1);
    let sent = pair.frames();
    let kinds: Vec<_> = sent.iter().map(|frame| frame.kind).collect();
    assert_eq!(kinds, [kind::HEADERS, kind::DATA, kind::RST_STREAM]);
    assert_eq!(sent[2].number(0), ErrorCode::NO_ERROR.0);
    assert_eq!(pair.server.open_streams(), 0);
    // On its way.
    assert!(pair.send(&frames::data(1, END_STREAM, b"x")).is_empty());
    assert_eq!(pair.frames(), []);

    // The request is complete first: nothing to stop.
    let stream = pair.upload(3);
    assert_eq!(pair.server.reset_when_sent(stream), Ok(()));
    pair.send(&frames::data(3, END_STREAM, b"x"));
    let responded = pair.server.respond(stream, StatusCode::OK, &fields, true);
    assert_eq!(responded, Ok(()));
    assert_eq!(pair.reset_code(3), None);

    // The response is sent first.
    let stream = pair.upload(5);
    let responded = pair.server.respond(stream, StatusCode::OK, &fields, true);
    assert_eq!(responded, Ok(()));
    assert_eq!(pair.server.reset_when_sent(stream), Ok(()));
    assert_eq!(pair.reset_code(5), Some(ErrorCode::NO_ERROR.0));
}

#[test]
fn windows_change_with_the_settings() {
    let mut pair = Pair::new(small());
    let stream = pair.upload(1);
    pair.frames();
    // A larger window at once, a smaller one when it is acknowledged.
    pair.server.set_initial_stream_window_size(2000);
    let sent = pair.frames();
    assert_eq!(sent[0].payload, [0, 4, 0, 0, 7, 0xd0]);
    assert_eq!(pair.send(&frames::data(1, 0, &[0; 1500])).len(), 1);
    pair.server.set_initial_stream_window_size(1000);
    assert_eq!(pair.send(&frames::data(1, 0, &[0; 500])).len(), 1);
    pair.send(&frames::settings_ack());
    pair.server.release_capacity(stream, 1000);
    assert_eq!(increments(&mut pair), [(1, 1000)]);
    assert_eq!(pair.send(&frames::data(1, 0, &[0; 900])).len(), 1);
    assert!(pair.server.awaits_settings_ack());
    pair.send(&frames::settings_ack());
    assert!(!pair.server.awaits_settings_ack());
    // The window is 1000, and 1900 are not released.
    let seen = pair.send(&frames::data(1, 0, &[0; 100]));
    assert!(matches!(seen[..], [Seen::Event(Event::Reset { .. })]));
}
