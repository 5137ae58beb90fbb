//! Section 5: states of a stream, identifiers, concurrency, priority, errors, extensions.

use crate::case::{
    Case, Code::*, Outcome, answered, connection_error, ignored, outcome, send, stream_error,
};
use corelane_test_support::{
    frames::*,
    hpack::{block, get, post},
    peer::Frame,
};

const HALF_CLOSED: &str =
    "h2 closes the connection with PROTOCOL_ERROR instead of the stream with STREAM_CLOSED";

fn last_stream_is_1(frames: &[Frame]) -> bool {
    let goaway = frames.iter().find(|frame| frame.is(kind::GOAWAY, 0));
    goaway.and_then(|frame| frame.number(0)) == Some(1)
}

fn one_reset(frames: &[Frame]) -> bool {
    frames
        .iter()
        .filter(|frame| frame.is(kind::RST_STREAM, 1))
        .count()
        == 1
}

pub fn cases() -> Vec<Case> {
    let ask = || headers(1, WHOLE, &get("/"));
    let begun = || headers(1, END_HEADERS, &post("/"));
    // Half-closed (remote) from now on.
    let waiting = || headers(1, WHOLE, &get("/wait"));
    // Malformed: the server resets it.
    let refused = || headers(1, END_HEADERS, &block(&[("x", b"y")]));
    let trailers = || headers(1, WHOLE, &block(&[("x", b"y")]));
    let answered_and = |frame: Vec<u8>| send(ask()).settle().send(frame);
    let protocol_error = Outcome::Connection(ProtocolError as u32);
    let closed = Outcome::Stream(StreamClosed as u32);

    vec![
        // 5.1: idle
        connection_error(
            "5.1 DATA on an idle stream",
            ProtocolError,
            data(1, 0, b"x"),
        ),
        connection_error(
            "5.1 RST_STREAM on an idle stream",
            ProtocolError,
            reset(1, Cancel as u32),
        ),
        connection_error(
            "5.1 WINDOW_UPDATE on an idle stream",
            ProtocolError,
            window_update(1, 1),
        ),
        connection_error(
            "5.1 CONTINUATION on an idle stream",
            ProtocolError,
            continuation(1, END_HEADERS, &get("/")),
        ),
        ignored("5.1 PRIORITY on an idle stream", priority(1, 0)),
        // open
        answered(
            "5.1 open: DATA, WINDOW_UPDATE, PRIORITY, trailers",
            [
                begun(),
                data(1, 0, b"x"),
                window_update(1, 1),
                priority(1, 0),
                trailers(),
            ]
            .concat(),
        ),
        ignored(
            "5.1 open: RST_STREAM",
            [begun(), reset(1, Cancel as u32)].concat(),
        ),
        // half-closed (remote)
        stream_error(
            "5.1 half-closed (remote): DATA",
            StreamClosed,
            send(waiting()).settle().send(data(1, 0, b"x")),
        )
        .deviates(protocol_error, HALF_CLOSED),
        stream_error(
            "5.1 half-closed (remote): empty DATA",
            StreamClosed,
            send(waiting()).settle().send(data(1, END_STREAM, b"")),
        )
        .deviates(protocol_error, HALF_CLOSED),
        stream_error(
            "5.1 half-closed (remote): HEADERS",
            StreamClosed,
            send(waiting()).settle().send(trailers()),
        )
        .deviates(protocol_error, HALF_CLOSED),
        connection_error(
            "5.1 half-closed (remote): CONTINUATION",
            ProtocolError,
            send(waiting())
                .settle()
                .send(continuation(1, END_HEADERS, b"")),
        ),
        ignored(
            "5.1 half-closed (remote): WINDOW_UPDATE",
            [waiting(), window_update(1, 1)].concat(),
        ),
        ignored(
            "5.1 half-closed (remote): PRIORITY",
            [waiting(), priority(1, 0)].concat(),
        ),
        ignored(
            "5.1 half-closed (remote): RST_STREAM",
            [waiting(), reset(1, Cancel as u32)].concat(),
        ),
        // closed, END_STREAM both ways
        stream_error(
            "5.1 closed: DATA",
            StreamClosed,
            answered_and(data(1, 0, b"x")),
        ),
        connection_error(
            "5.1 closed: HEADERS",
            StreamClosed,
            answered_and(trailers()),
        )
        .or(protocol_error)
        .today(protocol_error),
        connection_error(
            "5.1 closed: CONTINUATION",
            StreamClosed,
            answered_and(continuation(1, END_HEADERS, b"")),
        )
        .or(protocol_error)
        .today(protocol_error),
        answered(
            "5.1 closed: WINDOW_UPDATE",
            answered_and(window_update(1, 1)),
        ),
        answered("5.1 closed: PRIORITY", answered_and(priority(1, 0))),
        answered(
            "5.1 closed: RST_STREAM",
            answered_and(reset(1, NoError as u32)),
        ),
        // closed by the client's RST_STREAM
        stream_error(
            "5.1 reset by the client: DATA",
            StreamClosed,
            send([begun(), reset(1, Cancel as u32)].concat())
                .settle()
                .send(data(1, 0, b"x")),
        )
        .today(closed),
        stream_error(
            "5.1 reset by the client: HEADERS",
            StreamClosed,
            send([begun(), reset(1, Cancel as u32)].concat())
                .settle()
                .send(trailers()),
        )
        .or(protocol_error)
        .today(protocol_error),
        ignored(
            "5.1 reset by the client: WINDOW_UPDATE, PRIORITY, RST_STREAM",
            send([begun(), reset(1, Cancel as u32)].concat())
                .settle()
                .send([window_update(1, 1), priority(1, 0), reset(1, Cancel as u32)].concat()),
        ),
        // closed by the server's RST_STREAM: any frame may be in transit
        outcome(
            "5.1 reset by the server: DATA, WINDOW_UPDATE, PRIORITY, trailers",
            Outcome::Stream(ProtocolError as u32),
            send(refused()).settle().send(
                [
                    data(1, 0, b"x"),
                    window_update(1, 1),
                    priority(1, 0),
                    trailers(),
                ]
                .concat(),
            ),
        )
        .also("one RST_STREAM", one_reset),
        outcome(
            "5.1 reset by the server: RST_STREAM",
            Outcome::Stream(ProtocolError as u32),
            send(refused()).settle().send(reset(1, Cancel as u32)),
        )
        .also("one RST_STREAM", one_reset),
        // 5.1.1
        connection_error(
            "5.1.1 even identifier",
            ProtocolError,
            headers(2, WHOLE, &get("/")),
        ),
        connection_error(
            "5.1.1 DATA on an even identifier",
            ProtocolError,
            data(2, 0, b"x"),
        ),
        connection_error(
            "5.1.1 RST_STREAM on an even identifier",
            ProtocolError,
            reset(2, Cancel as u32),
        ),
        connection_error(
            "5.1.1 WINDOW_UPDATE on an even identifier",
            ProtocolError,
            window_update(2, 1),
        ),
        connection_error(
            "5.1.1 identifier below an earlier one",
            ProtocolError,
            [
                headers(5, WHOLE, &get("/wait")),
                headers(3, WHOLE, &get("/")),
            ]
            .concat(),
        ),
        connection_error(
            "5.1.1 identifier used twice",
            ProtocolError,
            [waiting(), headers(1, WHOLE, &get("/"))].concat(),
        )
        .or(Outcome::Connection(StreamClosed as u32))
        .or(closed),
        answered(
            "5.1.1 identifiers left out",
            headers(0x801, WHOLE, &get("/")),
        )
        .on(0x801),
        stream_error(
            "5.1.1 DATA on an identifier that was left out",
            StreamClosed,
            [headers(5, WHOLE, &get("/wait")), data(3, 0, b"x")].concat(),
        )
        .on(3)
        .or(protocol_error),
        answered(
            "5.1.1 largest identifier",
            headers((1 << 31) - 1, WHOLE, &get("/")),
        )
        .on((1 << 31) - 1)
        .full(),
        // 5.1.2
        stream_error(
            "5.1.2 more streams than allowed",
            RefusedStream,
            (0..21)
                .flat_map(|i| headers(2 * i + 1, WHOLE, &get("/wait")))
                .collect::<Vec<_>>(),
        )
        .on(41)
        .or(Outcome::Stream(ProtocolError as u32))
        .full(),
        ignored(
            "5.1.2 as many streams as allowed",
            (0..20)
                .flat_map(|i| headers(2 * i + 1, WHOLE, &get("/wait")))
                .collect::<Vec<_>>(),
        )
        .on(39)
        .full(),
        answered(
            "5.1.2 streams that were reset make room",
            [
                (0..20)
                    .flat_map(|i| headers(2 * i + 1, WHOLE, &get("/wait")))
                    .collect(),
                reset(1, Cancel as u32),
                reset(3, Cancel as u32),
                headers(41, WHOLE, &get("/")),
            ]
            .concat(),
        )
        .on(41),
        // 5.3: the contents are deprecated, and ignored
        answered(
            "5.3 HEADERS with priority",
            headers(1, WHOLE | PRIORITY, &[dependency(0), get("/")].concat()),
        ),
        answered(
            "5.3 HEADERS that depend on an idle stream",
            headers(1, WHOLE | PRIORITY, &[dependency(99), get("/")].concat()),
        ),
        // RFC 7540 (section 5.3.1) made it a stream error; RFC 9113 does not mention it.
        stream_error(
            "5.3 HEADERS that depend on themselves",
            ProtocolError,
            headers(1, WHOLE | PRIORITY, &[dependency(1), get("/")].concat()),
        )
        .or(Outcome::Answered(200)),
        stream_error(
            "5.3 PRIORITY on itself",
            ProtocolError,
            [waiting(), priority(1, 1)].concat(),
        )
        .or(Outcome::Ignored),
        // 5.4
        connection_error(
            "5.4.1 GOAWAY names the last stream that was processed",
            ProtocolError,
            send(waiting()).settle().send(data(0, 0, b"x")),
        )
        .also("it is stream 1", last_stream_is_1),
        outcome(
            "5.4.2 stream errors are not answered twice",
            Outcome::Stream(ProtocolError as u32),
            send(refused())
                .settle()
                .send(data(1, 0, b"x"))
                .settle()
                .send(data(1, END_STREAM, b"x")),
        )
        .also("one RST_STREAM", one_reset),
        ignored(
            "5.4.2 RST_STREAM is not answered by one",
            send(begun()).settle().send(reset(1, ProtocolError as u32)),
        ),
        // 5.5
        ignored(
            "5.5 unknown setting",
            settings(&[(0xfafa, u32::MAX), (0, 1)]),
        ),
        ignored(
            "5.5 PRIORITY_UPDATE (RFC 9218)",
            frame(0x10, 0, 0, b"\0\0\0\x01u=0"),
        ),
        ignored(
            "5.5 unknown error code of RST_STREAM",
            [begun(), reset(1, 0xfafa_fafa)].concat(),
        ),
    ]
}
