//! The ServerHello as it is on the wire (RFC 8446 section 4.1.3), read for what TLS libraries do not
//! report.

use corelane::{
    ProtocolName,
    tls::{CipherSuite, NamedGroup, TlsVersion},
};
use tls_parser::{TlsMessageHandshake, parse_tls_handshake_msg_server_hello};

pub(crate) struct ServerHello {
    pub(crate) version: TlsVersion,
    pub(crate) cipher_suite: CipherSuite,
    /// TLS 1.3 only: below, the ServerKeyExchange has it.
    pub(crate) key_exchange_group: Option<NamedGroup>,
    /// Below TLS 1.3 only: TLS 1.3 has it in the EncryptedExtensions.
    pub(crate) alpn_protocol: Option<ProtocolName>,
    /// The ALPN extension is not a list of exactly one name (RFC 7301 section 3.1).
    pub(crate) has_malformed_alpn: bool,
    /// A HelloRetryRequest: the server requests another ClientHello.
    pub(crate) is_retry: bool,
}

const SERVER_HELLO: u8 = 2;

const ALPN: u16 = 16;
const SUPPORTED_VERSIONS: u16 = 43;
const KEY_SHARE: u16 = 51;

/// The `random` of a HelloRetryRequest: the SHA-256 of "HelloRetryRequest" (RFC 8446 section 4.1.3).
const RETRY: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
    0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

/// Parses the ServerHello that these handshake messages begin with.
pub(crate) fn parse(messages: &[u8]) -> Option<ServerHello> {
    let [SERVER_HELLO, a, b, c, message @ ..] = messages else {
        return None;
    };
    let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
    let (_, TlsMessageHandshake::ServerHello(hello)) =
        parse_tls_handshake_msg_server_hello(message.get(..length)?).ok()?
    else {
        return None;
    };
    let mut version = TlsVersion(hello.version.0);
    let (mut alpn_protocol, mut has_malformed_alpn) = (None, false);
    let mut key_exchange_group = None;
    let mut extensions = hello.ext.unwrap_or_default();
    // One by one: a malformed extension must not hide the next.
    while let [a, b, c, d, behind @ ..] = extensions {
        let length = usize::from(u16::from_be_bytes([*c, *d]));
        let (body, next) = behind.split_at_checked(length)?;
        match (u16::from_be_bytes([*a, *b]), body) {
            // TLS 1.3 has its version here (RFC 8446 section 4.2.1).
            (SUPPORTED_VERSIONS, [high, low]) => {
                version = TlsVersion(u16::from_be_bytes([*high, *low]));
            }
            // A HelloRetryRequest has the group alone (RFC 8446 section 4.2.8).
            (KEY_SHARE, [high, low, ..]) => {
                key_exchange_group = Some(NamedGroup(u16::from_be_bytes([*high, *low])));
            }
            (ALPN, body) => {
                alpn_protocol = first_name(body);
                has_malformed_alpn = alpn_protocol
                    .as_ref()
                    .is_none_or(|name| !is_list_of(body, name));
            }
            _ => {}
        }
        extensions = next;
    }
    Some(ServerHello {
        version,
        cipher_suite: CipherSuite(hello.cipher.0),
        key_exchange_group,
        alpn_protocol,
        has_malformed_alpn,
        is_retry: hello.random == RETRY,
    })
}

/// The first name of a list, even if the lengths around it are wrong.
fn first_name(list: &[u8]) -> Option<ProtocolName> {
    let [_, _, length, name @ ..] = list else {
        return None;
    };
    ProtocolName::new(name.get(..usize::from(*length))?).ok()
}

/// Whether the list holds this name and nothing else.
fn is_list_of(list: &[u8], name: &ProtocolName) -> bool {
    let names = list.len().saturating_sub(2);
    matches!(list, [high, low, ..] if usize::from(u16::from_be_bytes([*high, *low])) == names)
        && names == 1 + name.as_bytes().len()
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn a_bad_extension_does_not_hide_the_next() {
        // ALPN without a name, then supported_versions.
        let bad = message(b"\0\x10\0\x01\xff\0\x2b\0\x02\x03\x04");
        let hello = parse(&bad).expect("a ServerHello");
        assert_eq!(hello.version, TlsVersion::TLS_1_3);
        assert!(hello.alpn_protocol.is_none());
        assert!(hello.has_malformed_alpn);
        // An extension that is longer than the message.
        assert!(parse(&message(b"\0\x10\0\x09\xff")).is_none());
    }

    #[test]
    fn alpn_is_a_list_of_one_name() {
        for (extension, name, malformed) in [
            (&b"\0\x10\0\x05\0\x03\x02h2"[..], Some("h2"), false),
            (b"\0\x10\0\x08\0\x06\x02h2\x02h3", Some("h2"), true),
            (b"\0\x10\0\x05\0\x09\x02h2", Some("h2"), true),
            (b"\0\x10\0\x06\0\x03\x02h2!", Some("h2"), true),
            (b"\0\x10\0\x05\0\x03\x09h2", None, true),
            (b"\0\x10\0\x03\0\x01\0", None, true),
            (b"\0\x10\0\x02\0\0", None, true),
            (b"\0\x17\0\0", None, false),
        ] {
            let hello = parse(&message(extension)).expect("a ServerHello");
            let name = name.map(|name| ProtocolName::new(name).expect("a name"));
            assert_eq!(hello.alpn_protocol, name, "{extension:?}");
            assert_eq!(hello.has_malformed_alpn, malformed, "{extension:?}");
        }
    }
}
