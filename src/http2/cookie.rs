//! Joins a `cookie` that arrives in several fields.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header::COOKIE};

/// Joins the fields of a cookie into one, in their order. HTTP/2 lets a client split a cookie for
/// better compression, but a service expects the single field of HTTP (RFC 9113 section 8.2.3).
pub(super) fn join(headers: &mut HeaderMap) {
    const SEPARATOR: &[u8] = b"; ";
    let pieces = headers.get_all(COOKIE);
    if pieces.iter().nth(1).is_none() {
        return;
    }
    let lengths = pieces.iter().map(|piece| SEPARATOR.len() + piece.len());
    // The exact length: `Bytes` takes the vector over without a copy.
    let mut joined = Vec::with_capacity(lengths.sum::<usize>() - SEPARATOR.len());
    let mut sensitive = false;
    for (i, piece) in pieces.iter().enumerate() {
        if i > 0 {
            joined.extend_from_slice(SEPARATOR);
        }
        joined.extend_from_slice(piece.as_bytes());
        sensitive |= piece.is_sensitive();
    }
    // Never an error: it consists of values, and of characters that values may have.
    if let Ok(mut cookie) = HeaderValue::from_maybe_shared(Bytes::from(joined)) {
        cookie.set_sensitive(sensitive);
        headers.insert(COOKIE, cookie);
    }
}

#[cfg(test)]
mod tests {
    use http::header::{ACCEPT, HOST};

    use super::*;

    fn joined(pieces: &[&'static [u8]]) -> Vec<HeaderValue> {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_static("localhost"));
        for piece in pieces {
            headers.append(COOKIE, HeaderValue::from_bytes(piece).expect("a value"));
            headers.append(ACCEPT, HeaderValue::from_static("*/*"));
        }
        join(&mut headers);
        assert_eq!(headers.get_all(HOST).iter().count(), 1);
        assert_eq!(headers.get_all(ACCEPT).iter().count(), pieces.len());
        headers.get_all(COOKIE).iter().cloned().collect()
    }

    #[test]
    fn pieces_are_joined_in_order() {
        let cases: [(&[&[u8]], &[u8]); 6] = [
            (&[b"a=1"], b"a=1"),
            (&[b"a=1", b"b=2"], b"a=1; b=2"),
            (&[b"c=3", b"a=1; b=2", b"c=3"], b"c=3; a=1; b=2; c=3"),
            (&[b"a=\xff", b"\x80=2"], b"a=\xff; \x80=2"),
            (&[b"", b"a=1", b""], b"; a=1; "),
            (&[b"", b""], b"; "),
        ];
        for (pieces, cookie) in cases {
            assert_eq!(joined(pieces), [cookie], "{pieces:?}");
        }
        assert_eq!(joined(&[]), [""; 0]);
    }

    #[test]
    fn cookie_with_a_sensitive_piece_is_sensitive() {
        for sensitive in [[false, false], [true, false], [false, true], [true, true]] {
            let mut headers = HeaderMap::new();
            for sensitive in sensitive {
                let mut piece = HeaderValue::from_static("a=1");
                piece.set_sensitive(sensitive);
                headers.append(COOKIE, piece);
            }
            join(&mut headers);
            let expected = sensitive.contains(&true);
            assert_eq!(headers[COOKIE].is_sensitive(), expected, "{sensitive:?}");
        }
    }
}
