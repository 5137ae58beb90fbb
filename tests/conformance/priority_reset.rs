//! Sections 6.3 and 6.4: PRIORITY and RST_STREAM.

use crate::case::{Case, Code::*, Outcome, connection_error, ignored, stream_error};
use corelane_test_support::{
    frames::*,
    hpack::{get, post},
};

pub fn cases() -> Vec<Case> {
    let begun = || headers(1, END_HEADERS, &post("/"));
    let waiting = || headers(1, WHOLE, &get("/wait"));
    let protocol_error = Outcome::Connection(ProtocolError as u32);
    vec![
        // 6.3
        connection_error("6.3 PRIORITY on stream 0", ProtocolError, priority(0, 0)),
        ignored(
            "6.3 PRIORITY, exclusive, on another stream",
            [waiting(), priority(1, 1 << 31 | 99)].concat(),
        ),
        stream_error(
            "6.3 PRIORITY of 4 bytes",
            FrameSizeError,
            [waiting(), frame(kind::PRIORITY, 0, 1, &[0; 4])].concat(),
        )
        .deviates(protocol_error, super::FRAME_SIZE),
        stream_error(
            "6.3 PRIORITY of 6 bytes",
            FrameSizeError,
            [waiting(), frame(kind::PRIORITY, 0, 1, &[0; 6])].concat(),
        )
        .deviates(protocol_error, super::FRAME_SIZE),
        // 6.4
        connection_error(
            "6.4 RST_STREAM on stream 0",
            ProtocolError,
            reset(0, Cancel as u32),
        ),
        connection_error(
            "6.4 RST_STREAM of 3 bytes",
            FrameSizeError,
            [begun(), frame(kind::RST_STREAM, 0, 1, &[0; 3])].concat(),
        )
        .deviates(protocol_error, super::FRAME_SIZE),
        connection_error(
            "6.4 RST_STREAM of 5 bytes",
            FrameSizeError,
            [begun(), frame(kind::RST_STREAM, 0, 1, &[0; 5])].concat(),
        )
        .deviates(protocol_error, super::FRAME_SIZE),
        ignored(
            "6.4 RST_STREAM twice",
            [begun(), reset(1, Cancel as u32), reset(1, Cancel as u32)].concat(),
        ),
        ignored(
            "6.4 RST_STREAM with NO_ERROR",
            [waiting(), reset(1, NoError as u32)].concat(),
        ),
    ]
}
