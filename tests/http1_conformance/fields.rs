//! Section 5: field lines, and how large a head may be.

use crate::case::{Case, refused, served};

/// A request with these field lines besides `host`.
fn with(lines: &str) -> String {
    format!("GET / HTTP/1.1\r\nhost: localhost\r\n{lines}\r\n\r\n")
}

pub fn cases() -> Vec<Case> {
    const ROOT: &str = "GET / localhost 0";
    let many = |count: usize| {
        (0..count)
            .map(|i| format!("x{i}: y\r\n"))
            .collect::<String>()
    };

    vec![
        // 5
        served("5 an empty value", ROOT, with("x:")),
        served("5 no space behind the colon", ROOT, with("x:y")),
        served("5 whitespace around a value", ROOT, with("x: \t y \t")),
        served("5 a value past ASCII", ROOT, with("x: \u{e9}")),
        served("5 a tab in a value", ROOT, with("x: a\tb")),
        refused("5 no colon", "400", with("x")),
        refused("5 an empty name", "400", with(": y")),
        // 5.1
        refused("5.1 a space before the colon", "400", with("x : y")),
        refused("5.1 a tab before the colon", "400", with("x\t: y")),
        refused("5.1 a space in a name", "400", with("x y: z")),
        refused(
            "5.1 a space before the colon of content-length",
            "400",
            with("content-length : 5"),
        ),
        refused(
            "5.1 a space before the colon of transfer-encoding",
            "400",
            with("transfer-encoding : chunked"),
        ),
        refused("5.1 a parenthesis in a name", "400", with("x(y: z")),
        refused("5.1 NUL in a name", "400", with("x\0y: z")),
        refused(
            "5.1 a vertical tab before a name",
            "400",
            with("\x0btransfer-encoding: chunked"),
        ),
        refused("5.1 a name past ASCII", "400", with("\u{e9}: y")),
        // 5.2
        refused("5.2 a folded line", "400", with("x: a\r\n b")),
        refused("5.2 a line folded by a tab", "400", with("x: a\r\n\tb")),
        refused(
            "5.2 a folded transfer-encoding",
            "400",
            with("transfer-encoding:\r\n chunked"),
        ),
        refused(
            "5.2 a folded content-length",
            "400",
            with("content-length: 5\r\n 0"),
        ),
        // 9110 5.5
        refused("9110 5.5 NUL in a value", "400", with("x: a\0b")),
        refused("9110 5.5 bare CR in a value", "400", with("x: a\rb")),
        refused("9110 5.5 a control in a value", "400", with("x: a\x01b")),
        refused("9110 5.5 DEL in a value", "400", with("x: a\x7fb")),
        refused(
            "9110 5.5 a line that begins with LF and a space",
            "400",
            with("x: a\n b"),
        ),
        // 9110 5.4
        served("9110 5.4 100 fields", ROOT, with(many(99).trim_end())),
        refused("9110 5.4 101 fields", "431", with(many(100).trim_end())),
        refused(
            "9110 5.4 10,000 fields",
            "431",
            with(many(10_000).trim_end()),
        ),
        served(
            "9110 5.4 a field of 15 KiB",
            ROOT,
            with(&format!("x: {}", "y".repeat(15 << 10))),
        ),
        refused(
            "9110 5.4 a field of 16 KiB",
            "431",
            with(&format!("x: {}", "y".repeat(16 << 10))),
        ),
        refused(
            "9110 5.4 a field of 1 MiB",
            "431",
            with(&format!("x: {}", "y".repeat(1 << 20))),
        ),
        refused(
            "9110 5.4 a name of 20 KiB",
            "431",
            with(&format!("{}: y", "x".repeat(20 << 10))),
        ),
    ]
}
