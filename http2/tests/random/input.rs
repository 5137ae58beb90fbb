//! What a client sends, valid or not, in steps.

use corelane_test_frames::{
    ACK, END_HEADERS, END_STREAM, PADDED, PREFACE, PRIORITY, continuation, data, dependency, frame,
    goaway, head, headers, hpack, kind, padded, ping, priority, reset, setting, settings,
    settings_ack, window_update,
};
use proptest::{collection::vec, prelude::*, sample::select};

/// The stream of a frame, until it is known which one that is.
const UNKNOWN: u32 = 0x7fff_fff1;

/// Which stream frames are for.
#[derive(Clone, Copy, Debug)]
enum Target {
    /// The next one that the client may open.
    New,
    /// One of those that it has opened: the highest ones are more likely.
    Opened(usize),
    /// Any, valid or not.
    Stream(u32),
}

fn opened() -> impl Strategy<Value = Target> {
    prop_oneof![
        30 => prop_oneof![3 => 0..3usize, 1 => 0..20usize].prop_map(Target::Opened),
        1 => select(&[0, 1, 2, 3, 5, 99, 0x7fff_ffff][..]).prop_map(Target::Stream),
    ]
}

fn new() -> impl Strategy<Value = Target> {
    prop_oneof![30 => Just(Target::New), 3 => opened()]
}

/// Writes the stream's identifier into frames.
fn aim(frames: &mut [u8], stream: u32) {
    let mut rest = frames;
    while let Some((head, after)) = rest.split_first_chunk_mut::<9>() {
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        if head[5..] == UNKNOWN.to_be_bytes() {
            head[5..].copy_from_slice(&stream.to_be_bytes());
        }
        let Some((payload, after)) = after.split_at_mut_checked(length) else {
            return;
        };
        if matches!(head[3], PRIORITY_UPDATE | kind::PRIORITY)
            && let Some(number) = payload.first_chunk_mut()
            && *number == UNKNOWN.to_be_bytes()
        {
            *number = stream.to_be_bytes();
        }
        rest = after;
    }
}

/// RFC 9218 section 7.1.
const PRIORITY_UPDATE: u8 = 0x10;

fn block() -> impl Strategy<Value = Vec<u8>> {
    let path = select(
        &[
            "/",
            "/wait",
            "/unread",
            "/bytes/0",
            "/bytes/100",
            "/bytes/200000",
        ][..],
    );
    // Changes of the table's size, of which a block has two at most.
    let sizes = prop_oneof![30 => Just(0), 1 => 1..5usize].prop_map(|count| vec![0x20; count]);
    // "x: y" for the table; "host: h", an empty content-length and a value of a space, which are wrong.
    const MORE: &[&[u8]] = &[
        b"",
        b"@\x01x\x01y",
        b"\x0f\x17\x01h",
        b"\x9c",
        b"\0\x01x\x01 ",
    ];
    let more = prop_oneof![20 => 0..2usize, 1 => 2..MORE.len()];
    let whole = (sizes, path, more)
        .prop_map(|(sizes, path, more)| [&sizes, &hpack::get(path)[..], MORE[more]].concat());
    const BROKEN: &[&[u8]] = &[
        // An index that may be there.
        &[0xbe],
        &[0x82, 0x82],
        &[0x20],
        &[0x3f, 0xe1, 0x1f],
        &[0x80],
        &[0x40],
        // "X: y"
        &[0, 1, b'X', 1, b'y'],
        &[0, 1, b'x', 1, b'y'],
    ];
    let broken = select(BROKEN);
    let long = (0..20_000usize)
        .prop_map(|length| hpack::request("GET", "/", &[("x", &vec![b'x'; length][..])]));
    prop_oneof![
        60 => whole,
        4 => broken.prop_map(<[u8]>::to_vec),
        3 => long,
        1 => vec(any::<u8>(), 0..40),
    ]
}

fn flags() -> impl Strategy<Value = u8> {
    select(&[END_HEADERS, END_HEADERS | END_STREAM][..])
}

/// A header block in one frame or in several.
fn request() -> impl Strategy<Value = Vec<u8>> {
    let options = (any::<bool>(), any::<bool>(), prop::bool::weighted(0.05));
    let cuts = vec(0..50usize, 0..3);
    (flags(), block(), options, cuts).prop_map(|(mut flags, block, options, cuts)| {
        let (is_padded, has_priority, is_cut_off) = options;
        let mut rest = &block[..];
        let mut pieces = Vec::new();
        for cut in cuts {
            let (piece, after) = rest.split_at(cut.min(rest.len()));
            pieces.push(piece);
            rest = after;
        }
        // A frame has 16,384 bytes at most.
        pieces.extend(rest.chunks(16_000));
        if pieces.is_empty() {
            pieces.push(&[]);
        }
        let last = pieces.len() - 1;
        if is_cut_off {
            pieces.truncate(1);
        }
        if is_cut_off || last > 0 {
            flags &= !END_HEADERS;
        }
        let mut first = pieces[0].to_vec();
        if has_priority {
            flags |= PRIORITY;
            first.splice(0..0, dependency(0));
        }
        if is_padded {
            flags |= PADDED;
            first = padded(&first, &[0; 7]);
        }
        let mut bytes = headers(UNKNOWN, flags, &first);
        for (place, piece) in pieces.iter().enumerate().skip(1) {
            let flags = if place == last { END_HEADERS } else { 0 };
            bytes.extend(continuation(UNKNOWN, flags, piece));
        }
        bytes
    })
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    let length = prop_oneof![Just(0), 0..100usize, 10_000..16_384usize];
    let padding = prop_oneof![3 => Just(None), 1 => (0..256usize).prop_map(Some)];
    let ends = prop::bool::weighted(0.3);
    (ends, length, padding).prop_map(|(end, length, padding)| {
        let flags = END_STREAM * u8::from(end);
        let payload = vec![b'd'; length];
        match padding {
            Some(padding) if length + padding < 16_383 => data(
                UNKNOWN,
                flags | PADDED,
                &padded(&payload, &vec![0; padding]),
            ),
            _ => data(UNKNOWN, flags, &payload),
        }
    })
}

/// RFC 9218 section 2.1.
const NO_RFC7540_PRIORITIES: u16 = 9;

fn change() -> impl Strategy<Value = (u16, u32)> {
    prop_oneof![
        4 => (
            Just(setting::INITIAL_WINDOW_SIZE),
            prop_oneof![
                20 => select(&[0, 1, 1000, 65_535, 1 << 20][..]),
                1 => Just(1 << 31),
            ],
        ),
        4 => (
            Just(setting::HEADER_TABLE_SIZE),
            select(&[0, 100, 4096, 1 << 20][..]),
        ),
        4 => (
            Just(setting::MAX_FRAME_SIZE),
            select(&[16_384, 20_000, (1 << 24) - 1][..]),
        ),
        4 => (any::<u16>(), any::<u32>()),
        1 => (Just(NO_RFC7540_PRIORITIES), 0..3u32),
    ]
}

fn increment() -> impl Strategy<Value = u32> {
    prop_oneof![
        20 => 1..100_000u32,
        1 => Just(0),
        1 => Just((1 << 31) - 1),
        // To the largest window, and not above it.
        1 => Just((1 << 31) - 1 - 65_535),
    ]
}

/// Frames of a stream.
fn of_stream() -> impl Strategy<Value = Vec<u8>> {
    let value = select(&["u=0", "u=7, i", "i", "u=9", "?"][..]);
    let trailers = Just(headers(
        UNKNOWN,
        END_HEADERS | END_STREAM,
        &[0, 1, b'x', 1, b'y'],
    ));
    prop_oneof![
        8 => body(),
        4 => increment().prop_map(|by| window_update(UNKNOWN, by)),
        1 => (0..20u32).prop_map(|code| reset(UNKNOWN, code)),
        1 => select(&[0, 0, 0, UNKNOWN][..]).prop_map(|on| priority(UNKNOWN, on)),
        1 => value.prop_map(|value| {
            let payload = [&UNKNOWN.to_be_bytes(), value.as_bytes()].concat();
            frame(PRIORITY_UPDATE, 0, 0, &payload)
        }),
        1 => trailers,
    ]
}

/// Frames of the connection, and of no known type.
fn of_connection() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        20 => increment().prop_map(|by| window_update(0, by)),
        20 => vec(change(), 0..3).prop_map(|changes| settings(&changes)),
        10 => Just(ping(b"12345678")),
        5 => Just(frame(kind::PING, ACK, 0, b"12345678")),
        5 => select(&[0, 0, 1][..]).prop_map(|last| goaway(last, 0, b"bye")),
        5 => Just(frame(kind::UNKNOWN, 0xff, 7, &[0; 50])),
        1 => (any::<u8>(), any::<u8>(), 0..9u32, vec(any::<u8>(), 0..20))
            .prop_map(|(kind, flags, stream, payload)| frame(kind, flags, stream, &payload)),
        // A frame whose payload is the next frames.
        1 => (0..100u32, any::<u8>(), 0..9u32)
            .prop_map(|(length, kind, stream)| head(length, kind, 0, stream)),
    ]
}

fn frames() -> impl Strategy<Value = (Target, Vec<u8>)> {
    prop_oneof![
        3 => (new(), request()),
        4 => (opened(), of_stream()),
        2 => (Just(Target::New), of_connection()),
    ]
}

/// Each step is handled before the next one. The first begins with the preface.
pub fn steps() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let first = (vec(change(), 0..2), prop::bool::weighted(0.9));
    (first, vec(vec(frames(), 1..6), 0..12)).prop_map(|((changes, acknowledges), steps)| {
        let mut first = [PREFACE, &settings(&changes)].concat();
        if acknowledges {
            first.extend(settings_ack());
        }
        let mut all = vec![first];
        let mut opened = 0usize;
        for step in steps {
            let mut bytes = Vec::new();
            for (target, mut frames) in step {
                let is_request = frames.get(3) == Some(&kind::HEADERS);
                let stream = match target {
                    Target::New => opened + 1,
                    Target::Opened(_) if opened == 0 => continue,
                    Target::Opened(age) => opened.saturating_sub(age).max(1),
                    Target::Stream(stream) => {
                        aim(&mut frames, stream);
                        bytes.extend(frames);
                        continue;
                    }
                };
                if is_request {
                    opened = opened.max(stream);
                }
                // Streams have odd identifiers.
                aim(&mut frames, 2 * stream as u32 - 1);
                bytes.extend(frames);
            }
            all.push(bytes);
        }
        all
    })
}
