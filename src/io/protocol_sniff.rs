//! Requests of HTTP/1.x: nothing that is served here, but their senders are told why, in words that
//! they can read.

/// What a connection begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ProtocolSniff {
    /// Too little has come to tell.
    Undecided,
    /// A request line: a method and a space (RFC 9112 section 3). Also HTTP/2's own `PRI `, which
    /// RFC 9113 section 3.4 made to look like one.
    Request,
    Other,
}

/// The longest method, bytes: the longest registered one, UPDATEREDIRECTREF, has 17.
const LONGEST_METHOD: usize = 20;

impl ProtocolSniff {
    pub(super) fn of(bytes: &[u8]) -> Self {
        let method = bytes.iter().take_while(|byte| byte.is_ascii_uppercase());
        match (method.count(), bytes) {
            (n, _) if n > LONGEST_METHOD => Self::Other,
            (n, bytes) if n == bytes.len() => Self::Undecided,
            (n, bytes) if n > 0 && bytes[n] == b' ' => Self::Request,
            _ => Self::Other,
        }
    }

    /// Where there is no TLS: what begins as HTTP/2 does is left to HTTP/2.
    pub(super) fn of_cleartext(bytes: &[u8]) -> Self {
        match Self::of(bytes) {
            Self::Request if bytes.starts_with(b"PRI ") => Self::Other,
            opening => opening,
        }
    }
}

/// The answer to HTTP on a port where TLS belongs; nginx has the same status for it.
pub(super) fn wants_tls(request: &[u8]) -> Vec<u8> {
    answer(
        request,
        "400 Bad Request",
        "This port speaks HTTPS: the request has to begin with https:// instead of http://.\n",
    )
}

/// The answer to HTTP/1.x where HTTP/2 belongs: RFC 9110 section 15.6.6 wants the reason in it, and
/// what is spoken instead.
pub(super) fn wants_http2(request: &[u8]) -> Vec<u8> {
    answer(
        request,
        "505 HTTP Version Not Supported",
        "This port speaks HTTP/2 with prior knowledge and no HTTP/1.x: \
         try curl --http2-prior-knowledge.\n",
    )
}

fn answer(request: &[u8], status: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    // RFC 9110 section 9.3.2.
    let body = if request.starts_with(b"HEAD ") {
        ""
    } else {
        body
    };
    format!(
        "HTTP/1.1 {status}\r\n\
         content-type: text/plain\r\n\
         content-length: {length}\r\n\
         connection: close\r\n\r\n\
         {body}"
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_are_told_from_what_is_none() {
        for (bytes, opening) in [
            (&b""[..], ProtocolSniff::Undecided),
            (b"G", ProtocolSniff::Undecided),
            (b"GET", ProtocolSniff::Undecided),
            (b"GET ", ProtocolSniff::Request),
            (b"PRI * HTTP/2.0\r\n", ProtocolSniff::Request),
            (b"UPDATEREDIRECTREF / HTTP/1.1", ProtocolSniff::Request),
            (b"GETGETGETGETGETGETGET", ProtocolSniff::Other),
            (b"get / HTTP/1.1", ProtocolSniff::Other),
            (b"SSH-2.0-OpenSSH", ProtocolSniff::Other),
            (b" GET", ProtocolSniff::Other),
            (&[22, 3, 1], ProtocolSniff::Other),
            (&[0], ProtocolSniff::Other),
        ] {
            assert_eq!(ProtocolSniff::of(bytes), opening, "{bytes:?}");
        }
        assert_eq!(
            ProtocolSniff::of_cleartext(b"PRI * HTTP/2.0"),
            ProtocolSniff::Other
        );
        assert_eq!(
            ProtocolSniff::of_cleartext(b"PRI"),
            ProtocolSniff::Undecided
        );
        assert_eq!(
            ProtocolSniff::of_cleartext(b"PROPFIND /"),
            ProtocolSniff::Request
        );
    }

    #[test]
    fn the_length_is_that_of_the_text() {
        for answer in [wants_tls, wants_http2] {
            let text = String::from_utf8(answer(b"GET / ")).expect("text");
            let (head, body) = text.split_once("\r\n\r\n").expect("a head");
            assert!(head.contains(&format!("content-length: {}\r\n", body.len())));
            let to_head = String::from_utf8(answer(b"HEAD / ")).expect("text");
            assert_eq!(to_head, format!("{head}\r\n\r\n"));
        }
    }
}
