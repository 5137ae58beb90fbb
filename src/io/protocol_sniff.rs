//! Recognizes requests of HTTP/1.x, which are not served, and answers them with the reason as text.

/// The protocol of a connection, judged by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ProtocolSniff {
    /// More bytes are needed.
    Undecided,
    /// A request line: a method and a space (RFC 9112 section 3). The preface of HTTP/2 looks like
    /// one on purpose (`PRI `, RFC 9113 section 3.4).
    Http1Request,
    Other,
}

/// The longest method, bytes. The longest one in the IANA registry, UPDATEREDIRECTREF, has 17.
const LONGEST_METHOD: usize = 20;

impl ProtocolSniff {
    pub(super) fn of(bytes: &[u8]) -> Self {
        let method = bytes.iter().take_while(|byte| byte.is_ascii_uppercase());
        match (method.count(), bytes) {
            (n, _) if n > LONGEST_METHOD => Self::Other,
            (n, bytes) if n == bytes.len() => Self::Undecided,
            (n, bytes) if n > 0 && bytes[n] == b' ' => Self::Http1Request,
            _ => Self::Other,
        }
    }

    /// Where the preface of HTTP/2 may follow, which is no HTTP/1.x.
    pub(super) fn of_cleartext(bytes: &[u8]) -> Self {
        match Self::of(bytes) {
            Self::Http1Request if bytes.starts_with(b"PRI ") => Self::Other,
            sniff => sniff,
        }
    }
}

/// The response to HTTP on a port with TLS; nginx answers with the same status.
pub(super) fn tls_required(request: &[u8]) -> Vec<u8> {
    response(
        request,
        "400 Bad Request",
        "This port speaks HTTPS: the request has to begin with https:// instead of http://.\n",
    )
}

/// The response to HTTP/1.x on a port without TLS. By RFC 9110 section 15.6.6 it contains the
/// reason and the protocols that the server supports.
pub(super) fn http2_required(request: &[u8]) -> Vec<u8> {
    response(
        request,
        "505 HTTP Version Not Supported",
        "This port speaks HTTP/2 with prior knowledge and no HTTP/1.x: \
         try curl --http2-prior-knowledge.\n",
    )
}

/// The response to HTTP/1.x over TLS from a client that did not offer `h2` by ALPN.
pub(super) fn alpn_required(request: &[u8]) -> Vec<u8> {
    response(
        request,
        "505 HTTP Version Not Supported",
        "This port speaks HTTP/2 and no HTTP/1.x: the client has to offer h2 by ALPN.\n",
    )
}

fn response(request: &[u8], status: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    // A response to HEAD has no body (RFC 9110 section 9.3.2).
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
    fn request_lines_are_recognized() {
        for (bytes, expected) in [
            (&b""[..], ProtocolSniff::Undecided),
            (b"G", ProtocolSniff::Undecided),
            (b"GET", ProtocolSniff::Undecided),
            (b"GET ", ProtocolSniff::Http1Request),
            (b"PRI * HTTP/2.0\r\n", ProtocolSniff::Http1Request),
            (b"UPDATEREDIRECTREF / HTTP/1.1", ProtocolSniff::Http1Request),
            (b"GETGETGETGETGETGETGET", ProtocolSniff::Other),
            (b"get / HTTP/1.1", ProtocolSniff::Other),
            (b"SSH-2.0-OpenSSH", ProtocolSniff::Other),
            (b" GET", ProtocolSniff::Other),
            (&[22, 3, 1], ProtocolSniff::Other),
            (&[0], ProtocolSniff::Other),
        ] {
            assert_eq!(ProtocolSniff::of(bytes), expected, "{bytes:?}");
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
            ProtocolSniff::Http1Request
        );
    }

    #[test]
    fn content_length_is_the_length_of_the_text() {
        for response in [tls_required, http2_required, alpn_required] {
            let text = String::from_utf8(response(b"GET / ")).expect("text");
            let (head, body) = text.split_once("\r\n\r\n").expect("a head");
            assert!(head.contains(&format!("content-length: {}\r\n", body.len())));
            let to_head = String::from_utf8(response(b"HEAD / ")).expect("text");
            assert_eq!(to_head, format!("{head}\r\n\r\n"));
        }
    }
}
