//! Section 4: frame format, frame size, field section compression.

use crate::case::{
    Case, Code::*, Outcome, answered, connection_error, ignored, send, stream_error,
};
use corelane_test_support::{
    frames::*,
    hpack::{block, get, post},
};

/// The largest frame that the server accepts, SETTINGS_MAX_FRAME_SIZE.
const LARGEST: usize = 16 * 1024;

pub fn cases() -> Vec<Case> {
    let ask = || headers(1, WHOLE, &get("/"));
    let begun = || headers(1, END_HEADERS, &post("/"));
    let half = || {
        let block = get("/");
        let (head, _) = block.split_at(7);
        headers(1, END_STREAM, head)
    };
    let rest = || continuation(1, END_HEADERS, &get("/")[7..]);
    let between = |frame: Vec<u8>| [half(), frame, rest()].concat();
    let large = vec![0; LARGEST];
    let too_large = vec![0; LARGEST + 1];

    vec![
        // 4.1
        ignored(
            "4.1 unknown type on stream 0",
            frame(kind::UNKNOWN, 0, 0, b"unknown"),
        ),
        ignored(
            "4.1 unknown type on an idle stream",
            frame(kind::UNKNOWN, 0xff, 1, b"unknown"),
        ),
        answered(
            "4.1 unknown type on an open stream",
            [
                begun(),
                frame(kind::UNKNOWN, 0xff, 1, b"unknown"),
                data(1, END_STREAM, b""),
            ]
            .concat(),
        ),
        ignored(
            "4.1 unknown type of the largest size",
            frame(kind::UNKNOWN, 0, 0, &large),
        ),
        ignored(
            "4.1 undefined flags of PING",
            frame(kind::PING, !ACK, 0, &[0; 8]),
        ),
        ignored(
            "4.1 undefined flags of SETTINGS",
            frame(kind::SETTINGS, !ACK, 0, b""),
        ),
        answered(
            "4.1 undefined flags of HEADERS",
            headers(1, WHOLE | 0x52, &get("/")),
        ),
        answered(
            "4.1 undefined flags of DATA",
            [begun(), data(1, END_STREAM | 0xf6, b"x")].concat(),
        ),
        ignored(
            "4.1 undefined flags of WINDOW_UPDATE",
            frame(kind::WINDOW_UPDATE, 0xff, 0, &[0, 0, 0, 1]),
        ),
        ignored(
            "4.1 undefined flags of PRIORITY",
            frame(kind::PRIORITY, 0xff, 1, &dependency(0)),
        ),
        answered(
            "4.1 reserved bit of the stream identifier of HEADERS",
            headers(1 | 1 << 31, WHOLE, &get("/")),
        ),
        ignored(
            "4.1 reserved bit of the stream identifier of SETTINGS",
            frame(kind::SETTINGS, 0, 1 << 31, b""),
        ),
        // 4.2
        answered(
            "4.2 DATA of the largest size",
            [begun(), data(1, END_STREAM, &large)].concat(),
        ),
        stream_error(
            "4.2 DATA above the largest size",
            FrameSizeError,
            [begun(), data(1, END_STREAM, &too_large)].concat(),
        )
        .today(Outcome::Connection(FrameSizeError as u32)),
        connection_error(
            "4.2 HEADERS above the largest size",
            FrameSizeError,
            headers(1, WHOLE, &too_large),
        ),
        connection_error(
            "4.2 CONTINUATION above the largest size",
            FrameSizeError,
            [half(), continuation(1, END_HEADERS, &too_large)].concat(),
        ),
        connection_error(
            "4.2 SETTINGS above the largest size",
            FrameSizeError,
            frame(kind::SETTINGS, 0, 0, &vec![0; LARGEST + 2]),
        ),
        connection_error(
            "4.2 PING above the largest size, its head only",
            FrameSizeError,
            head((1 << 24) - 1, kind::PING, 0, 0),
        ),
        connection_error(
            "4.2 unknown type above the largest size",
            FrameSizeError,
            frame(kind::UNKNOWN, 0, 0, &too_large),
        )
        .or(Outcome::Ignored),
        // 4.3
        connection_error(
            "4.3 field block that cannot be decoded",
            CompressionError,
            headers(1, WHOLE, &[0x80]),
        )
        .deviates(Outcome::Connection(ProtocolError as u32), super::DECODING),
        connection_error(
            "4.3 trailers that cannot be decoded",
            CompressionError,
            [begun(), headers(1, WHOLE, &[0x80])].concat(),
        )
        .deviates(Outcome::Connection(ProtocolError as u32), super::DECODING),
        connection_error(
            "4.3 field block that cannot be decoded, on a stream that is closed",
            CompressionError,
            send(ask()).settle().send(headers(1, WHOLE, &[0x80])),
        )
        .or(Outcome::Connection(StreamClosed as u32))
        .or(Outcome::Connection(ProtocolError as u32))
        .today(Outcome::Connection(ProtocolError as u32)),
        answered(
            "4.3 field block of a malformed request still changes the table",
            [
                // Without pseudo-header fields; "x: y" enters the table.
                headers(1, WHOLE, &[0x40, 1, b'x', 1, b'y']),
                headers(3, WHOLE, &[&get("/")[..], &[0xbe]].concat()),
            ]
            .concat(),
        )
        .on(3),
        answered(
            "4.3 field block of a refused stream still changes the table",
            [
                (0..20)
                    .flat_map(|i| headers(2 * i + 1, WHOLE, &get("/wait")))
                    .collect(),
                headers(
                    41,
                    WHOLE,
                    &[&get("/")[..], &[0x40, 1, b'x', 1, b'y']].concat(),
                ),
                reset(1, Cancel as u32),
                headers(43, WHOLE, &[&get("/")[..], &[0xbe]].concat()),
                reset(3, Cancel as u32),
            ]
            .concat(),
        )
        .on(43),
        answered(
            "4.3 field block in two frames, cut within a field",
            [half(), rest()].concat(),
        ),
        connection_error(
            "4.3 PING within a field block",
            ProtocolError,
            between(ping(&[0; 8])),
        ),
        connection_error(
            "4.3 SETTINGS within a field block",
            ProtocolError,
            between(settings(&[])),
        ),
        connection_error(
            "4.3 DATA of the same stream within a field block",
            ProtocolError,
            between(data(1, 0, b"x")),
        ),
        connection_error(
            "4.3 RST_STREAM of the same stream within a field block",
            ProtocolError,
            between(reset(1, Cancel as u32)),
        ),
        connection_error(
            "4.3 WINDOW_UPDATE within a field block",
            ProtocolError,
            between(window_update(0, 1)),
        ),
        connection_error(
            "4.3 PRIORITY within a field block",
            ProtocolError,
            between(priority(3, 0)),
        ),
        connection_error(
            "4.3 HEADERS of another stream within a field block",
            ProtocolError,
            between(headers(3, WHOLE, &get("/"))),
        ),
        connection_error(
            "4.3 HEADERS of the same stream within a field block",
            ProtocolError,
            between(headers(1, WHOLE, &block(&[]))),
        ),
        connection_error(
            "4.3 GOAWAY within a field block",
            ProtocolError,
            between(goaway(0, 0, b"")),
        ),
        connection_error(
            "4.3 CONTINUATION of another stream within a field block",
            ProtocolError,
            between(continuation(3, 0, b"")),
        ),
        connection_error(
            "4.3 unknown type within a field block",
            ProtocolError,
            between(frame(kind::UNKNOWN, 0, 0, b"")),
        ),
        connection_error(
            "4.3 end within a field block",
            ProtocolError,
            send(half()).end(),
        )
        .today(Outcome::Closed),
    ]
}
