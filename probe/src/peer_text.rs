//! Makes text from a server, or from a library about it, safe for one line of a report.
//!
//! Certificates and GOAWAY frames hold arbitrary bytes: control sequences of terminals, or lines that
//! look like ours.

/// The maximum that [`one_line`] keeps, characters before escaping: a sentence.
const MAX_CHARS: usize = 200;

/// Keeps printable ASCII, escapes everything else, and shortens.
pub(crate) fn one_line(text: &str) -> String {
    shortened(text, MAX_CHARS)
}

/// [`one_line`] with another limit.
pub(crate) fn shortened(text: &str, most: usize) -> String {
    let mut shown = String::new();
    for (index, c) in text.trim().chars().enumerate() {
        if index == most {
            shown.push_str("...");
            break;
        }
        match c {
            ' '..='~' => shown.push(c),
            other => shown.extend(other.escape_default()),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_is_printable_ascii() {
        for (text, shown) in [
            ("no shared cipher", "no shared cipher"),
            ("a\x1b[2J\x07b", r"a\u{1b}[2J\u{7}b"),
            ("a\n::error::b\r\n", r"a\n::error::b"),
            // Right-to-left override.
            ("ü\u{202e}", r"\u{fc}\u{202e}"),
            (r"a\nb", r"a\nb"),
        ] {
            assert_eq!(one_line(text), shown);
        }
        assert_eq!(one_line(&"a".repeat(200)), "a".repeat(200));
        assert_eq!(
            one_line(&"a".repeat(9000)),
            format!("{}...", "a".repeat(200))
        );
        assert_eq!(shortened("abc", 2), "ab...");
    }
}
