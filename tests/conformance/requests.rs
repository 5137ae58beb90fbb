//! Sections 8.3 and 8.5: pseudo-header fields of requests, CONNECT.

use crate::case::{Case, Outcome, answered, forbidden, malformed, outcome};
use corelane_test_support::{
    frames::*,
    hpack::{block, post, request},
};

pub fn cases() -> Vec<Case> {
    const METHOD: (&str, &[u8]) = (":method", b"GET");
    const SCHEME: (&str, &[u8]) = (":scheme", b"https");
    const AUTHORITY: (&str, &[u8]) = (":authority", b"localhost");
    const PATH: (&str, &[u8]) = (":path", b"/");
    let of = |fields: &[(&str, &[u8])]| headers(1, WHOLE, &block(fields));
    let ask = |path: &str| headers(1, WHOLE, &request("GET", path, &[]));
    let connect: (&str, &[u8]) = (":method", b"CONNECT");
    let target: (&str, &[u8]) = (":authority", b"example.org:443");

    vec![
        // 8.3
        answered(
            "8.3 pseudo-header fields in another order",
            of(&[PATH, AUTHORITY, SCHEME, METHOD]),
        ),
        malformed(
            "8.3 pseudo-header field after a field",
            of(&[METHOD, SCHEME, AUTHORITY, ("x", b"y"), PATH]),
        ),
        forbidden(
            "8.3 pseudo-header field that is not defined",
            of(&[METHOD, SCHEME, AUTHORITY, PATH, (":x", b"y")]),
        ),
        malformed(
            "8.3 pseudo-header field of responses",
            of(&[METHOD, SCHEME, AUTHORITY, PATH, (":status", b"200")]),
        ),
        forbidden(
            "8.3 pseudo-header field with a capital",
            of(&[(":Method", b"GET"), SCHEME, AUTHORITY, PATH]),
        ),
        malformed(
            "8.3 pseudo-header field in trailers",
            [
                headers(1, END_HEADERS, &post("/")),
                headers(1, WHOLE, &block(&[PATH])),
            ]
            .concat(),
        )
        .deviates(Outcome::Answered(200), super::TRAILERS),
        forbidden(
            "8.3 undefined pseudo-header field in trailers",
            [
                headers(1, END_HEADERS, &post("/")),
                headers(1, WHOLE, &block(&[(":x", b"y")])),
            ]
            .concat(),
        ),
        malformed(
            "8.3 :method twice",
            of(&[METHOD, METHOD, SCHEME, AUTHORITY, PATH]),
        ),
        malformed(
            "8.3 :scheme twice",
            of(&[METHOD, SCHEME, SCHEME, AUTHORITY, PATH]),
        ),
        malformed(
            "8.3 :authority twice",
            of(&[METHOD, SCHEME, AUTHORITY, AUTHORITY, PATH]),
        ),
        malformed(
            "8.3 :path twice",
            of(&[METHOD, SCHEME, AUTHORITY, PATH, (":path", b"/other")]),
        ),
        // 8.3.1
        malformed("8.3.1 no :method", of(&[SCHEME, AUTHORITY, PATH])),
        malformed("8.3.1 no :scheme", of(&[METHOD, AUTHORITY, PATH])),
        malformed("8.3.1 no :path", of(&[METHOD, SCHEME, AUTHORITY])),
        malformed("8.3.1 empty :path", ask("")),
        forbidden(
            "8.3.1 empty :method",
            headers(1, WHOLE, &request("", "/", &[])),
        ),
        forbidden(
            "8.3.1 :method with a space",
            headers(1, WHOLE, &request("GET GET", "/", &[])),
        ),
        malformed(
            "8.3.1 :scheme with a space",
            of(&[METHOD, (":scheme", b"ht tp"), AUTHORITY, PATH]),
        ),
        malformed("8.3.1 :path with a space", ask("/a path")),
        malformed("8.3.1 :path that does not begin with /", ask("a/path")),
        // A URI is ASCII, but crate http takes UTF-8.
        malformed(
            "8.3.1 :path in UTF-8",
            of(&[METHOD, SCHEME, AUTHORITY, (":path", "/\u{e9}".as_bytes())]),
        )
        .or(Outcome::Answered(200))
        .today(Outcome::Answered(200)),
        forbidden(
            "8.3.1 :path with a byte of Latin-1",
            of(&[METHOD, SCHEME, AUTHORITY, (":path", b"/\xe9")]),
        ),
        forbidden(
            "8.3.1 :authority with a byte of Latin-1",
            of(&[METHOD, SCHEME, (":authority", b"\xe9"), PATH]),
        ),
        answered(
            "8.3.1 :path * of OPTIONS",
            headers(1, WHOLE, &request("OPTIONS", "*", &[])),
        ),
        answered("8.3.1 :path with a query", ask("/?a=b")),
        // Recipients SHOULD treat it as an error (RFC 9110 section 4.2.4).
        malformed(
            "8.3.1 :authority with user information",
            of(&[METHOD, SCHEME, (":authority", b"user@localhost"), PATH]),
        )
        .or(Outcome::Answered(200))
        .today(Outcome::Answered(200)),
        malformed(
            "8.3.1 invalid :authority",
            of(&[METHOD, SCHEME, (":authority", b"local host"), PATH]),
        ),
        answered(
            "8.3.1 host instead of :authority",
            of(&[METHOD, SCHEME, PATH, ("host", b"localhost")]),
        ),
        answered(
            "8.3.1 host that equals :authority",
            of(&[METHOD, SCHEME, AUTHORITY, PATH, ("host", b"localhost")]),
        ),
        // It SHOULD be malformed.
        malformed(
            "8.3.1 host that differs from :authority",
            of(&[METHOD, SCHEME, AUTHORITY, PATH, ("host", b"example.org")]),
        )
        .or(Outcome::Answered(200))
        .today(Outcome::Answered(200)),
        answered(
            "8.3.1 unknown method",
            headers(1, WHOLE, &request("BREW", "/", &[])),
        ),
        // 8.5
        // No tunnels: Method Not Allowed.
        outcome(
            "8.5 CONNECT",
            Outcome::Answered(405),
            of(&[connect, target]),
        ),
        malformed("8.5 CONNECT with :scheme", of(&[connect, SCHEME, target])),
        malformed("8.5 CONNECT with :path", of(&[connect, target, PATH])),
        malformed("8.5 CONNECT without :authority", of(&[connect])).today(Outcome::Answered(400)),
        malformed(
            "8.5 CONNECT without a port",
            of(&[connect, (":authority", b"localhost")]),
        )
        .today(Outcome::Answered(400)),
        malformed(
            "8.5 :protocol without a setting for it (RFC 8441 section 4)",
            of(&[connect, SCHEME, target, PATH, (":protocol", b"websocket")]),
        ),
        malformed(
            "8.5 :protocol without CONNECT (RFC 8441 section 4)",
            of(&[METHOD, SCHEME, AUTHORITY, PATH, (":protocol", b"websocket")]),
        ),
    ]
}
