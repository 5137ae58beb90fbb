//! Sections 6.1 to 6.3: where the body of a request ends.

use crate::case::{Case, last, refused, served};

/// A POST with these field lines besides `host`, then this body.
fn post(lines: &str, body: &str) -> String {
    format!("POST / HTTP/1.1\r\nhost: localhost\r\n{lines}\r\n\r\n{body}")
}

pub fn cases() -> Vec<Case> {
    const FIVE: &str = "POST / localhost 5";
    const LENGTH: &str = "hyper answers 431 to a content-length of 2^64-2 or more";
    const CHUNK: &str = "5\r\nhello\r\n0\r\n\r\n";
    const SMUGGLED: &str = "0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let length = |value: &str| post(&format!("content-length: {value}"), "hello");
    let coded = |value: &str| post(&format!("transfer-encoding: {value}"), CHUNK);
    let both = |lines: &str| post(lines, CHUNK);

    vec![
        // 6.1
        served("6.1 chunked", FIVE, coded("chunked")),
        served("6.1 Chunked", FIVE, coded("Chunked")),
        served(
            "6.1 chunked with whitespace around",
            FIVE,
            coded(" \tchunked\t "),
        ),
        refused("6.1 an unknown coding", "400", coded("xchunked")),
        refused("6.1 identity", "400", coded("identity")),
        refused("6.1 gzip", "400", coded("gzip")),
        refused("6.1 gzip, chunked", "501", coded("gzip, chunked")),
        refused("6.1 identity, chunked", "501", coded("identity, chunked")),
        refused("6.1 chunked, gzip", "400", coded("chunked, gzip")),
        refused("6.1 chunked, identity", "400", coded("chunked, identity")),
        refused("6.1 chunked, chunked", "400", coded("chunked, chunked")),
        refused(
            "6.1 chunked twice, in two fields",
            "400",
            both("transfer-encoding: chunked\r\ntransfer-encoding: chunked"),
        ),
        refused(
            "6.1 chunked, then identity in another field",
            "400",
            both("transfer-encoding: chunked\r\ntransfer-encoding: identity"),
        ),
        refused(
            "6.1 an unknown coding, then chunked in another field",
            "501",
            both("transfer-encoding: x\r\ntransfer-encoding: chunked"),
        ),
        refused("6.1 chunked with a parameter", "400", coded("chunked;q=1")),
        refused("6.1 chunked in quotes", "400", coded("\"chunked\"")),
        refused(
            "6.1 chunked behind a vertical tab",
            "400",
            coded("\x0bchunked"),
        ),
        refused("6.1 chunked before NUL", "400", coded("chunked\0")),
        refused("6.1 an empty transfer-encoding", "400", coded("")),
        refused("6.1 chun ked", "400", coded("chun ked")),
        refused(
            "6.1 chunked in HTTP/1.0",
            "400",
            "POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
        // RFC 9112 section 6.1 allows it, if the connection is closed.
        last(
            "6.1 content-length and transfer-encoding",
            FIVE,
            both("content-length: 5\r\ntransfer-encoding: chunked"),
        ),
        last(
            "6.1 transfer-encoding and content-length",
            FIVE,
            both("transfer-encoding: chunked\r\ncontent-length: 5"),
        ),
        last(
            "6.1 transfer-encoding and a content-length past the body",
            FIVE,
            both("transfer-encoding: chunked\r\ncontent-length: 500"),
        ),
        last(
            "6.1 a request behind the chunks, within the content-length",
            "POST / localhost 0",
            post(
                &format!(
                    "content-length: {}\r\ntransfer-encoding: chunked",
                    SMUGGLED.len()
                ),
                SMUGGLED,
            ),
        ),
        refused(
            "6.1 content-length and an unknown coding",
            "400",
            both("content-length: 5\r\ntransfer-encoding: xchunked"),
        ),
        refused(
            "6.1 content-length and chunked, chunked",
            "400",
            both("content-length: 5\r\ntransfer-encoding: chunked, chunked"),
        ),
        // 6.2, 6.3
        served("6.2 content-length", FIVE, length("5")),
        served(
            "6.2 content-length with zeros before it",
            FIVE,
            length("005"),
        ),
        served(
            "6.2 two content-lengths that are equal",
            FIVE,
            post("content-length: 5\r\ncontent-length: 5", "hello"),
        ),
        refused(
            "6.3 two content-lengths that differ",
            "400",
            post("content-length: 5\r\ncontent-length: 6", "hello!"),
        ),
        refused(
            "6.3 content-lengths 0 and 5",
            "400",
            post("content-length: 0\r\ncontent-length: 5", "hello"),
        ),
        refused("6.3 a list of equal content-lengths", "400", length("5, 5")),
        refused("6.3 a list of content-lengths", "400", length("5, 6")),
        refused("6.3 +5", "400", length("+5")),
        refused("6.3 -5", "400", length("-5")),
        refused("6.3 0x5", "400", length("0x5")),
        refused("6.3 5.0", "400", length("5.0")),
        refused("6.3 5e0", "400", length("5e0")),
        refused("6.3 5 5", "400", length("5 5")),
        refused("6.3 five", "400", length("five")),
        refused("6.3 an empty content-length", "400", length("")),
        refused("6.3 a content-length in quotes", "400", length("\"5\"")),
        refused(
            "6.3 a content-length with a digit past ASCII",
            "400",
            length("\u{665}"),
        ),
        refused(
            "6.3 a content-length past 64 bits",
            "400",
            length("18446744073709551616"),
        ),
        refused(
            "6.3 the content-length 2^64-1",
            "431",
            length("18446744073709551615"),
        )
        .deviates(LENGTH),
        refused(
            "6.3 a content-length of 1,000 digits",
            "400",
            length(&"1".repeat(1_000)),
        ),
        served(
            "6.3 no length: no body",
            "POST / localhost 0",
            "POST / HTTP/1.1\r\nhost: localhost\r\n\r\n",
        ),
        served(
            "6.3 a GET with a body",
            "GET / localhost 5",
            "GET / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5\r\n\r\nhello",
        ),
        served(
            "6.3 a GET with chunks",
            "GET / localhost 5",
            format!(
                "GET / HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n{CHUNK}"
            ),
        ),
        served(
            "6.3 content_length is another field",
            "POST / localhost 0",
            post("content_length: 5", ""),
        ),
        served(
            "6.3 names are case-insensitive",
            FIVE,
            post("CONTENT-LENGTH: 5", "hello"),
        ),
        refused("8 a body that ends early", "400", length("50"))
            .cut()
            .unanswered(),
        // 9110 7.8
        served(
            "9110 7.8 an upgrade that is not served",
            FIVE,
            post(
                "connection: upgrade\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\ncontent-length: 5",
                "hello",
            ),
        ),
        served(
            "9110 7.8 an upgrade with chunks",
            FIVE,
            post(
                "connection: upgrade\r\nupgrade: websocket\r\ntransfer-encoding: chunked",
                CHUNK,
            ),
        ),
        // 9110 10.1.1
        served(
            "9110 10.1.1 expect",
            FIVE,
            post("expect: 100-continue\r\ncontent-length: 5", "hello"),
        ),
        served(
            "9110 10.1.1 another expectation",
            FIVE,
            post("expect: x\r\ncontent-length: 5", "hello"),
        ),
    ]
}
