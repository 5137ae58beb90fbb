//! GOAWAY, errors of the connection, and what a client may still do.

use corelane_http2::{CommandError, Config, ErrorCode, Event};
use corelane_test_frames::{self as frames, WHOLE, hpack, kind};
use http::{HeaderMap, StatusCode};

use crate::support::{Frame, Pair, Seen};

fn go_away(pair: &mut Pair) -> Vec<(u32, u32)> {
    let is_it = |frame: &&Frame| frame.is(kind::GOAWAY, 0);
    let sent = pair.frames();
    let frames = sent.iter().filter(is_it);
    frames.map(|it| (it.number(0), it.number(4))).collect()
}

#[test]
fn a_graceful_shutdown_has_two_steps() {
    let mut pair = Pair::new(Config::default());
    let first = pair.request(1, "/");
    pair.server.announce_shutdown();
    assert_eq!(go_away(&mut pair), [((1 << 31) - 1, 0)]);
    // On its way.
    let second = pair.request(3, "/");
    pair.server.go_away();
    pair.server.go_away();
    assert_eq!(go_away(&mut pair), [(3, 0)]);
    // Later requests, and what belongs to them, are ignored; their header blocks count.
    let block = [&hpack::get("/")[..], &[0x40, 1, b'x', 1, b'y']].concat();
    let ignored = [
        frames::headers(5, WHOLE ^ 1, &block),
        frames::data(5, 1, b"x"),
        frames::window_update(5, 1),
        frames::reset(5, 8),
    ];
    assert!(pair.send(&ignored.concat()).is_empty());
    assert_eq!(pair.frames(), []);
    assert_eq!(pair.server.open_streams(), 2);
    for stream in [first, second] {
        let fields = HeaderMap::new();
        let responded = pair.server.respond(stream, StatusCode::OK, &fields, true);
        assert_eq!(responded, Ok(()));
    }
    assert_eq!(pair.server.open_streams(), 0);
    assert!(!pair.server.is_ended());
    pair.server.close(ErrorCode::NO_ERROR);
    assert!(pair.server.is_ended());
    assert_eq!(go_away(&mut pair), [(3, 0)]);
}

#[test]
fn an_error_ends_everything_once() {
    let mut pair = Pair::new(Config::default());
    let stream = pair.request(1, "/");
    let wrong = [frames::data(0, 0, b""), frames::ping(&[0; 8])];
    let error = pair
        .try_send(&wrong.concat())
        .expect_err("DATA on stream 0");
    assert_eq!(error.code(), ErrorCode::PROTOCOL_ERROR);
    assert_eq!(error.to_string(), "PROTOCOL_ERROR: DATA on stream 0");
    assert_eq!(pair.server.open_streams(), 0);
    assert_eq!(
        pair.server.reset(stream, ErrorCode::CANCEL),
        Err(CommandError::Closed)
    );
    assert!(pair.send(&frames::ping(&[0; 8])).is_empty());
    pair.server.close(ErrorCode::NO_ERROR);
    pair.server.announce_shutdown();
    pair.server.go_away();
    pair.server.ping([0; 8]);
    pair.server.release_capacity(stream, usize::MAX);
    let sent = pair.frames();
    assert!(sent.last().expect("GOAWAY").is(kind::GOAWAY, 0));
    assert_eq!(sent.iter().filter(|it| it.is(kind::GOAWAY, 0)).count(), 1);
}

#[test]
fn a_client_may_leave() {
    let mut pair = Pair::new(Config::default());
    let seen = pair.send(&frames::goaway(0, 0, b"why"));
    assert!(matches!(
        seen[..],
        [Seen::Event(Event::GoAway {
            code: ErrorCode::NO_ERROR
        })]
    ));
}

#[test]
fn the_preface_is_checked_byte_by_byte() {
    use corelane_http2::Connection;
    let mut server = Connection::new(Config::default());
    assert!(server.is_within_frame());
    for byte in &frames::PREFACE[..10] {
        let mut input = std::slice::from_ref(byte);
        assert!(matches!(server.receive(&mut input), Ok(None)));
    }
    assert!(!server.is_established());
    let error = server.receive(&mut &b"!"[..]).expect_err("not the preface");
    assert_eq!(error.code(), ErrorCode::PROTOCOL_ERROR);

    let mut server = Connection::new(Config::default());
    let bytes = [frames::PREFACE, &frames::ping(&[0; 8])].concat();
    assert!(server.receive(&mut &bytes[..]).is_err());
}

#[test]
fn a_connection_may_move_to_another_thread() {
    let mut pair = Pair::new(Config::default());
    let stream = pair.request(1, "/");
    let server = std::thread::spawn(move || {
        let fields = HeaderMap::new();
        let responded = pair.server.respond(stream, StatusCode::OK, &fields, true);
        assert_eq!(responded, Ok(()));
        pair.server
    });
    let server = server.join().expect("no panic");
    assert!(format!("{server:?}").contains("open_streams: 0"));
}
