//! Section 6.10: CONTINUATION.

use crate::case::{Case, Code::*, answered, connection_error, send};
use corelane_test_support::{
    frames::*,
    hpack::{block, get, post},
};

pub fn cases() -> Vec<Case> {
    let whole = get("/");
    let (one, two, three) = (&whole[..5], &whole[5..30], &whole[30..]);
    let begun = || headers(1, END_HEADERS, &post("/"));
    vec![
        answered(
            "6.10 field block in three frames",
            [
                headers(1, END_STREAM, one),
                continuation(1, 0, two),
                continuation(1, END_HEADERS, three),
            ]
            .concat(),
        ),
        answered(
            "6.10 field block in three frames, one at a time",
            send(headers(1, END_STREAM, one))
                .send(continuation(1, 0, two))
                .send(continuation(1, END_HEADERS, three)),
        ),
        answered(
            "6.10 empty HEADERS, then CONTINUATION",
            [
                headers(1, END_STREAM, b""),
                continuation(1, END_HEADERS, &whole),
            ]
            .concat(),
        ),
        answered(
            "6.10 empty CONTINUATION at the end",
            [
                headers(1, END_STREAM, &whole),
                continuation(1, 0, b""),
                continuation(1, END_HEADERS, b""),
            ]
            .concat(),
        ),
        answered(
            "6.10 trailers in two frames",
            [
                begun(),
                headers(1, END_STREAM, &block(&[("x", b"y")])),
                continuation(1, END_HEADERS, &block(&[("z", b"y")])),
            ]
            .concat(),
        ),
        connection_error(
            "6.10 CONTINUATION on stream 0",
            ProtocolError,
            continuation(0, END_HEADERS, b""),
        ),
        connection_error(
            "6.10 CONTINUATION on stream 0 within a field block",
            ProtocolError,
            [headers(1, END_STREAM, one), continuation(0, 0, two)].concat(),
        ),
        connection_error(
            "6.10 CONTINUATION after END_HEADERS",
            ProtocolError,
            [begun(), continuation(1, END_HEADERS, b"")].concat(),
        ),
        connection_error(
            "6.10 CONTINUATION after one with END_HEADERS",
            ProtocolError,
            [
                headers(1, 0, one),
                continuation(1, END_HEADERS, &whole[5..]),
                continuation(1, END_HEADERS, b""),
            ]
            .concat(),
        ),
        connection_error(
            "6.10 CONTINUATION after DATA",
            ProtocolError,
            [begun(), data(1, 0, b"x"), continuation(1, END_HEADERS, b"")].concat(),
        ),
        connection_error(
            "6.10 CONTINUATION after RST_STREAM",
            ProtocolError,
            [
                begun(),
                reset(1, Cancel as u32),
                continuation(1, END_HEADERS, b""),
            ]
            .concat(),
        ),
    ]
}
