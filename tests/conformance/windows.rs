//! Section 6.9: WINDOW_UPDATE and flow control.

use crate::case::{
    Case, Code::*, Outcome, answered, connection_error, ignored, outcome, send, stream_error,
};
use corelane_test_support::{
    frames::{setting::INITIAL_WINDOW_SIZE, *},
    hpack::{get, post},
};

/// The window that the server grants to a stream and to a connection: see the conformance test's
/// server.
const STREAM: usize = 32_768;
const CONNECTION: usize = 65_535;
const MAX: u32 = (1 << 31) - 1;

/// DATA on a stream that is not read, in the largest frames.
fn unread(stream: u32, bytes: usize) -> Vec<u8> {
    let begun = headers(stream, END_HEADERS, &post("/unread"));
    let body = vec![0; bytes];
    let frames = body
        .chunks(16 * 1024)
        .flat_map(|chunk| data(stream, 0, chunk));
    begun.into_iter().chain(frames).collect()
}

pub fn cases() -> Vec<Case> {
    let waiting = || headers(1, WHOLE, &get("/wait"));
    let bytes = |n: u32| headers(1, WHOLE, &get(&format!("/bytes/{n}")));
    let window = |n| settings(&[(INITIAL_WINDOW_SIZE, n)]);
    let raw = |stream, payload: &[u8]| frame(kind::WINDOW_UPDATE, 0, stream, payload);
    let protocol_error = Outcome::Connection(ProtocolError as u32);
    vec![
        ignored("6.9 WINDOW_UPDATE on stream 0", window_update(0, 1)),
        ignored(
            "6.9 WINDOW_UPDATE with the reserved bit",
            [waiting(), window_update(1, 1 << 31 | 1)].concat(),
        ),
        connection_error(
            "6.9 increment 0 on stream 0",
            ProtocolError,
            window_update(0, 0),
        ),
        stream_error(
            "6.9 increment 0 on a stream",
            ProtocolError,
            [waiting(), window_update(1, 0)].concat(),
        )
        .today(protocol_error),
        connection_error(
            "6.9 increment 0 with the reserved bit",
            ProtocolError,
            window_update(0, 1 << 31),
        ),
        connection_error(
            "6.9 WINDOW_UPDATE of 3 bytes",
            FrameSizeError,
            raw(0, &[0, 0, 1]),
        )
        .deviates(protocol_error, super::FRAME_SIZE),
        connection_error(
            "6.9 WINDOW_UPDATE of 5 bytes on a stream",
            FrameSizeError,
            [waiting(), raw(1, &[0, 0, 0, 0, 1])].concat(),
        )
        .deviates(protocol_error, super::FRAME_SIZE),
        // 6.9.1
        connection_error(
            "6.9.1 window of the connection past 2^31-1",
            FlowControlError,
            window_update(0, MAX),
        ),
        ignored(
            "6.9.1 window of the connection up to 2^31-1",
            window_update(0, MAX - 65_535),
        ),
        stream_error(
            "6.9.1 window of a stream past 2^31-1",
            FlowControlError,
            [waiting(), window_update(1, MAX)].concat(),
        ),
        ignored(
            "6.9.1 window of a stream up to 2^31-1",
            [waiting(), window_update(1, MAX - 65_535)].concat(),
        ),
        stream_error(
            "6.9.1 window of a stream past 2^31-1 in two steps",
            FlowControlError,
            [
                waiting(),
                window_update(1, MAX / 2),
                window_update(1, MAX / 2),
            ]
            .concat(),
        ),
        outcome(
            "6.9.1 the server sends no more than the window of a stream",
            Outcome::Waits(10),
            [window(10), bytes(100)].concat(),
        )
        .full(),
        outcome(
            "6.9.1 the server sends no more than the window of the connection",
            Outcome::Waits(65_535),
            [window(100_000), bytes(100_000)].concat(),
        )
        .full(),
        answered(
            "6.9.1 an opened window releases the rest",
            send([window(10), bytes(100)].concat())
                .settle()
                .send([window_update(1, 90), window(65_535)].concat()),
        ),
        answered(
            "6.9.1 an empty body needs no window",
            send(window(0)).send(bytes(0)).settle().send(window(65_535)),
        ),
        ignored("6.9.1 DATA up to the window of a stream", unread(1, STREAM)),
        stream_error(
            "6.9.1 DATA past the window of a stream",
            FlowControlError,
            unread(1, STREAM + 1),
        ),
        ignored(
            "6.9.1 DATA up to the window of the connection",
            [unread(1, STREAM), unread(3, CONNECTION - STREAM)].concat(),
        ),
        connection_error(
            "6.9.1 DATA past the window of the connection",
            FlowControlError,
            [unread(1, STREAM), unread(3, STREAM)].concat(),
        ),
        stream_error(
            "6.9.1 padding past the window of a stream",
            FlowControlError,
            [
                unread(1, STREAM - 10),
                data(1, PADDED, &padded(b"", &[0; 10])),
            ]
            .concat(),
        ),
        answered(
            "6.9.1 reading a body grants new window",
            send(headers(1, END_HEADERS, &post("/")))
                .send(data(1, 0, &[0; 16 * 1024]))
                .send(data(1, 0, &[0; 16 * 1024]))
                .settle()
                .send(data(1, 0, &[0; 16 * 1024]))
                .send(data(1, 0, &[0; 16 * 1024]))
                .settle()
                .send(data(1, END_STREAM, &[0; 16 * 1024])),
        ),
        // 6.9.2
        outcome(
            "6.9.2 a smaller initial window can make one negative",
            Outcome::Waits(10),
            send([window(10), bytes(100)].concat())
                .settle()
                .send([window(5), window_update(1, 5)].concat()),
        )
        .full(),
        outcome(
            "6.9.2 a negative window is made up for first",
            Outcome::Waits(12),
            send([window(10), bytes(100)].concat())
                .settle()
                .send([window(5), window_update(1, 7)].concat()),
        )
        .full(),
        outcome(
            "6.9.2 a larger initial window counts for open streams",
            Outcome::Waits(30),
            send([window(10), bytes(100)].concat())
                .settle()
                .send(window(30)),
        )
        .full(),
        connection_error(
            "6.9.2 an initial window that takes one past 2^31-1",
            FlowControlError,
            [waiting(), window_update(1, MAX - 65_535), window(65_536)].concat(),
        ),
    ]
}
