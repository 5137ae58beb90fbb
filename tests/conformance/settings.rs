//! Section 6.5: SETTINGS.

use crate::case::{Case, Code::*, Outcome, answered, connection_error, ignored, outcome, send};
use corelane_test_support::{
    frames::{setting::*, *},
    hpack::get,
    peer::Frame,
};

fn acknowledgements(frames: &[Frame]) -> usize {
    frames
        .iter()
        .filter(|frame| frame.is_ack(kind::SETTINGS))
        .count()
}

/// The length of the longest DATA frame.
fn longest(frames: &[Frame]) -> usize {
    let data = frames.iter().filter(|frame| frame.is(kind::DATA, 1));
    data.map(|frame| frame.payload.len()).max().unwrap_or(0)
}

pub fn cases() -> Vec<Case> {
    let raw = |flags, stream, payload: &[u8]| frame(kind::SETTINGS, flags, stream, payload);
    let ask = || headers(1, WHOLE, &get("/"));
    let bytes = |n: u32| headers(1, WHOLE, &get(&format!("/bytes/{n}")));
    let protocol_error = Outcome::Connection(ProtocolError as u32);
    vec![
        connection_error("6.5 SETTINGS on a stream", ProtocolError, raw(0, 1, b"")),
        connection_error(
            "6.5 SETTINGS of 5 bytes",
            FrameSizeError,
            raw(0, 0, &[0; 5]),
        )
        .deviates(protocol_error, super::FRAME_SIZE),
        connection_error(
            "6.5 SETTINGS of 7 bytes",
            FrameSizeError,
            raw(0, 0, &[0; 7]),
        )
        .deviates(protocol_error, super::FRAME_SIZE),
        connection_error(
            "6.5 acknowledgement with a payload",
            FrameSizeError,
            raw(ACK, 0, &[0, 4, 0, 0, 0, 1]),
        )
        .deviates(protocol_error, super::FRAME_SIZE),
        connection_error(
            "6.5 acknowledgement on a stream",
            ProtocolError,
            raw(ACK, 1, b""),
        ),
        // The RFC does not define the effect of an unexpected acknowledgement.
        ignored("6.5 acknowledgement of nothing", settings_ack())
            .or(protocol_error)
            .today(protocol_error),
        // 6.5.2
        answered(
            "6.5.2 SETTINGS_HEADER_TABLE_SIZE 0",
            [settings(&[(HEADER_TABLE_SIZE, 0)]), ask()].concat(),
        ),
        answered(
            "6.5.2 SETTINGS_HEADER_TABLE_SIZE of all bits",
            [settings(&[(HEADER_TABLE_SIZE, u32::MAX)]), ask()].concat(),
        ),
        ignored(
            "6.5.2 SETTINGS_ENABLE_PUSH 0",
            settings(&[(ENABLE_PUSH, 0)]),
        ),
        ignored(
            "6.5.2 SETTINGS_ENABLE_PUSH 1",
            settings(&[(ENABLE_PUSH, 1)]),
        ),
        connection_error(
            "6.5.2 SETTINGS_ENABLE_PUSH 2",
            ProtocolError,
            settings(&[(ENABLE_PUSH, 2)]),
        ),
        answered(
            "6.5.2 SETTINGS_MAX_CONCURRENT_STREAMS 0: the server opens none",
            [settings(&[(MAX_CONCURRENT_STREAMS, 0)]), ask()].concat(),
        ),
        ignored(
            "6.5.2 SETTINGS_INITIAL_WINDOW_SIZE 2^31-1",
            settings(&[(INITIAL_WINDOW_SIZE, (1 << 31) - 1)]),
        ),
        connection_error(
            "6.5.2 SETTINGS_INITIAL_WINDOW_SIZE 2^31",
            FlowControlError,
            settings(&[(INITIAL_WINDOW_SIZE, 1 << 31)]),
        )
        .deviates(
            protocol_error,
            "h2 uses PROTOCOL_ERROR instead of FLOW_CONTROL_ERROR",
        ),
        connection_error(
            "6.5.2 SETTINGS_INITIAL_WINDOW_SIZE of all bits",
            FlowControlError,
            settings(&[(INITIAL_WINDOW_SIZE, u32::MAX)]),
        )
        .deviates(
            protocol_error,
            "h2 uses PROTOCOL_ERROR instead of FLOW_CONTROL_ERROR",
        ),
        connection_error(
            "6.5.2 SETTINGS_MAX_FRAME_SIZE 2^14-1",
            ProtocolError,
            settings(&[(MAX_FRAME_SIZE, (1 << 14) - 1)]),
        ),
        connection_error(
            "6.5.2 SETTINGS_MAX_FRAME_SIZE 0",
            ProtocolError,
            settings(&[(MAX_FRAME_SIZE, 0)]),
        ),
        ignored(
            "6.5.2 SETTINGS_MAX_FRAME_SIZE 2^24-1",
            settings(&[(MAX_FRAME_SIZE, (1 << 24) - 1)]),
        ),
        connection_error(
            "6.5.2 SETTINGS_MAX_FRAME_SIZE 2^24",
            ProtocolError,
            settings(&[(MAX_FRAME_SIZE, 1 << 24)]),
        ),
        answered("6.5.2 frames no larger than asked for", bytes(40_000))
            .also("at most 16 KiB", |frames| longest(frames) <= 16 * 1024),
        answered(
            "6.5.2 SETTINGS_MAX_HEADER_LIST_SIZE 0 is advice",
            [settings(&[(MAX_HEADER_LIST_SIZE, 0)]), ask()].concat(),
        ),
        connection_error(
            "6.5.2 SETTINGS_ENABLE_CONNECT_PROTOCOL 2 (RFC 8441 section 3)",
            ProtocolError,
            settings(&[(ENABLE_CONNECT_PROTOCOL, 2)]),
        ),
        outcome(
            "6.5.2 a setting twice: the last one counts",
            Outcome::Waits(3),
            [
                settings(&[(INITIAL_WINDOW_SIZE, 8), (INITIAL_WINDOW_SIZE, 3)]),
                bytes(10),
            ]
            .concat(),
        )
        .full(),
        connection_error(
            "6.5.2 a valid setting after an invalid one",
            ProtocolError,
            settings(&[(ENABLE_PUSH, 2), (ENABLE_PUSH, 0)]),
        ),
        // 6.5.3
        ignored(
            "6.5.3 each SETTINGS is acknowledged",
            send([settings(&[]), settings(&[])].concat())
                .settle()
                .send(settings(&[(INITIAL_WINDOW_SIZE, 70_000)])),
        )
        .also("three times", |frames| acknowledgements(frames) == 3),
        outcome(
            "6.5.3 settings apply to later frames",
            Outcome::Waits(1),
            [settings(&[(INITIAL_WINDOW_SIZE, 1)]), bytes(10)].concat(),
        )
        .full(),
    ]
}
