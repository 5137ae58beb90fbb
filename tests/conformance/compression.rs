//! RFC 7541: input that a decoder has to accept, and input that it has to reject.

use crate::case::{Case, Code::*, Outcome, answered, connection_error, forbidden, send};
use corelane_test_support::{
    frames::*,
    hpack::{get, integer, string},
    peer::Frame,
};

/// The server's table size. It sends no SETTINGS_HEADER_TABLE_SIZE, so the default applies.
const TABLE: usize = 4096;

const TABLE_SIZES: &str = "h2 does not signal the smallest header table size of a SETTINGS frame";

fn table_of_peer(sizes: &[usize]) -> Vec<u8> {
    let sizes = sizes.iter().map(|size| {
        (
            setting::HEADER_TABLE_SIZE,
            u32::try_from(*size).expect("small"),
        )
    });
    settings(&sizes.collect::<Vec<_>>())
}

/// The response begins with two updates of the table's size, to 0 and to the default.
fn signals_both_sizes(frames: &[Frame]) -> bool {
    let updates = [integer(5, 0x20, 0), integer(5, 0x20, TABLE)].concat();
    let mut heads = frames.iter().filter(|frame| frame.is(kind::HEADERS, 1));
    heads.any(|head| head.payload.starts_with(&updates))
}

pub fn cases() -> Vec<Case> {
    let ask = |more: &[u8]| headers(1, WHOLE, &[&get("/")[..], more].concat());
    let before = |first: &[u8]| headers(1, WHOLE, &[first, &get("/")[..]].concat());
    let broken = |name, more: &[u8]| {
        connection_error(name, CompressionError, ask(more))
            .deviates(Outcome::Connection(ProtocolError as u32), super::DECODING)
    };
    let broken_before = |name, first: &[u8]| {
        connection_error(name, CompressionError, before(first))
            .deviates(Outcome::Connection(ProtocolError as u32), super::DECODING)
    };
    // "x: y", with incremental indexing.
    const X: &[u8] = &[0x40, 1, b'x', 1, b'y'];
    // The newest entry and the one before it.
    const YOUNGEST: u8 = 0x80 | 62;
    const SECOND: u8 = 0x80 | 63;

    vec![
        // 2.3
        answered(
            "HPACK 2.3.1 static table",
            headers(1, WHOLE, &[0x82, 0x87, 0x84, 0x41, 1, b'l']),
        ),
        answered(
            "HPACK 2.3.1 last entry of the static table",
            ask(&[0x80 | 61]),
        ),
        answered("HPACK 2.3.2 dynamic table", ask(&[X, &[YOUNGEST]].concat())),
        answered(
            "HPACK 2.3.2 dynamic table, over requests",
            send(ask(X))
                .settle()
                .send(headers(3, WHOLE, &[&get("/")[..], &[YOUNGEST]].concat())),
        )
        .on(3),
        broken("HPACK 2.3.3 index past both tables", &[YOUNGEST]),
        broken(
            "HPACK 2.3.3 index past the dynamic table",
            &[X, &[SECOND]].concat(),
        ),
        broken(
            "HPACK 2.3.3 name index past both tables",
            &[0x40 | 62, 1, b'y'],
        ),
        broken("HPACK 2.3.3 large index", &integer(7, 0x80, 1 << 20)),
        // 4.1, 4.4: an entry counts 32 bytes besides its name and value
        answered(
            "HPACK 4.4 entry as large as the table",
            ask(&[
                &[0x40, 1, b'x'][..],
                &string(&[b'y'; TABLE - 33]),
                &[YOUNGEST],
            ]
            .concat()),
        ),
        broken(
            "HPACK 4.4 entry above the table's size empties it",
            &[
                X,
                &[0x40, 1, b'x'],
                &string(&[b'y'; TABLE - 32]),
                &[YOUNGEST],
            ]
            .concat(),
        ),
        broken(
            "HPACK 4.4 the oldest entry is evicted",
            &[X, &[0x40, 1, b'x'], &string(&[b'y'; TABLE - 33]), &[SECOND]].concat(),
        ),
        // 4.2, 6.3
        answered("HPACK 4.2 smaller table", before(&integer(5, 0x20, 100))),
        answered(
            "HPACK 4.2 no table, then one",
            before(&[integer(5, 0x20, 0), integer(5, 0x20, TABLE)].concat()),
        ),
        answered(
            "HPACK 4.2 table of the peer: smaller, then as before, in two frames",
            [table_of_peer(&[0]), table_of_peer(&[TABLE]), ask(b"")].concat(),
        )
        .also("the response signals both sizes", signals_both_sizes),
        answered(
            "HPACK 4.2 table of the peer: smaller, then as before, in one frame",
            [table_of_peer(&[0, TABLE]), ask(b"")].concat(),
        )
        .lacks(signals_both_sizes, TABLE_SIZES),
        broken_before(
            "HPACK 6.3 table above the limit",
            &integer(5, 0x20, TABLE + 1),
        ),
        broken(
            "HPACK 4.2 change of size after a field",
            &integer(5, 0x20, 100),
        ),
        connection_error(
            "HPACK 4.3 a smaller table evicts",
            CompressionError,
            send(ask(X)).settle().send(headers(
                3,
                WHOLE,
                &[&[0x20][..], &get("/"), &[YOUNGEST]].concat(),
            )),
        )
        .deviates(Outcome::Connection(ProtocolError as u32), super::DECODING),
        // 5.1
        answered(
            "HPACK 5.1 integer with idle octets",
            ask(&[0x0f, 0x80 | 2, 0, 1, b'y']),
        ),
        broken("HPACK 5.1 integer without an end", &[0xff, 0x80]),
        broken(
            "HPACK 5.1 integer past 32 bits",
            &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f],
        ),
        broken(
            "HPACK 5.1 integer of many octets",
            &[&[0xff][..], &[0x80; 20], &[0]].concat(),
        ),
        // 5.2
        answered(
            "HPACK 5.2 Huffman's code",
            ask(&[0, 1, b'x', 0x80 | 2, 0x1c, 0x64]),
        ),
        broken("HPACK 5.2 string past the block", &[0, 1, b'x', 10, b'y']),
        broken("HPACK 5.2 name past the block", &[0, 10, b'x']),
        broken("HPACK 5.2 name without a value", &[0, 1, b'x']),
        broken(
            "HPACK 5.2 string of 2^28 bytes",
            &[&[0, 1, b'x'][..], &integer(7, 0, 1 << 28)].concat(),
        ),
        broken(
            "HPACK 5.2 Huffman's code with EOS",
            &[0, 1, b'x', 0x84, 0xff, 0xff, 0xff, 0xff],
        ),
        broken(
            "HPACK 5.2 Huffman's code padded by zeros",
            &[0, 1, b'x', 0x81, 0x18],
        ),
        broken(
            "HPACK 5.2 Huffman's code padded by eight bits",
            &[0, 1, b'x', 0x82, 0x1f, 0xff],
        ),
        // 6
        broken("HPACK 6.1 index 0", &[0x80]),
        answered(
            "HPACK 6.2.1 with incremental indexing",
            ask(&[0x40, 1, b'x', 1, b'y']),
        ),
        answered("HPACK 6.2.2 without indexing", ask(&[0, 1, b'x', 1, b'y'])),
        answered("HPACK 6.2.3 never indexed", ask(&[0x10, 1, b'x', 1, b'y'])),
        broken(
            "HPACK 6.2.3 never indexed is not in the table",
            &[0x10, 1, b'x', 1, b'y', YOUNGEST],
        ),
        // A name that HTTP forbids makes the request malformed, but not the header block.
        forbidden("HPACK 6.2.1 forbidden name", ask(&[0x40, 1, b'X', 1, b'y'])),
    ]
}
