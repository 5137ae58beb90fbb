//! Section 3.4: the connection preface.

use crate::case::{Case, Code::*, Outcome, answered, connection_error, ignored, send};
use corelane_test_support::{frames::*, hpack::get, peer::Frame};

fn begins_with_settings(frames: &[Frame]) -> bool {
    frames.first().is_some_and(|frame| {
        frame.is(kind::SETTINGS, 0) && frame.flags & ACK == 0 && frame.payload.len() % 6 == 0
    })
}

fn acknowledged(frames: &[Frame]) -> bool {
    frames.iter().any(|frame| frame.is_ack(kind::SETTINGS))
}

fn preface(more: &[u8]) -> Vec<u8> {
    [PREFACE, more].concat()
}

pub fn cases() -> Vec<Case> {
    let hello = || preface(&settings(&[]));
    let ask = || headers(1, WHOLE, &get("/"));
    const FIRST: &str = "h2 accepts frames other than SETTINGS first";
    let mut cases = vec![
        ignored("3.4 preface and SETTINGS", hello())
            .also("SETTINGS first", begins_with_settings)
            .also("SETTINGS acknowledged", acknowledged),
        answered(
            "3.4 preface, SETTINGS and request at once",
            [hello(), ask()].concat(),
        ),
        answered(
            "3.4 request before the server's SETTINGS are acknowledged",
            send(hello()).send(ask()).send(settings_ack()),
        ),
        connection_error(
            "3.4 HTTP/1.1 instead of the preface",
            ProtocolError,
            b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n".to_vec(),
        )
        // The answer is one of HTTP/1.1.
        .cleartext(Outcome::Closed),
        connection_error(
            "3.4 preface wrong in its first byte",
            ProtocolError,
            [b"Q", &hello()[1..]].concat(),
        )
        // It looks like a request of HTTP/1.x.
        .cleartext(Outcome::Closed),
        connection_error(
            "3.4 preface wrong in its last byte",
            ProtocolError,
            [&PREFACE[..23], b"\r", &settings(&[])].concat(),
        ),
        connection_error(
            "3.4 SETTINGS without the preface",
            ProtocolError,
            settings(&[]),
        ),
        connection_error(
            "3.4 end within the preface",
            ProtocolError,
            send(PREFACE[..10].to_vec()).end(),
        )
        .today(Outcome::Closed),
        connection_error(
            "3.4 preface twice",
            ProtocolError,
            [hello(), PREFACE.to_vec()].concat(),
        )
        .or(Outcome::Connection(FrameSizeError as u32))
        .today(Outcome::Connection(FrameSizeError as u32)),
        connection_error(
            "3.4 first SETTINGS malformed",
            FrameSizeError,
            preface(&frame(kind::SETTINGS, 0, 0, &[0; 5])),
        )
        .or(Outcome::Connection(ProtocolError as u32))
        .today(Outcome::Connection(ProtocolError as u32)),
        connection_error(
            "3.4 HEADERS before SETTINGS",
            ProtocolError,
            preface(&ask()),
        )
        .deviates(Outcome::Answered(200), FIRST),
        connection_error(
            "3.4 PING before SETTINGS",
            ProtocolError,
            preface(&ping(&[0; 8])),
        )
        .deviates(Outcome::Ignored, FIRST),
        connection_error(
            "3.4 WINDOW_UPDATE before SETTINGS",
            ProtocolError,
            preface(&window_update(0, 1)),
        )
        .deviates(Outcome::Ignored, FIRST),
        connection_error(
            "3.4 acknowledgement before SETTINGS",
            ProtocolError,
            preface(&settings_ack()),
        )
        .deviates(Outcome::Ignored, FIRST),
    ];
    // In single bytes: how the input is split does not matter.
    let mut bytes = [hello(), ask()].concat().into_iter();
    let first = bytes.next().expect("not empty");
    let script = bytes.fold(send(vec![first]), |script, byte| script.send(vec![byte]));
    cases.push(answered("3.4 preface and request in single bytes", script));
    cases.into_iter().map(Case::bare).collect()
}
