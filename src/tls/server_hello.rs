//! Parses the ServerHello for what native-tls does not report: version, cipher suite, and whether the
//! session was resumed.

use tls_parser::{
    TlsMessageHandshake, parse_tls_handshake_msg_server_hello, parse_tls_record_header,
};

use crate::negotiated::{CipherSuite, TlsVersion};

pub(crate) struct ServerHello {
    pub(crate) version: TlsVersion,
    pub(crate) cipher_suite: CipherSuite,
    pub(crate) session_id: Vec<u8>,
}

const SERVER_HELLO: u8 = 2;

const SUPPORTED_VERSIONS: u16 = 43;

/// Parses the ServerHello at the beginning of `flight`, the first records of a server. It may span
/// several records (RFC 8446 section 5.1).
pub(crate) fn parse(flight: &[u8]) -> Option<ServerHello> {
    const HANDSHAKE: u8 = 22;
    let mut message = Vec::new();
    let mut rest = flight;
    while let Ok((behind, header)) = parse_tls_record_header(rest)
        && header.record_type.0 == HANDSHAKE
        && let Some((body, next)) = behind.split_at_checked(usize::from(header.len))
    {
        message.extend_from_slice(body);
        if let hello @ Some(_) = parse_message(&message) {
            return hello;
        }
        rest = next;
    }
    None
}

/// Parses the ServerHello at the beginning of these handshake messages.
fn parse_message(messages: &[u8]) -> Option<ServerHello> {
    let [SERVER_HELLO, a, b, c, message @ ..] = messages else {
        return None;
    };
    let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
    let (_, TlsMessageHandshake::ServerHello(hello)) =
        parse_tls_handshake_msg_server_hello(message.get(..length)?).ok()?
    else {
        return None;
    };
    // TLS 1.3 has its version in an extension (RFC 8446 section 4.2.1).
    let mut version = TlsVersion(hello.version.0);
    let mut extensions = hello.ext.unwrap_or_default();
    // One by one, so that a malformed extension does not hide the next ones.
    while let [a, b, c, d, behind @ ..] = extensions {
        let length = usize::from(u16::from_be_bytes([*c, *d]));
        let (body, next) = behind.split_at_checked(length)?;
        if let (SUPPORTED_VERSIONS, [high, low]) = (u16::from_be_bytes([*a, *b]), body) {
            version = TlsVersion(u16::from_be_bytes([*high, *low]));
        }
        extensions = next;
    }
    Some(ServerHello {
        version,
        cipher_suite: CipherSuite(hello.cipher.0),
        session_id: hello.session_id.unwrap_or_default().to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn message(extensions: &[u8]) -> Vec<u8> {
        let mut body = vec![3, 3];
        body.extend([7; 32]);
        body.extend([0, 0x13, 0x01, 0, 0, extensions.len() as u8]);
        body.extend(extensions);
        let mut message = vec![SERVER_HELLO, 0, 0, body.len() as u8];
        message.extend(body);
        message
    }

    fn record(body: &[u8]) -> Vec<u8> {
        let mut record = vec![22, 3, 3, 0, body.len() as u8];
        record.extend(body);
        record
    }

    #[test]
    fn cut_into_records_anywhere() {
        let message = message(b"\0\x2b\0\x02\x03\x04");
        for cut in 1..message.len() {
            let (head, tail) = message.split_at(cut);
            let flight = [record(head), record(tail)].concat();
            let hello = parse(&flight).expect("a ServerHello");
            assert_eq!(hello.version, TlsVersion::TLS_1_3);
            assert!(parse(&record(head)).is_none());
        }
    }

    #[test]
    fn a_bad_extension_does_not_hide_the_next() {
        // ALPN without a name, then supported_versions.
        let bad = message(b"\0\x10\0\x01\xff\0\x2b\0\x02\x03\x04");
        let hello = parse_message(&bad).expect("a ServerHello");
        assert_eq!(hello.version, TlsVersion::TLS_1_3);
        // An extension that is longer than the message.
        assert!(parse_message(&message(b"\0\x10\0\x09\xff")).is_none());
    }

    proptest! {
        #[test]
        fn arbitrary_messages_do_not_panic(body in vec(any::<u8>(), 0..200), cut in 0_usize..204) {
            let mut message = vec![SERVER_HELLO, 0, 0, body.len() as u8];
            message.extend(&body);
            let (head, tail) = message.split_at(cut.min(message.len()));
            let flight = [record(head), record(tail)].concat();
            prop_assert_eq!(parse(&flight).is_some(), parse_message(&message).is_some());
            parse(&body);
        }
    }
}
