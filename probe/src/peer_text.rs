//! What a server, or a library about it, says in its own words, made fit for one line of a report.
//! Certificates and GOAWAY frames hold what the server likes, be it control sequences of terminals or
//! lines that look like ours.

/// The most that is shown, characters before any of them is escaped: a sentence.
const SHOWN: usize = 200;

/// Printable ASCII as it is, all else escaped, shortened.
pub(super) fn one_line(text: &str) -> String {
    shortened(text, SHOWN)
}

/// The same with another limit.
pub(super) fn shortened(text: &str, most: usize) -> String {
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
    fn nothing_but_printable_ascii_in_one_line() {
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
