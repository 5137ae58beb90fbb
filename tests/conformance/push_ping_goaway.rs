//! Sections 6.6, 6.7 and 6.8: PUSH_PROMISE, PING and GOAWAY.

use crate::case::{Case, Code::*, Outcome, connection_error, ignored, outcome};
use corelane_test_support::{frames::*, hpack::get, peer::Frame};

fn pong(frames: &[Frame]) -> bool {
    let mut pongs = frames.iter().filter(|frame| frame.is_ack(kind::PING));
    pongs.any(|frame| frame.payload == *b"as it is")
}

fn answered_first(frames: &[Frame]) -> bool {
    let answered = frames.iter().position(|frame| frame.ends(1));
    let goaway = frames.iter().position(|frame| frame.is(kind::GOAWAY, 0));
    answered.is_some() && answered < goaway
}

pub fn cases() -> Vec<Case> {
    let promise = |on: u32| {
        let payload = [&2u32.to_be_bytes()[..], &get("/")].concat();
        frame(kind::PUSH_PROMISE, END_HEADERS, on, &payload)
    };
    let waiting = || headers(1, WHOLE, &get("/wait"));
    let gone = || Outcome::Connection(NoError as u32);
    let protocol_error = Outcome::Connection(ProtocolError as u32);
    vec![
        // 6.6
        connection_error("6.6 PUSH_PROMISE on stream 0", ProtocolError, promise(0)),
        connection_error(
            "6.6 PUSH_PROMISE on an idle stream",
            ProtocolError,
            promise(1),
        ),
        connection_error(
            "6.6 PUSH_PROMISE by a client",
            ProtocolError,
            [headers(1, END_HEADERS, &get("/")), promise(1)].concat(),
        ),
        connection_error(
            "6.6 PUSH_PROMISE by a client on a stream that it has ended",
            ProtocolError,
            [waiting(), promise(1)].concat(),
        ),
        // 6.7
        ignored("6.7 PING is answered", ping(b"as it is")).also("with its payload", pong),
        connection_error(
            "6.7 PING on a stream",
            ProtocolError,
            frame(kind::PING, 0, 1, &[0; 8]),
        ),
        connection_error(
            "6.7 PING of 7 bytes",
            FrameSizeError,
            frame(kind::PING, 0, 0, &[0; 7]),
        )
        .deviates(protocol_error, super::FRAME_SIZE),
        connection_error(
            "6.7 PING of 9 bytes",
            FrameSizeError,
            frame(kind::PING, 0, 0, &[0; 9]),
        )
        .deviates(protocol_error, super::FRAME_SIZE),
        connection_error(
            "6.7 empty PING",
            FrameSizeError,
            frame(kind::PING, 0, 0, b""),
        )
        .deviates(protocol_error, super::FRAME_SIZE),
        ignored(
            "6.7 answer to a PING that was not sent",
            frame(kind::PING, ACK, 0, b"as it is"),
        )
        .also("it is not answered", |frames| !pong(frames)),
        // 6.8
        connection_error(
            "6.8 GOAWAY on a stream",
            ProtocolError,
            frame(kind::GOAWAY, 0, 1, &[0; 8]),
        ),
        connection_error(
            "6.8 GOAWAY of 7 bytes",
            FrameSizeError,
            frame(kind::GOAWAY, 0, 0, &[0; 7]),
        )
        .deviates(protocol_error, super::FRAME_SIZE),
        outcome(
            "6.8 GOAWAY on a connection without streams ends it",
            gone(),
            goaway(0, NoError as u32, b""),
        ),
        outcome(
            "6.8 GOAWAY with an error and debug data",
            gone(),
            goaway(0, EnhanceYourCalm as u32, &[b'x'; 1000]),
        ),
        outcome(
            "6.8 GOAWAY with an unknown error",
            gone(),
            goaway(0, 0xfafa_fafa, b""),
        ),
        outcome(
            "6.8 requests before GOAWAY are answered",
            gone(),
            [
                headers(1, WHOLE, &get("/bytes/10000")),
                goaway(0, NoError as u32, b""),
            ]
            .concat(),
        )
        .also("before the end", answered_first),
        outcome(
            "6.8 GOAWAY twice, with more streams the second time",
            gone(),
            [
                goaway(0, NoError as u32, b""),
                goaway(2, NoError as u32, b""),
            ]
            .concat(),
        )
        .or(protocol_error)
        .today(protocol_error),
        ignored(
            "6.8 GOAWAY leaves the streams that are open",
            [waiting(), goaway(0, NoError as u32, b"")].concat(),
        )
        .full(),
    ]
}
