//! The heads of requests: what they become, and which are malformed.

use corelane_http2::{Config, Event, Protocol};
use corelane_test_frames::{self as frames, END_HEADERS, WHOLE, hpack};
use http::{Method, Version, header, request::Parts};

use crate::support::{Pair, Seen};

fn head(pair: &mut Pair, number: u32, block: &[u8]) -> Option<Parts> {
    let seen = pair.send(&frames::headers(number, WHOLE, block));
    seen.into_iter().find_map(|it| match it {
        Seen::Event(Event::Request { head, .. }) => Some(head),
        _ => None,
    })
}

fn parsed(more: &[(&str, &[u8])]) -> Option<Parts> {
    let mut pair = Pair::new(Config::default());
    let head = head(&mut pair, 1, &hpack::request("GET", "/a?b=c", more));
    // Malformed requests end their stream only.
    assert_eq!(pair.reset_code(1), head.is_none().then_some(1));
    head_of_next(&mut pair);
    head
}

fn head_of_next(pair: &mut Pair) {
    assert!(head(pair, 3, &hpack::get("/")).is_some());
}

#[test]
fn a_head_has_target_and_fields() {
    let head = parsed(&[("accept", b"*/*"), ("x", b"\xe9"), ("x", b"")]).expect("valid");
    assert_eq!(head.method, Method::GET);
    assert_eq!(head.uri, "https://localhost/a?b=c");
    assert_eq!(head.version, Version::HTTP_2);
    assert_eq!(head.headers[header::ACCEPT], "*/*");
    let values: Vec<_> = head.headers.get_all("x").iter().collect();
    assert_eq!(values, [&b"\xe9"[..], b""]);
    assert_eq!(head.headers.len(), 3);
}

#[test]
fn pieces_of_a_cookie_are_joined() {
    let pieces: [(&[&[u8]], &[u8]); 4] = [
        (&[b"a=1"], b"a=1"),
        (&[b"c=3", b"a=1; b=2", b"c=3"], b"c=3; a=1; b=2; c=3"),
        (&[b"", b"a=1"], b"; a=1"),
        (&[b"a=\xff", b"\x80=2"], b"a=\xff; \x80=2"),
    ];
    for (pieces, joined) in pieces {
        let mut fields: Vec<_> = pieces.iter().map(|piece| ("cookie", *piece)).collect();
        fields.insert(1, ("accept", b"*/*"));
        let head = parsed(&fields).expect("valid");
        let cookies: Vec<_> = head.headers.get_all(header::COOKIE).iter().collect();
        assert_eq!(cookies, [joined], "{pieces:?}");
    }
}

#[test]
fn repeated_fields_of_the_table_are_the_same_each_time() {
    let mut pair = Pair::new(Config::default());
    // With incremental indexing: authority, a cookie, a field and one that is long.
    let long = vec![b'l'; 300];
    let literal = |name: &[u8], value: &[u8]| {
        [&[0x40][..], &hpack::string(name), &hpack::string(value)].concat()
    };
    let first = [
        b"\x82\x87\x84".to_vec(),
        literal(b":authority", b"example.org"),
        literal(b"cookie", b"a=1"),
        literal(b"x", b"y"),
        literal(b"long", &long),
    ];
    let again = b"\x82\x87\x84\xc1\xc0\xbf\xbe";
    let mut number = 1;
    for block in [&first.concat()[..], again, again, again] {
        let head = head(&mut pair, number, block).expect("valid");
        assert_eq!(head.uri, "https://example.org/");
        assert_eq!(head.headers["cookie"], "a=1");
        assert_eq!(head.headers["x"], "y");
        assert_eq!(head.headers["long"], &long[..]);
        assert_eq!(head.headers.len(), 3);
        number += 2;
    }
    // What is kept is checked for its place: a pseudo-header field behind a field.
    assert!(head(&mut pair, number, b"\x82\x87\x84\xbf\xc1").is_none());
    // Another entry takes the place.
    let other = literal(b"x", b"z");
    let block = [&b"\x82\x87\x84\xc1"[..], &other, b"\xbe"].concat();
    let head = head(&mut pair, number + 2, &block).expect("valid");
    assert_eq!(head.headers.get_all("x").iter().count(), 2);
    assert_eq!(head.headers["x"], "z");
}

#[test]
fn malformed_requests_end_their_stream_only() {
    let cases: &[(&str, &[u8])] = &[
        ("X", b"y"),
        ("", b"y"),
        ("x y", b"z"),
        ("x:", b"z"),
        (":x", b"y"),
        (":status", b"200"),
        (":path", b"/"),
        ("x", b" y"),
        ("x", b"y\t"),
        ("x", b"a\0b"),
        ("x", b"a\nb"),
        ("connection", b"close"),
        ("keep-alive", b"timeout=5"),
        ("proxy-connection", b"close"),
        ("transfer-encoding", b"chunked"),
        ("upgrade", b"h2c"),
        ("te", b"gzip"),
        ("content-length", b"1"),
        ("content-length", b"+0"),
        ("host", b"example.org"),
    ];
    for field in cases {
        assert!(parsed(&[*field]).is_none(), "{field:?}");
    }
    assert!(parsed(&[("host", b"localhost"), ("host", b"localhost")]).is_none());
    for field in [
        ("te", &b"trailers"[..]),
        ("host", b"LOCALHOST:443"),
        ("content-length", b"0"),
    ] {
        assert!(parsed(&[field]).is_some(), "{field:?}");
    }
}

#[test]
fn pseudo_header_fields_are_checked() {
    let [method, scheme, authority, path]: [(&str, &[u8]); 4] = [
        (":method", b"GET"),
        (":scheme", b"https"),
        (":authority", b"localhost"),
        (":path", b"/"),
    ];
    let connect: (&str, &[u8]) = (":method", b"CONNECT");
    let target: (&str, &[u8]) = (":authority", b"localhost:443");
    let port_0: (&str, &[u8]) = (":authority", b"localhost:0");
    let protocol: (&str, &[u8]) = (":protocol", b"websocket");
    let host: (&str, &[u8]) = ("host", b"localhost");
    let options: (&str, &[u8]) = (":method", b"OPTIONS");
    let star: (&str, &[u8]) = (":path", b"*");
    let relative: (&str, &[u8]) = (":path", b"a");
    let valid = |fields: &[(&str, &[u8])], extended: bool| {
        let mut pair = Pair::new(Config::default().extended_connect(extended));
        head(&mut pair, 1, &hpack::block(fields))
    };
    for (fields, is_valid) in [
        (&[path, authority, scheme, method][..], true),
        (&[method, scheme, path, host], true),
        (&[method, scheme, path], false),
        (&[scheme, authority, path], false),
        (&[method, authority, path], false),
        (&[method, scheme, authority], false),
        (&[method, method, scheme, authority, path], false),
        (&[method, scheme, authority, authority, path], false),
        (&[method, scheme, authority, host, path], false),
        (&[method, scheme, authority, star], false),
        (&[options, scheme, authority, star], true),
        (&[method, scheme, authority, relative], false),
        (&[connect, target], true),
        (&[connect, authority], false),
        (&[connect, port_0], false),
        (&[connect], false),
        (&[connect, scheme, target], false),
        (&[connect, target, path], false),
        (&[connect, target, protocol], false),
        (&[connect, scheme, authority, path, protocol], false),
        (&[method, scheme, authority, path, protocol], false),
    ] {
        assert_eq!(valid(fields, false).is_some(), is_valid, "{fields:?}");
    }
    let extended = valid(&[connect, scheme, authority, path, protocol], true);
    let extended = extended.expect("RFC 8441");
    let protocol = extended.extensions.get::<Protocol>().expect("it is there");
    assert_eq!(protocol.as_bytes(), b"websocket");
    assert_eq!(extended.uri, "https://localhost/");
    assert!(valid(&[connect, target], true).is_some());
    assert!(
        valid(
            &[method, scheme, authority, path, (":protocol", b"x")],
            true
        )
        .is_none()
    );
}

#[test]
fn content_length_has_to_match_the_data() {
    for (length, pieces, is_valid) in [
        (&b"5"[..], &[2, 3][..], true),
        (b"5", &[0, 5], true),
        (b"5", &[6], false),
        (b"5", &[4], false),
        (b"5", &[3, 3], false),
        (b"0", &[0], true),
        (b"0", &[1], false),
    ] {
        let mut pair = Pair::new(Config::default());
        let block = hpack::request("POST", "/", &[("content-length", length)]);
        pair.send(&frames::headers(1, END_HEADERS, &block));
        let mut ended = false;
        for (i, piece) in pieces.iter().enumerate() {
            let end = u8::from(i + 1 == pieces.len());
            for it in pair.send(&frames::data(1, end, &vec![0; *piece])) {
                ended |= matches!(it, Seen::Data(_, _, true));
            }
        }
        assert_eq!(ended, is_valid, "{length:?} {pieces:?}");
        assert_eq!(pair.reset_code(1), (!is_valid).then_some(1));
    }
}
