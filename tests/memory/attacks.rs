//! What peers do to make a connection hold memory.

use corelane::Http2Config;
use corelane_test_support::{
    frames::{END_HEADERS, WHOLE, continuation, data, headers, ping, reset},
    hpack,
};

use crate::{bound::Bound, target::Target};

pub struct Attack {
    pub what: &'static str,
    pub run: fn(&mut Target<'_>),
    /// Bytes: an attack that makes a connection hold less does not work.
    pub least: usize,
    /// Bytes.
    pub most: usize,
}

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

pub fn attacks(bound: &Bound) -> Vec<Attack> {
    let connection = bound.base + bound.tls;
    let streams = connection + bound.streams;
    let bodies = streams + bound.bodies;
    let attack = |what, run: fn(&mut Target<'_>), least, most| Attack {
        what,
        run,
        least,
        most,
    };
    vec![
        attack("nothing", nothing, KIB, bound.idle),
        attack("tables", tables, 12 * KIB, connection),
        attack(
            "header block",
            header_block,
            90 * KIB,
            connection + bound.header_block,
        ),
        attack("streams", open_streams, 200 * KIB, streams),
        attack(
            "header lists",
            header_lists,
            10 * MIB,
            streams + bound.header_lists,
        ),
        attack("resets", resets, 4 * KIB, streams + bound.header_lists),
        attack("unread bodies", unread_bodies, 1000 * KIB, bodies),
        attack("half reads", half_reads, 1000 * KIB, bodies),
        attack(
            "short frames",
            short_frames,
            100 * KIB,
            bodies + bound.short_frames,
        ),
        attack(
            "unread responses",
            unread_responses,
            10 * MIB,
            streams + bound.responses,
        ),
        attack(
            "unread answers",
            unread_answers,
            64 * KIB,
            streams + bound.responses,
        ),
        attack("all at once", all_at_once, 5 * MIB, bound.sum()),
    ]
}

/// As many streams as may be open.
fn streams() -> u32 {
    Http2Config::default().max_concurrent_streams
}

fn ids() -> impl Iterator<Item = u32> {
    (0..streams()).map(|i| 2 * i + 1)
}

/// A request's head, with fields that cost the most memory beyond what they count.
fn request(path: u8, fields: usize) -> Vec<u8> {
    let mut block = vec![0x83, 0x87, 4, 2, b'/', path, 1, 1, b'l'];
    for i in 0..fields {
        let letter = |n: usize| b'a' + u8::try_from(n % 26).expect("a letter");
        // Literal without indexing: a name of two letters, an empty value.
        block.extend([0, 2, letter(i / 26), letter(i), 0]);
    }
    block
}

/// As many fields as a header list may have: each counts 34 bytes.
const FIELDS: usize = 475;

fn hold(id: u32, fields: usize) -> Vec<u8> {
    headers(id, END_HEADERS, &request(b'h', fields))
}

fn nothing(_target: &mut Target<'_>) {}

/// Fills both tables of HPACK.
fn tables(target: &mut Target<'_>) {
    let mut first = request(b't', 0);
    for i in 0..100 {
        first.push(0x40);
        first.extend(hpack::string(format!("x{i:03}").as_bytes()));
        first.extend(hpack::string(b""));
    }
    // It repeats them, so that the engine keeps what it has made of them.
    let mut second = request(b't', 0);
    for index in 62..162 {
        second.extend(hpack::integer(7, 0x80, index));
    }
    target.send(&headers(1, WHOLE, &first));
    target.send(&headers(3, WHOLE, &second));
    target.wait_for(2);
}

/// A field whose end does not come.
fn header_block(target: &mut Target<'_>) {
    tables(target);
    let mut block = request(b'h', 0);
    block.extend([0, 1, b'x']);
    block.extend(hpack::integer(7, 0, MIB));
    block.resize(5 * 16 * KIB, b'x');
    let mut pieces = block.chunks(16 * KIB);
    target.send(&headers(5, 0, pieces.next().expect("five")));
    for piece in pieces {
        target.send(&continuation(5, 0, piece));
    }
    let more = continuation(5, 0, &[b'x'; 16 * KIB]);
    target.send(&more[..more.len() - 1]);
}

fn open_streams(target: &mut Target<'_>) {
    for id in ids() {
        target.send(&hold(id, 0));
    }
    target.wait_for(streams());
}

fn header_lists(target: &mut Target<'_>) {
    for id in ids() {
        target.send(&hold(id, FIELDS));
    }
    target.wait_for(streams());
}

/// Requests that are reset before the server looks at them.
fn resets(target: &mut Target<'_>) {
    let requests = ids().flat_map(|id| [hold(id, FIELDS), reset(id, 8)]);
    target.send(&requests.collect::<Vec<_>>().concat());
    target.send(&hold(2 * streams() + 1, 0));
}

/// As much as the connection's window allows.
fn unread_bodies(target: &mut Target<'_>) {
    open_streams(target);
    for id in ids().take(64) {
        target.send(&data(id, 0, &[0; 16 * KIB]));
    }
}

/// Data that is as short as it may be to take a whole read with it.
fn half_reads(target: &mut Target<'_>) {
    open_streams(target);
    for id in ids().take(113) {
        target.send(&data(id, 0, &[0; 9 * KIB + 20]));
    }
}

fn short_frames(target: &mut Target<'_>) {
    target.send(&hold(1, 0));
    target.wait_for(1);
    target.send(&data(1, 0, b"message").repeat(15_000));
}

fn unread_responses(target: &mut Target<'_>) {
    for id in ids() {
        target.send(&headers(id, WHOLE, &request(b'r', 0)));
    }
    target.wait_for(streams());
}

/// Until the server reads no more, as its answers are not read.
fn unread_answers(target: &mut Target<'_>) {
    target.send(&headers(1, WHOLE, &request(b'r', 0)));
    target.wait_for(1);
    for _ in 0..10 {
        if !target.try_send(&ping(&[0; 8]).repeat(500)) {
            break;
        }
    }
}

fn all_at_once(target: &mut Target<'_>) {
    let (bodies, responses): (Vec<_>, Vec<_>) = ids().partition(|id| *id < 100);
    for id in &bodies {
        target.send(&hold(*id, FIELDS));
    }
    target.wait_for(50);
    for id in bodies.iter().cycle().take(60) {
        target.send(&data(*id, 0, &[0; 16 * KIB]));
    }
    // The server may stop reading.
    for id in responses {
        let request = headers(id, WHOLE, &request(b'r', FIELDS));
        if !target.try_send(&request) {
            break;
        }
    }
}
