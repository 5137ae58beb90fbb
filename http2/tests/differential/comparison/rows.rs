//! Which differences there are, and which of both is wrong. Sections are those of RFC 9113.

use std::collections::BTreeSet;

use corelane_test_frames::{
    END_HEADERS,
    kind::{CONTINUATION, DATA, GOAWAY, HEADERS, PUSH_PROMISE, SETTINGS, WINDOW_UPDATE},
};

use super::{
    outcome::{Outcome, Stream},
    request::{dependency, has_empty_name, is_left_to_caller, size_changes},
};

const NO_ERROR: u32 = 0;
const PROTOCOL_ERROR: u32 = 1;
const FLOW_CONTROL_ERROR: u32 = 3;
const STREAM_CLOSED: u32 = 5;
const FRAME_SIZE_ERROR: u32 = 6;
const REFUSED_STREAM: u32 = 7;
const COMPRESSION_ERROR: u32 = 9;
const ENHANCE_YOUR_CALM: u32 = 11;

const PRIORITY_UPDATE: u8 = 16;

/// Why the outcomes differ after the last of these frames, and not before.
pub fn explain(frames: &[Vec<u8>], ours: &Outcome, theirs: &Outcome) -> Option<&'static str> {
    let frame = frames.last()?;
    // Trailers, or an identifier that is no longer idle.
    let heads = frames
        .iter()
        .filter(|it| it.get(3) == Some(&HEADERS) && it.get(5..9) >= frame.get(5..9));
    let is_late = heads.count() > 1;
    let Some((&[a, b, c, kind, flags, number @ ..], payload)) = frame.split_first_chunk::<9>()
    else {
        return Some("both may: h2 looks at a length before the rest of the head is there");
    };
    let number = u32::from_be_bytes(number) & 0x7fff_ffff;
    let stream = ours.streams.get(&number);
    let reset = stream.and_then(|it| it.resets.last().copied());
    // After the client's GOAWAY the last stream ends the connection.
    let error = |outcome: &Outcome| outcome.goaway.filter(|code| *code != NO_ERROR);
    if payload.len() < u32::from_be_bytes([0, a, b, c]) as usize {
        return Some("both may: the engine looks at a frame's head before its payload is there");
    }
    if matches!(kind, HEADERS | PUSH_PROMISE | CONTINUATION) && flags & END_HEADERS == 0 {
        return Some(
            "both may: h2 decodes a block, and looks at its stream, earlier or later (4.3)",
        );
    }
    // The model of `random/windows.rs` knows the windows that were announced.
    if kind == DATA && [error(ours), error(theirs), reset].contains(&Some(FLOW_CONTROL_ERROR)) {
        return Some(
            "both may: when released data is announced, so when a window is exceeded (6.9)",
        );
    }
    if kind == SETTINGS && error(ours).is_some() && error(ours) == error(theirs) {
        return Some("both may: h2 acknowledges SETTINGS before it applies them (6.5.3)");
    }
    let is_new = matches!(kind, HEADERS | CONTINUATION) && !is_late;
    if error(ours) == error(theirs)
        && is_new
        && reset == Some(PROTOCOL_ERROR)
        && is_left_to_caller(frames)
    {
        return Some(
            "h2 leaves to its caller what host, :path and other fields have (8.1.1, 8.2.1, 8.3.1)",
        );
    }
    let is_malformed = reset == Some(PROTOCOL_ERROR) || error(ours) == Some(COMPRESSION_ERROR);
    if kind == CONTINUATION && is_malformed && error(theirs).is_none() && has_empty_name(frames) {
        return Some(
            "h2 is wrong: it decodes nothing behind an empty name before CONTINUATION (8.2.1)",
        );
    }
    if error(ours) == error(theirs) {
        return streams(ours, theirs, is_late);
    }
    if kind == PRIORITY_UPDATE && error(theirs).is_none() {
        return Some("h2 does not know PRIORITY_UPDATE, as it may (RFC 9218 section 7.1)");
    }
    let open_block =
        |it: &[u8]| matches!(it[3], HEADERS | CONTINUATION) && it[4] & END_HEADERS == 0;
    let is_within_block = frames.iter().nth_back(1).is_some_and(|it| open_block(it));
    if is_within_block && error(ours) == Some(PROTOCOL_ERROR) && error(theirs).is_none() {
        return Some("h2 is wrong: a block that begins malformed does not end there (4.3)");
    }
    let is_stream_error = error(ours) == Some(PROTOCOL_ERROR) && error(theirs).is_none();
    if is_stream_error && dependency(kind, flags, payload) == Some(number) {
        return Some(
            "both may: a stream that depends on itself is an error of the stream or of all (5.4.1)",
        );
    }
    if kind == PUSH_PROMISE && error(ours) == Some(PROTOCOL_ERROR) && error(theirs).is_none() {
        return Some("h2 is wrong: a client that promises a stream is a connection error (8.4)");
    }
    if kind == GOAWAY && error(ours).is_none() && theirs.goaway == Some(PROTOCOL_ERROR) {
        return Some(
            "both may: a later GOAWAY names more streams of the server, which has none (6.8)",
        );
    }
    if kind == SETTINGS && error(ours) == Some(FLOW_CONTROL_ERROR) && error(theirs).is_none() {
        return Some("h2 may: it has no window of a response that was sent (6.9.2)");
    }
    let priorities = |setting: &[u8]| setting.starts_with(&[0, 9]);
    if kind == SETTINGS && error(theirs).is_none() && payload.chunks(6).any(priorities) {
        return Some(
            "h2 does not know SETTINGS_NO_RFC7540_PRIORITIES, as it may (RFC 9218 section 2.1)",
        );
    }
    let reset_by_h2 = theirs
        .streams
        .get(&number)
        .is_some_and(|it| !it.resets.is_empty());
    if kind == HEADERS && error(ours) == Some(PROTOCOL_ERROR) && reset_by_h2 {
        return Some(
            "h2 is wrong: an identifier below an earlier one is a connection error (5.1.1)",
        );
    }
    let is_compression = error(ours) == Some(COMPRESSION_ERROR);
    if is_compression && error(theirs).is_none() {
        let (changes, behind) = size_changes(frames);
        let begins_with_change = payload.first().is_some_and(|first| first >> 5 == 1);
        if changes > 2 {
            return Some(
                "h2 is wrong: a block changes the table's size twice at most (RFC 7541 section 4.2)",
            );
        }
        if kind == CONTINUATION && begins_with_change && behind > payload.len() {
            return Some(
                "h2 is wrong: the table's size changes at the begin of a block, not of a frame (RFC 7541 section 4.2)",
            );
        }
    }
    if is_late && error(ours) == Some(STREAM_CLOSED) && error(theirs).is_none() {
        return Some(
            "h2 is wrong: HEADERS on a stream that both have ended is a connection error (5.1)",
        );
    }
    let is_above_limit = stream.is_some_and(|it| it.status.as_deref() == Some("431"));
    if (is_above_limit || is_compression) && error(theirs) == Some(ENHANCE_YOUR_CALM) {
        return Some(
            "both may: h2 ends the connection where a list is far above the limit (10.5.1)",
        );
    }
    if theirs.goaway != Some(PROTOCOL_ERROR) {
        return None;
    }
    match (error(ours), reset) {
        (Some(COMPRESSION_ERROR), _) => {
            Some("h2 is wrong: a block that cannot be decoded is COMPRESSION_ERROR (4.3)")
        }
        (Some(FRAME_SIZE_ERROR), _) => {
            Some("h2 is wrong: a length that the type forbids is FRAME_SIZE_ERROR (4.2)")
        }
        (Some(FLOW_CONTROL_ERROR), _) if kind == SETTINGS => {
            Some("h2 is wrong: a window above 2^31-1 is FLOW_CONTROL_ERROR (6.5.2)")
        }
        (Some(STREAM_CLOSED), _) => {
            Some("both may: a frame on a stream that was closed (5.1); h2 forgets closed streams")
        }
        (None, Some(STREAM_CLOSED)) => {
            Some("h2 is wrong: a frame on a half-closed stream is a stream error (5.1)")
        }
        (None, Some(PROTOCOL_ERROR)) => {
            Some("both may: a malformed request is a stream error (8.1.1)")
        }
        (None, Some(_)) => {
            Some("h2 is wrong: frames on a stream that the server has reset are ignored (5.4.2)")
        }
        (None, None) if is_above_limit => {
            Some("both may: a request that is malformed and above the limit (10.5.1)")
        }
        (None, None) if kind == WINDOW_UPDATE && matches!(payload, [0 | 0x80, 0, 0, 0]) => Some(
            "both may: WINDOW_UPDATE by 0 is an error of its stream (6.9), none if that is closed",
        ),
        _ => None,
    }
}

/// Every stream that differs has a reason. Returns the first one.
fn streams(ours: &Outcome, theirs: &Outcome, is_late: bool) -> Option<&'static str> {
    if (ours.settings, ours.pings) != (theirs.settings, theirs.pings) {
        return None;
    }
    let sum = |outcome: &Outcome| -> usize { outcome.streams.values().map(|it| it.body).sum() };
    let same_sum = sum(ours) == sum(theirs);
    let none = Stream::default();
    let numbers: BTreeSet<_> = ours.streams.keys().chain(theirs.streams.keys()).collect();
    let mut reasons = numbers.into_iter().filter_map(|number| {
        let ours = ours.streams.get(number).unwrap_or(&none);
        let theirs = theirs.streams.get(number).unwrap_or(&none);
        (ours != theirs).then(|| stream(ours, theirs, same_sum, is_late))
    });
    let first = reasons.next()??;
    reasons.all(|reason| reason.is_some()).then_some(first)
}

fn stream(ours: &Stream, theirs: &Stream, same_sum: bool, is_late: bool) -> Option<&'static str> {
    match (&ours.resets[..], &theirs.resets[..]) {
        ([first], [other, _, ..]) if first == other => {
            Some("h2 is wrong: frames on a stream that the server has reset are ignored (5.4.2)")
        }
        ([STREAM_CLOSED], [PROTOCOL_ERROR]) => {
            Some("h2 is wrong: a frame on a half-closed stream is STREAM_CLOSED (5.1)")
        }
        ([PROTOCOL_ERROR], []) if is_late => {
            Some("h2 is wrong: trailers with pseudo-header fields are malformed (8.1)")
        }
        ([FLOW_CONTROL_ERROR], []) if ours.ended => {
            Some("both may: a window above 2^31-1, of a response that was sent (6.9.1)")
        }
        ([ENHANCE_YOUR_CALM], [PROTOCOL_ERROR]) if is_late => {
            Some("both may: trailers above the limit, which is only advice (6.5.2)")
        }
        ([ENHANCE_YOUR_CALM], []) if is_late => {
            Some("h2 is wrong: of trailers above the limit it drops the end, and says nothing")
        }
        ([REFUSED_STREAM], [PROTOCOL_ERROR]) => {
            Some("both may: a request that is malformed and one too many")
        }
        ([] | [NO_ERROR], [PROTOCOL_ERROR]) if ours.status.as_deref() == Some("431") => {
            Some("both may: a request that is malformed and above the limit (10.5.1)")
        }
        ([NO_ERROR], [PROTOCOL_ERROR]) if theirs.status.as_deref() == Some("431") => {
            Some("h2 is wrong: after an early response it is NO_ERROR (8.1)")
        }
        (a, b) if a == b && ours.status == theirs.status && same_sum => Some(
            "both may: which stream sends first within the connection's window (RFC 9218 section 10)",
        ),
        _ => None,
    }
}
