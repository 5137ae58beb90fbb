//! Rules of HTTP/2 about single fields (RFC 9113 section 8.2.2), of requests and responses.

use http::{
    HeaderName,
    header::{CONNECTION, TRANSFER_ENCODING, UPGRADE},
    uri::Scheme,
};

/// Whether a field belongs to a connection of HTTP/1.1, so that HTTP/2 forbids it.
#[inline]
pub(crate) fn is_connection_field(name: &HeaderName) -> bool {
    let name_text = name.as_str();
    match name_text.len() {
        7 => *name == UPGRADE,
        10 => *name == CONNECTION || name_text == "keep-alive",
        16 => name_text == "proxy-connection",
        17 => *name == TRANSFER_ENCODING,
        _ => false,
    }
}

/// The number of a `content-length` (RFC 9110 section 8.6), below 2^64-1.
pub(crate) fn content_length(value: &[u8]) -> Option<u64> {
    if value.is_empty() {
        return None;
    }
    let length = value.iter().try_fold(0u64, |length, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        length.checked_mul(10)?.checked_add(digit)
    })?;
    (length < u64::MAX).then_some(length)
}

/// Whether both name the same host and port. The port may be left out where it is the scheme's.
pub(crate) fn same_authority(one: &[u8], other: &[u8], scheme: Option<&Scheme>) -> bool {
    let default: &[u8] = match scheme.map(Scheme::as_str) {
        Some("http") => b":80",
        Some("https") => b":443",
        _ => b"",
    };
    let host = |authority| <[u8]>::strip_suffix(authority, default).unwrap_or(authority);
    one.eq_ignore_ascii_case(other) || host(one).eq_ignore_ascii_case(host(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_connections_are_found() {
        let is = |name| is_connection_field(&HeaderName::from_static(name));
        for name in [
            "connection",
            "keep-alive",
            "proxy-connection",
            "transfer-encoding",
            "upgrade",
        ] {
            assert!(is(name), "{name}");
        }
        for name in ["expires", "user-agent", "te", "trailer", "x-forwarded-for-"] {
            assert!(!is(name), "{name}");
        }
    }

    #[test]
    fn lengths_are_digits_only() {
        assert_eq!(content_length(b"0"), Some(0));
        assert_eq!(content_length(b"007"), Some(7));
        assert_eq!(content_length(b"18446744073709551614"), Some(u64::MAX - 1));
        for wrong in [
            &b""[..],
            b"+1",
            b"-1",
            b"1 ",
            b"one",
            b"1,1",
            b"18446744073709551615",
            b"18446744073709551616",
        ] {
            assert_eq!(content_length(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn authorities_are_compared_with_the_default_port() {
        let https = Scheme::HTTPS;
        let same =
            |one: &str, other: &str| same_authority(one.as_bytes(), other.as_bytes(), Some(&https));
        assert!(same("Example.org", "example.org"));
        assert!(same("example.org:443", "example.org"));
        assert!(!same("example.org:80", "example.org"));
        assert!(!same("example.org", "example.com"));
    }
}
