//! Responses: their frames, windows and order of commands.

use bytes::Bytes;
use corelane_http2::{CommandError, Config, ErrorCode};
use corelane_test_frames::{self as frames, END_HEADERS, END_STREAM, WHOLE, kind, setting};
use http::{HeaderMap, HeaderValue, StatusCode, header};

use crate::support::{Pair, data_of};

const NO_FIELDS: fn() -> HeaderMap = HeaderMap::new;

fn zeros(length: usize) -> Bytes {
    Bytes::from(vec![0; length])
}

#[test]
fn a_response_is_head_data_and_trailers_behind_early_hints() {
    let mut pair = Pair::new(Config::default());
    pair.frames();
    let stream = pair.request(1, "/");
    let mut fields = NO_FIELDS();
    fields.insert(header::LINK, HeaderValue::from_static("</a>"));
    let server = &mut pair.server;
    let hints = StatusCode::EARLY_HINTS;
    assert_eq!(server.informational(stream, hints, &fields), Ok(()));
    fields.clear();
    fields.insert(header::CONTENT_TYPE, HeaderValue::from_static("a/b"));
    assert_eq!(
        server.respond(stream, StatusCode::IM_A_TEAPOT, &fields, false),
        Ok(())
    );
    assert_eq!(server.send_data(stream, zeros(20_000), false), Ok(()));
    fields.clear();
    fields.insert("x", HeaderValue::from_static("y"));
    assert_eq!(server.send_trailers(stream, fields), Ok(()));
    assert_eq!(server.open_streams(), 1);

    let sent = pair.frames();
    let kinds: Vec<_> = sent.iter().map(|frame| (frame.kind, frame.flags)).collect();
    assert_eq!(
        kinds,
        [
            (kind::HEADERS, END_HEADERS),
            (kind::HEADERS, END_HEADERS),
            (kind::DATA, 0),
            (kind::DATA, 0),
            (kind::HEADERS, WHOLE)
        ]
    );
    let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(
        pair.fields(&sent[0].payload),
        [field(":status", "103"), field("link", "</a>")]
    );
    assert_eq!(
        pair.fields(&sent[1].payload),
        [field(":status", "418"), field("content-type", "a/b")]
    );
    assert_eq!(pair.fields(&sent[4].payload), [field("x", "y")]);
    assert_eq!(data_of(&sent).iter().map(|(_, n)| n).sum::<usize>(), 20_000);
    assert_eq!(pair.server.open_streams(), 0);
    assert!(!pair.server.is_open(stream));
}

#[test]
fn commands_out_of_order_are_errors_and_leave_the_stream_open() {
    let mut pair = Pair::new(Config::default());
    let stream = pair.request(1, "/");
    let server = &mut pair.server;
    let out_of_order = Err(CommandError::OutOfOrder);
    assert_eq!(server.send_data(stream, zeros(1000), true), out_of_order);
    assert_eq!(server.send_trailers(stream, NO_FIELDS()), out_of_order);
    let mut forbidden = NO_FIELDS();
    forbidden.insert(header::CONNECTION, HeaderValue::from_static("close"));
    let refused = Err(CommandError::ForbiddenField);
    let ok = StatusCode::OK;
    assert_eq!(server.respond(stream, ok, &forbidden, true), refused);
    assert_eq!(
        server.respond(stream, StatusCode::CONTINUE, &NO_FIELDS(), true),
        refused
    );
    let switching = StatusCode::SWITCHING_PROTOCOLS;
    assert_eq!(
        server.informational(stream, switching, &NO_FIELDS()),
        refused
    );
    assert_eq!(server.respond(stream, ok, &NO_FIELDS(), false), Ok(()));
    assert_eq!(
        server.respond(stream, ok, &NO_FIELDS(), false),
        out_of_order
    );
    assert_eq!(server.send_trailers(stream, forbidden), refused);
    assert_eq!(server.send_data(stream, zeros(1000), false), Ok(()));
    assert_eq!(server.send_data(stream, zeros(1000), false), out_of_order);
    pair.frames();
    assert_eq!(pair.server.poll_writable(), Some(stream));
    assert_eq!(pair.server.poll_writable(), None);
    assert_eq!(pair.server.send_data(stream, Bytes::new(), true), Ok(()));
    assert_eq!(
        pair.server.send_data(stream, zeros(1000), true),
        Err(CommandError::Closed)
    );
}

#[test]
fn data_keeps_to_the_window_of_its_stream_even_if_that_is_negative() {
    let mut pair = Pair::new(Config::default());
    let window = |size| frames::settings(&[(setting::INITIAL_WINDOW_SIZE, size)]);
    pair.send(&window(10));
    let stream = pair.responding(1);
    assert_eq!(pair.server.send_data(stream, zeros(100), true), Ok(()));
    assert_eq!(data_of(&pair.frames()), [(1, 10)]);
    // 10 of 5 are sent.
    pair.send(&window(5));
    pair.send(&frames::window_update(1, 5));
    assert_eq!(data_of(&pair.frames()), []);
    pair.send(&frames::window_update(1, 2));
    assert_eq!(data_of(&pair.frames()), [(1, 2)]);
    assert_eq!(pair.server.queued(stream), 88);
    pair.send(&window(1000));
    let last = pair.frames();
    assert_eq!(data_of(&last), [(1, 88)]);
    assert_eq!(last.last().map(|frame| frame.flags), Some(END_STREAM));
}

#[test]
fn data_keeps_to_the_window_of_the_connection() {
    let mut pair = Pair::new(Config::default());
    pair.send(&frames::settings(&[(
        setting::INITIAL_WINDOW_SIZE,
        1 << 20,
    )]));
    let (first, second) = (pair.responding(1), pair.responding(3));
    for stream in [first, second] {
        assert_eq!(pair.server.send_data(stream, zeros(60_000), true), Ok(()));
    }
    let total = |sent: Vec<(u32, usize)>| sent.iter().map(|(_, length)| length).sum::<usize>();
    assert_eq!(total(data_of(&pair.frames())), 65_535);
    assert!(!pair.server.wants_transmit());
    // An end without data needs no window.
    let third = pair.responding(5);
    assert_eq!(pair.server.send_data(third, Bytes::new(), true), Ok(()));
    assert_eq!(data_of(&pair.frames()), [(5, 0)]);
    pair.send(&frames::window_update(0, 1000));
    assert_eq!(total(data_of(&pair.frames())), 1000);
    pair.send(&frames::window_update(0, 1 << 20));
    assert_eq!(total(data_of(&pair.frames())), 120_000 - 66_535);
    assert_eq!(pair.server.open_streams(), 0);
}

#[test]
fn the_size_of_records_does_not_change_what_is_sent() {
    let all = |room| {
        let mut pair = Pair::new(Config::default());
        for number in [1, 3, 5] {
            let stream = pair.responding(number);
            let sent = pair.server.send_data(stream, zeros(7000), true);
            assert_eq!(sent, Ok(()));
        }
        let mut lengths = [0; 3];
        for (stream, length) in data_of(&pair.frames_in(room)) {
            lengths[stream as usize / 2] += length;
        }
        assert_eq!(pair.server.open_streams(), 0);
        lengths
    };
    for room in [10, 11, 64, 300, 1000, 16_384, usize::MAX] {
        assert_eq!(all(room), [7000; 3], "{room}");
    }
}

#[test]
fn frames_are_no_larger_than_the_client_reads() {
    let mut pair = Pair::new(Config::default());
    let stream = pair.request(1, "/");
    let mut fields = NO_FIELDS();
    let long = HeaderValue::from_bytes(&[b'~'; 40_000]).expect("a value");
    fields.insert("x", long.clone());
    let responded = pair.server.respond(stream, StatusCode::OK, &fields, false);
    assert_eq!(responded, Ok(()));
    assert_eq!(pair.server.send_data(stream, zeros(40_000), true), Ok(()));
    let mut sent = pair.frames_in(usize::MAX);
    sent.retain(|frame| frame.stream == 1);
    assert!(sent.iter().all(|frame| frame.payload.len() <= 16_384));
    let blocks = sent
        .iter()
        .filter(|frame| matches!(frame.kind, kind::HEADERS | kind::CONTINUATION));
    let block: Vec<_> = blocks.flat_map(|frame| frame.payload.clone()).collect();
    assert_eq!(pair.fields(&block)[1].1.as_bytes(), long.as_bytes());
}

#[test]
fn a_reset_stream_sends_nothing_more() {
    let mut pair = Pair::new(Config::default());
    let stream = pair.responding(1);
    assert_eq!(pair.server.send_data(stream, zeros(1000), true), Ok(()));
    assert_eq!(pair.server.reset(stream, ErrorCode::CANCEL), Ok(()));
    assert_eq!(
        pair.server.reset(stream, ErrorCode::CANCEL),
        Err(CommandError::Closed)
    );
    let sent = pair.frames();
    assert_eq!(data_of(&sent), []);
    let on_stream: Vec<_> = sent.iter().filter(|it| it.stream == 1).collect();
    let kinds: Vec<_> = on_stream.iter().map(|frame| frame.kind).collect();
    assert_eq!(kinds, [kind::HEADERS, kind::RST_STREAM]);
    // Frames that were on their way.
    let late = [
        frames::window_update(1, 1),
        frames::reset(1, 8),
        frames::priority(1, 0),
    ];
    assert!(pair.send(&late.concat()).is_empty());
    assert_eq!(pair.frames(), []);
}

#[test]
fn small_pieces_go_at_once_within_the_windows() {
    let mut pair = Pair::new(Config::default());
    pair.send(&frames::settings(&[(setting::INITIAL_WINDOW_SIZE, 5)]));
    let (first, second) = (pair.responding(1), pair.responding(3));
    // Both before the caller polls.
    for _ in 0..2 {
        assert_eq!(pair.server.send_data(first, zeros(2), false), Ok(()));
        assert_eq!(pair.server.queued(first), 0);
    }
    assert_eq!(pair.server.poll_writable(), Some(first));
    assert_eq!(pair.server.poll_writable(), None);
    assert_eq!(pair.server.send_data(first, zeros(2), true), Ok(()));
    assert_eq!(pair.server.queued(first), 2);
    // It does not overtake one that waits for its turn.
    assert_eq!(pair.server.send_data(second, zeros(5), false), Ok(()));
    assert_eq!(data_of(&pair.frames()), [(1, 2), (1, 2), (1, 1), (3, 5)]);
    assert_eq!(pair.server.poll_writable(), Some(second));
    assert_eq!(pair.server.send_trailers(second, NO_FIELDS()), Ok(()));
    pair.send(&frames::window_update(1, 1));
    assert_eq!(data_of(&pair.frames()), [(1, 1)]);
    assert_eq!(pair.server.open_streams(), 0);
    assert_eq!(pair.server.poll_writable(), None);
}

#[test]
fn pieces_that_are_not_sent_are_bounded() {
    let mut pair = Pair::new(Config::default());
    let stream = pair.responding(1);
    let mut pieces = 0;
    while pair.server.send_data(stream, zeros(500), false).is_ok() {
        assert!(pair.server.pending_output() < 17 * 1024);
        pieces += 1;
    }
    assert_eq!(pair.server.queued(stream), 500);
    assert_eq!(data_of(&pair.frames()).len(), pieces);
    assert_eq!(pair.server.poll_writable(), Some(stream));
    assert_eq!(pair.server.poll_writable(), None);
}

/// A caller that counts what it has queued must not take a later piece for sent.
#[test]
fn a_stream_is_not_named_as_sent_while_data_is_queued() {
    let mut pair = Pair::new(Config::default());
    let stream = pair.responding(1);
    assert_eq!(pair.server.send_data(stream, zeros(10), false), Ok(()));
    assert_eq!(pair.server.queued(stream), 0);
    assert_eq!(pair.server.send_data(stream, zeros(60_000), false), Ok(()));
    let mut first = Vec::new();
    pair.server.transmit(&mut first, 100);
    assert!(pair.server.queued(stream) > 0);
    assert_eq!(pair.server.poll_sent(), None);
    while pair.server.wants_transmit() {
        pair.server.transmit(&mut first, 100_000);
    }
    assert_eq!(pair.server.poll_sent(), Some(stream));
    assert_eq!(pair.server.poll_sent(), None);
}
