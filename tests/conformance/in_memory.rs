//! All cases on `corelane_http2::Connection`, without a server: bytes in, bytes out.

use corelane_http2::{Config, Connection};
use corelane_test_support::{
    frames::{self, WHOLE, kind},
    hpack,
    peer::Frame,
};

use crate::{
    case::{Case, Received, Step},
    table,
};

#[path = "../../http2/tests/support/mod.rs"]
mod support;

use support::Service;

/// Cases with another outcome than by h2, where the RFC allows both, and why it is another one. All other
/// differences are cases in which h2 deviates from the RFC; they have their reason in the table.
const OTHERWISE: &[(&str, &[&str])] = &[
    (
        "a malformed request costs its stream only (8.1.1); h2 cannot hold such a field, and ends the connection",
        &[
            "8.2 field name with a capital",
            "8.2.1 field name with a space",
            "8.2.1 field name with a colon",
            "8.2.1 field name with a control",
            "8.2.1 field name with DEL",
            "8.2.1 field name past ASCII",
            "8.2.1 empty field name",
            "8.2.1 value with NUL",
            "8.2.1 value with LF",
            "8.2.1 value with CR",
            "8.2.1 value with LF in trailers",
            "8.3 pseudo-header field that is not defined",
            "8.3 pseudo-header field with a capital",
            "8.3 undefined pseudo-header field in trailers",
            "8.3.1 empty :method",
            "8.3.1 :method with a space",
            "8.3.1 :path with a byte of Latin-1",
            "8.3.1 :authority with a byte of Latin-1",
            "HPACK 6.2.1 forbidden name",
        ],
    ),
    (
        "a malformed request is a stream error (8.1.1); the server answers what h2 lets pass with 400",
        &[
            "8.5 CONNECT without :authority",
            "8.5 CONNECT without a port",
        ],
    ),
    (
        "a server SHOULD refuse it (8.3.1); h2 does not look at host",
        &["8.3.1 host that differs from :authority"],
    ),
    (
        "a window of one stream costs that stream only (6.9)",
        &["6.9 increment 0 on a stream"],
    ),
    (
        "STREAM_CLOSED says more (5.1); h2 remembers no streams that were closed",
        &[
            "4.3 field block that cannot be decoded, on a stream that is closed",
            "5.1 closed: HEADERS",
            "5.1 reset by the client: HEADERS",
            "5.1.1 identifier used twice",
        ],
    ),
    (
        "the length is wrong, which is FRAME_SIZE_ERROR (4.2)",
        &[
            "3.4 first SETTINGS malformed",
            "6.2 HEADERS padded, too short for the pad length",
        ],
    ),
    (
        "the identifier in a client's GOAWAY counts pushed streams (6.8), of which there are none",
        &["6.8 GOAWAY twice, with more streams the second time"],
    ),
    (
        "priorities of RFC 7540 are checked as far as they cost nothing; no client sends this",
        &[
            "5.3 HEADERS that depend on themselves",
            "5.3 PRIORITY on itself",
        ],
    ),
];

#[test]
fn every_case_holds_on_the_engine() {
    let mut wrong = Vec::new();
    let mut reasons: Vec<_> = OTHERWISE.iter().flat_map(|(_, names)| *names).collect();
    for case in table() {
        let seen = match case.judge(&received(&case)) {
            Ok(seen) => seen,
            Err(why) => {
                wrong.push(why);
                continue;
            }
        };
        let reason = reasons.iter().position(|name| **name == case.name);
        reason.map(|place| reasons.swap_remove(place));
        let differs = seen != case.today && case.deviation.is_none();
        if differs != reason.is_some() {
            let name = case.name;
            wrong.push(format!(
                "{name}: {seen:?}, by h2 {:?}: see OTHERWISE",
                case.today
            ));
        }
    }
    wrong.extend(reasons.iter().map(|name| format!("{name}: no such case")));
    let count = wrong.len();
    assert!(wrong.is_empty(), "{count} wrong:\n{}", wrong.join("\n"));
}

fn received(case: &Case) -> Received {
    let config = Config::default()
        .initial_stream_window_size(32_768)
        .max_concurrent_streams(20);
    let mut service = Service::new(Connection::new(config));
    let mut received = Received::default();
    if !case.bare {
        let hello = [
            frames::PREFACE,
            &frames::settings(&[]),
            &frames::settings_ack(),
        ]
        .concat();
        service.receive(&hello);
        service.act();
        service.frames();
    }
    for step in &case.script.0 {
        match step {
            Step::Send(bytes) => send(&mut received, &mut service, bytes),
            Step::Settle => settle(&mut received, &mut service),
            // A server closes the transport when nothing is left to do.
            Step::End => received.over = service.connection.open_streams() == 0,
        }
    }
    settle(&mut received, &mut service);
    if !received.over && case.ask_again {
        send(
            &mut received,
            &mut service,
            &frames::headers(0x1001, WHOLE, &hpack::get("/")),
        );
        let is_answered = received.frames.iter().any(|frame| frame.ends(0x1001));
        assert!(received.over || is_answered, "{}: no answer", case.name);
    }
    received
}

fn send(received: &mut Received, service: &mut Service, bytes: &[u8]) {
    if received.over {
        return;
    }
    service.receive(bytes);
    service.act();
    received
        .frames
        .extend(service.frames().into_iter().map(|frame| Frame {
            kind: frame.kind,
            flags: frame.flags,
            stream: frame.stream,
            payload: frame.payload,
        }));
    received.over |= service.connection.is_ended();
}

fn settle(received: &mut Received, service: &mut Service) {
    send(received, service, &frames::ping(b"in order"));
    let answers = |frame: &Frame| frame.is_ack(kind::PING);
    assert!(received.over || received.frames.last().is_some_and(answers));
}
