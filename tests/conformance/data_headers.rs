//! Sections 6.1 and 6.2: DATA and HEADERS.

use crate::case::{Case, Code::*, Outcome, answered, connection_error, ignored, malformed, send};
use corelane_test_support::{
    frames::*,
    hpack::{get, post},
    peer::Frame,
};

/// The path "/" answers with the number of body bytes that it read.
fn says(frames: &[Frame], body: &[u8]) -> bool {
    frames
        .iter()
        .filter(|frame| frame.is(kind::DATA, 1))
        .flat_map(|frame| &frame.payload)
        .eq(body)
}

pub fn cases() -> Vec<Case> {
    let begun = || headers(1, END_HEADERS, &post("/"));
    let body = |flags, payload: &[u8]| [begun(), data(1, flags, payload)].concat();
    let short = Outcome::Connection(FrameSizeError as u32);
    vec![
        // 6.1
        connection_error(
            "6.1 DATA on stream 0",
            ProtocolError,
            data(0, END_STREAM, b"x"),
        ),
        answered("6.1 DATA", body(END_STREAM, b"five!"))
            .also("five bytes were read", |frames| says(frames, b"5")),
        answered(
            "6.1 DATA, empty, that ends the stream",
            body(END_STREAM, b""),
        )
        .also("no byte was read", |frames| says(frames, b"0")),
        answered(
            "6.1 DATA, empty, that does not end the stream",
            [body(0, b""), data(1, END_STREAM, b"x")].concat(),
        )
        .also("one byte was read", |frames| says(frames, b"1")),
        ignored("6.1 DATA without END_STREAM", body(0, b"x")),
        answered(
            "6.1 DATA padded",
            body(END_STREAM | PADDED, &padded(b"five!", &[0; 255])),
        )
        .also("five bytes were read", |frames| says(frames, b"5")),
        answered(
            "6.1 DATA padded by nothing",
            body(END_STREAM | PADDED, &padded(b"five!", &[])),
        )
        .also("five bytes were read", |frames| says(frames, b"5")),
        answered(
            "6.1 DATA of padding only",
            body(END_STREAM | PADDED, &padded(b"", &[0; 10])),
        )
        .also("no byte was read", |frames| says(frames, b"0")),
        answered(
            "6.1 DATA padded by other bytes than zero",
            body(END_STREAM | PADDED, &padded(b"five!", &[7; 10])),
        )
        .or(Outcome::Connection(ProtocolError as u32)),
        connection_error(
            "6.1 DATA padded by as much as its payload",
            ProtocolError,
            body(END_STREAM | PADDED, &[5, 0, 0, 0, 0]),
        ),
        connection_error(
            "6.1 DATA padded by more than its payload",
            ProtocolError,
            body(END_STREAM | PADDED, &[255, 0]),
        ),
        connection_error(
            "6.1 DATA padded, too short for the pad length",
            ProtocolError,
            body(END_STREAM | PADDED, b""),
        )
        .or(short),
        // 6.2
        connection_error(
            "6.2 HEADERS on stream 0",
            ProtocolError,
            headers(0, WHOLE, &get("/")),
        ),
        answered("6.2 HEADERS", headers(1, WHOLE, &get("/"))),
        answered(
            "6.2 HEADERS padded",
            headers(1, WHOLE | PADDED, &padded(&get("/"), &[0; 255])),
        ),
        answered(
            "6.2 HEADERS padded by nothing",
            headers(1, WHOLE | PADDED, &padded(&get("/"), &[])),
        ),
        answered(
            "6.2 HEADERS padded and with priority",
            headers(
                1,
                WHOLE | PADDED | PRIORITY,
                &padded(&[dependency(0), get("/")].concat(), &[0; 10]),
            ),
        ),
        connection_error(
            "6.2 HEADERS padded by more than its payload",
            ProtocolError,
            headers(1, WHOLE | PADDED, &[&[255][..], &get("/")].concat()),
        ),
        connection_error(
            "6.2 HEADERS padded by more than the bytes after the priority",
            ProtocolError,
            headers(1, WHOLE | PADDED | PRIORITY, &[3, 0, 0, 0, 0, 15, 0]),
        ),
        connection_error(
            "6.2 HEADERS padded, too short for the pad length",
            FrameSizeError,
            headers(1, WHOLE | PADDED, b""),
        )
        .or(Outcome::Connection(ProtocolError as u32))
        .today(Outcome::Connection(ProtocolError as u32)),
        connection_error(
            "6.2 HEADERS with priority, too short for it",
            FrameSizeError,
            headers(1, WHOLE | PRIORITY, &[0, 0, 0, 0]),
        )
        .deviates(Outcome::Connection(ProtocolError as u32), super::FRAME_SIZE),
        malformed("6.2 HEADERS without a field", headers(1, WHOLE, b"")),
        answered(
            "6.2 HEADERS with END_STREAM, then CONTINUATION",
            send(headers(1, END_STREAM, &get("/")[..3])).send(continuation(
                1,
                END_HEADERS,
                &get("/")[3..],
            )),
        ),
    ]
}
