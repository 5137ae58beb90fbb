//! Protocol names as they stand in rules: characters with a meaning in a rule, and bytes that are
//! not printable ASCII, are escaped as `\xNN`.

use std::fmt;

use corelane::ProtocolName;

/// A protocol name, escaped.
pub(crate) struct EscapedName<'a>(pub(crate) &'a ProtocolName);

impl fmt::Display for EscapedName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.0.as_bytes();
        let text = std::str::from_utf8(name).unwrap_or_default();
        let is_keyword = matches!(text, "none" | "close" | "alert")
            || text.starts_with("malformed")
            || text.starts_with("alert:")
            || known_but_for_case(text).is_some();
        for (index, &byte) in name.iter().enumerate() {
            let plain = byte.is_ascii_graphic() && !b"\\,=()".contains(&byte);
            match plain && !(is_keyword && index == 0) {
                true => write!(f, "{}", char::from(byte))?,
                false => write!(f, "\\x{byte:02x}")?,
            }
        }
        Ok(())
    }
}

/// The bytes of an escaped name. A backslash that begins no escape stands for itself.
pub(crate) fn unescaped(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = name;
    while let Some((before, behind)) = rest.split_once("\\x") {
        bytes.extend_from_slice(before.as_bytes());
        let digits = behind
            .get(..2)
            .filter(|it| it.bytes().all(|b| b.is_ascii_hexdigit()));
        match digits.map(|digits| u8::from_str_radix(digits, 16)) {
            Some(Ok(byte)) => {
                bytes.push(byte);
                rest = &behind[2..];
            }
            _ => {
                bytes.extend_from_slice(b"\\x");
                rest = behind;
            }
        }
    }
    bytes.extend_from_slice(rest.as_bytes());
    bytes
}

/// The well-known name that equals `text` apart from upper and lower case.
pub(crate) fn known_but_for_case(text: &str) -> Option<&'static str> {
    let known = ["h2", "h2c", "h3", "http/1.0", "http/1.1", "spdy/3"];
    let known = known.into_iter().find(|it| it.eq_ignore_ascii_case(text))?;
    (known != text).then_some(known)
}
