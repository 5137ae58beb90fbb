//! Sections 8.1 and 8.2: framing of messages, malformed messages, fields.

use crate::case::{Case, Outcome, answered, forbidden, malformed, outcome};
use corelane_test_support::{
    frames::*,
    hpack::{block, get, post, request},
};

pub fn cases() -> Vec<Case> {
    let begun = || headers(1, END_HEADERS, &post("/"));
    let trailers = |fields: &[(&str, &[u8])]| headers(1, WHOLE, &block(fields));
    let with = |name: &str, value: &[u8]| headers(1, WHOLE, &request("GET", "/", &[(name, value)]));
    let of_length = |length: &[u8]| {
        let fields: &[(&str, &[u8])] = &[("content-length", length)];
        headers(1, END_HEADERS, &request("POST", "/", fields))
    };
    const WHITESPACE: &str = "h2 accepts values that begin or end with whitespace";

    vec![
        // 8.1
        answered(
            "8.1 HEADERS, DATA, trailers",
            [begun(), data(1, 0, b"x"), trailers(&[("x", b"y")])].concat(),
        ),
        answered(
            "8.1 HEADERS, trailers",
            [begun(), trailers(&[("x", b"y")])].concat(),
        ),
        answered("8.1 empty trailers", [begun(), trailers(&[])].concat()),
        malformed(
            "8.1 trailers that do not end the stream",
            [begun(), headers(1, END_HEADERS, &block(&[("x", b"y")]))].concat(),
        ),
        malformed(
            "8.1 DATA between trailers and the end",
            [
                begun(),
                headers(1, END_HEADERS, &block(&[("x", b"y")])),
                data(1, END_STREAM, b"x"),
            ]
            .concat(),
        ),
        malformed(
            "8.1 a second request on the stream",
            [begun(), headers(1, WHOLE, &get("/"))].concat(),
        )
        .deviates(Outcome::Answered(200), super::TRAILERS),
        // 8.1.1
        answered(
            "8.1.1 content-length that is right",
            [
                of_length(b"5"),
                data(1, 0, b"fi"),
                data(1, END_STREAM, b"ve!"),
            ]
            .concat(),
        ),
        answered(
            "8.1.1 content-length that is right but for the padding",
            [
                of_length(b"5"),
                data(1, END_STREAM | PADDED, &padded(b"five!", &[0; 5])),
            ]
            .concat(),
        ),
        malformed(
            "8.1.1 content-length above the body's",
            [of_length(b"6"), data(1, END_STREAM, b"five!")].concat(),
        ),
        malformed(
            "8.1.1 content-length below the body's",
            [of_length(b"4"), data(1, END_STREAM, b"five!")].concat(),
        ),
        malformed(
            "8.1.1 content-length below the body's, which has not ended",
            [of_length(b"4"), data(1, 0, b"five!")].concat(),
        ),
        malformed(
            "8.1.1 content-length without a body",
            with("content-length", b"1"),
        ),
        malformed(
            "8.1.1 content-length above the body's, ended by trailers",
            [of_length(b"6"), data(1, 0, b"five!"), trailers(&[])].concat(),
        ),
        malformed(
            "8.1.1 content-length that is not a number",
            with("content-length", b"one"),
        ),
        malformed(
            "8.1.1 content-length with a sign",
            with("content-length", b"+0"),
        ),
        malformed(
            "8.1.1 content-length past 64 bits",
            [of_length(b"18446744073709551616"), data(1, END_STREAM, b"")].concat(),
        ),
        malformed(
            "8.1.1 two content-lengths that differ",
            [
                headers(
                    1,
                    END_HEADERS,
                    &request(
                        "POST",
                        "/",
                        &[("content-length", b"5"), ("content-length", b"6")],
                    ),
                ),
                data(1, END_STREAM, b"five!"),
            ]
            .concat(),
        ),
        // 8.2
        forbidden("8.2 field name with a capital", with("X-name", b"y")),
        forbidden("8.2.1 field name with a space", with("x name", b"y")),
        forbidden("8.2.1 field name with a colon", with("x:name", b"y")),
        forbidden("8.2.1 field name with a control", with("x\u{1}name", b"y")),
        forbidden("8.2.1 field name with DEL", with("x\u{7f}name", b"y")),
        forbidden("8.2.1 field name past ASCII", with("x\u{e9}name", b"y")),
        forbidden("8.2.1 empty field name", with("", b"y")),
        forbidden("8.2.1 value with NUL", with("x", b"a\0b")),
        forbidden("8.2.1 value with LF", with("x", b"a\nb")),
        forbidden("8.2.1 value with CR", with("x", b"a\rb")),
        malformed("8.2.1 value that begins with a space", with("x", b" y"))
            .deviates(Outcome::Answered(200), WHITESPACE),
        malformed("8.2.1 value that ends with a tab", with("x", b"y\t"))
            .deviates(Outcome::Answered(200), WHITESPACE),
        forbidden(
            "8.2.1 value with LF in trailers",
            [begun(), trailers(&[("x", b"a\nb")])].concat(),
        ),
        malformed(
            "8.2.1 empty field name, and more fields in CONTINUATION",
            [
                headers(1, END_STREAM, &request("GET", "/", &[("", b"y")])),
                continuation(1, END_HEADERS, &block(&[("x", b"y")])),
            ]
            .concat(),
        )
        .deviates(
            Outcome::Answered(200),
            "h2 drops a field without a name if CONTINUATION follows",
        ),
        answered("8.2.1 empty value", with("x", b"")),
        answered("8.2.1 value past ASCII", with("x", b"\xe9")),
        malformed("8.2.2 connection", with("connection", b"close")),
        malformed("8.2.2 keep-alive", with("keep-alive", b"timeout=5")),
        malformed(
            "8.2.2 proxy-connection",
            with("proxy-connection", b"keep-alive"),
        ),
        malformed(
            "8.2.2 transfer-encoding",
            with("transfer-encoding", b"chunked"),
        ),
        malformed("8.2.2 upgrade", with("upgrade", b"h2c")),
        malformed("8.2.2 te other than trailers", with("te", b"gzip")),
        answered("8.2.2 te: trailers", with("te", b"trailers")),
        malformed(
            "8.2.2 connection in trailers",
            [begun(), trailers(&[("connection", b"close")])].concat(),
        ),
        answered(
            "8.2.3 cookie in crumbs",
            headers(
                1,
                WHOLE,
                &request("GET", "/", &[("cookie", b"a=b"), ("cookie", b"c=d")]),
            ),
        ),
        // 10.5.1
        outcome(
            "10.5.1 header list above the limit",
            Outcome::Answered(431),
            headers(1, WHOLE, &request("GET", "/", &[("x", &[b'y'; 16_230])])),
        ),
    ]
}
