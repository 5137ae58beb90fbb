//! Section 7: chunks, their extensions, and trailers.

use crate::case::{Case, last, refused, served};

/// A POST with this chunked body.
fn chunks(body: &str) -> String {
    format!("POST / HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n{body}")
}

pub fn cases() -> Vec<Case> {
    const FIVE: &str = "POST / localhost 5";
    const NONE: &str = "POST / localhost 0";
    const WHITESPACE: &str = "hyper accepts whitespace behind the size of a chunk";
    let size = |size: &str| chunks(&format!("{size}\r\nhello\r\n0\r\n\r\n"));
    let trailers = |trailers: &str| chunks(&format!("5\r\nhello\r\n0\r\n{trailers}\r\n\r\n"));

    vec![
        // 7.1
        served(
            "7.1 several chunks",
            FIVE,
            chunks("2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"),
        ),
        served("7.1 no chunk", NONE, chunks("0\r\n\r\n")),
        served("7.1 a size with zeros before it", FIVE, size("0000005")),
        served(
            "7.1 the last chunk with many zeros",
            NONE,
            chunks("00000\r\n\r\n"),
        ),
        served(
            "7.1 a size in capitals",
            "POST / localhost 10",
            chunks("A\r\n0123456789\r\n0\r\n\r\n"),
        ),
        refused("7.1 a size of 17 digits", "400", size("10000000000000005")),
        refused(
            "7.1 a size of 20 digits",
            "400",
            size("fffffffffffffffffffff"),
        ),
        refused("7.1 a size with a sign", "400", size("+5")),
        refused("7.1 a negative size", "400", size("-5")),
        refused("7.1 a size with 0x", "400", size("0x5")),
        refused("7.1 a size with an underscore", "400", size("5_0")),
        refused("7.1 an empty size", "400", size("")),
        refused("7.1 a space before the size", "400", size(" 5")),
        served("7.1 a space behind the size", FIVE, size("5 ")).deviates(WHITESPACE),
        served("7.1 a tab behind the size", FIVE, size("5\t")).deviates(WHITESPACE),
        refused("7.1 a digit behind the space", "400", size("5 0")),
        refused("7.1 a letter that is no digit", "400", size("5g")),
        refused("7.1 NUL behind the size", "400", size("5\0")),
        refused(
            "7.1 LF alone behind the size",
            "400",
            chunks("5\nhello\r\n0\r\n\r\n"),
        ),
        refused(
            "7.1 CR alone behind the size",
            "400",
            chunks("5\rhello\r\n0\r\n\r\n"),
        ),
        refused(
            "7.1 two CR behind the size",
            "400",
            chunks("5\r\r\nhello\r\n0\r\n\r\n"),
        ),
        refused(
            "7.1 no CRLF behind a chunk",
            "400",
            chunks("5\r\nhello0\r\n\r\n"),
        ),
        refused(
            "7.1 LF alone behind a chunk",
            "400",
            chunks("5\r\nhello\n0\r\n\r\n"),
        ),
        refused(
            "7.1 CR alone behind a chunk",
            "400",
            chunks("5\r\nhello\r0\r\n\r\n"),
        ),
        refused(
            "7.1 two bytes in place of CRLF",
            "400",
            chunks("5\r\nhelloXX0\r\n\r\n"),
        ),
        refused(
            "7.1 a chunk longer than its size",
            "400",
            chunks("4\r\nhello\r\n0\r\n\r\n"),
        ),
        refused(
            "7.1 LF alone behind the last chunk",
            "400",
            chunks("5\r\nhello\r\n0\n\n"),
        ),
        refused(
            "7.1 LF alone at the end",
            "400",
            chunks("5\r\nhello\r\n0\r\n\n"),
        ),
        refused("7.1 no last chunk", "400", chunks("5\r\nhello\r\n"))
            .cut()
            .unanswered(),
        refused("7.1 a chunk that ends early", "400", chunks("5\r\nhel"))
            .cut()
            .unanswered(),
        // 7.1.1
        served("7.1.1 an extension", FIVE, size("5;a=b")),
        served("7.1.1 an extension without a value", FIVE, size("5;a")),
        served("7.1.1 an extension in quotes", FIVE, size("5;a=\"b;c\"")),
        served("7.1.1 a space before an extension", FIVE, size("5 ;a=b")),
        served("7.1.1 an empty extension", FIVE, size("5;")),
        served(
            "7.1.1 an extension of the last chunk",
            FIVE,
            chunks("5\r\nhello\r\n0;a=b\r\n\r\n"),
        ),
        // CVE-2025-55315, CVE-2025-22871: another parser ends the line there.
        refused(
            "7.1.1 LF alone in an extension",
            "400",
            chunks("5;a\nhello\r\n0\r\n\r\n"),
        ),
        refused(
            "7.1.1 CR alone in an extension",
            "400",
            chunks("5;a\rb\r\nhello\r\n0\r\n\r\n"),
        ),
        refused(
            "7.1.1 an extension of 1 MiB",
            "400",
            size(&format!("5;{}", "a".repeat(1 << 20))),
        ),
        refused(
            "7.1.1 20 KiB of extensions on many chunks (CVE-2023-39326)",
            "400",
            chunks(&format!(
                "{}0\r\n\r\n",
                "1;aaaaaaaaaaaaaaa\r\nx\r\n".repeat(1_300)
            )),
        ),
        // 7.1.2
        last("7.1.2 trailers", FIVE, trailers("x: y")),
        last(
            "7.1.2 content-length in trailers",
            FIVE,
            trailers("content-length: 50"),
        ),
        last(
            "7.1.2 transfer-encoding in trailers",
            FIVE,
            trailers("transfer-encoding: gzip"),
        ),
        last("7.1.2 host in trailers", FIVE, trailers("host: other")),
        last(
            "7.1.2 trailers that end in LF alone",
            FIVE,
            chunks("5\r\nhello\r\n0\r\nx: y\n\n"),
        ),
        refused("7.1.2 a trailer without a colon", "400", trailers("x")),
        refused(
            "7.1.2 a trailer with a space before the colon",
            "400",
            trailers("x : y"),
        ),
        refused("7.1.2 a folded trailer", "400", trailers("x: a\r\n b")),
        refused("7.1.2 NUL in a trailer", "400", trailers("x: a\0b")),
        refused("7.1.2 bare CR in a trailer", "400", trailers("x: a\rb")),
        refused(
            "7.1.2 trailers of 20 KiB",
            "400",
            trailers(&format!("x: {}", "y".repeat(20 << 10))),
        ),
        refused(
            "7.1.2 101 trailers",
            "400",
            trailers(&"x: y\r\n".repeat(101)),
        ),
        // TERM.EXT, EXT.TERM and two terminators: a request hidden from one of two parsers.
        refused(
            "7.1 a request behind a size that ends in LF",
            "400",
            chunks("5;\nxxxxx\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: localhost\r\n\r\n"),
        ),
        served(
            "7.1 a request behind the last chunk is a request",
            FIVE,
            chunks("5\r\nhello\r\n0\r\n\r\n"),
        ),
    ]
}
