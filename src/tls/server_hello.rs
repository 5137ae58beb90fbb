//! The ServerHello as it is on the wire, read for what native-tls does not tell: version, cipher
//! suite and whether a session was resumed; and by the prober.

use tls_parser::{
    TlsExtension, TlsMessageHandshake, parse_tls_extensions, parse_tls_handshake_msg_server_hello,
    parse_tls_record_header,
};

use crate::{
    alpn::ProtocolName,
    negotiated::{CipherSuite, TlsVersion},
};

/// What its readers look at. None of them looks at all of it.
#[allow(dead_code)]
pub(crate) struct ServerHello {
    pub(crate) version: TlsVersion,
    pub(crate) cipher_suite: CipherSuite,
    pub(crate) session_id: Vec<u8>,
    /// Only below TLS 1.3, which has it in the EncryptedExtensions.
    pub(crate) alpn_protocol: Option<ProtocolName>,
    /// A HelloRetryRequest: the server wants another ClientHello.
    pub(crate) is_retry: bool,
}

const SERVER_HELLO: u8 = 2;

/// In the place of `random`: the SHA-256 of "HelloRetryRequest" (RFC 8446 section 4.1.3).
const RETRY: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
    0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

/// Reads the ServerHello that `flight`, the first bytes of a server, begins with.
pub(crate) fn parse(flight: &[u8]) -> Option<ServerHello> {
    let (record, _) = parse_tls_record_header(flight).ok()?;
    let [SERVER_HELLO, a, b, c, message @ ..] = record else {
        return None;
    };
    let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
    let (_, TlsMessageHandshake::ServerHello(hello)) =
        parse_tls_handshake_msg_server_hello(message.get(..length)?).ok()?
    else {
        return None;
    };
    let extensions = hello.ext.unwrap_or_default();
    // TLS 1.3 says its version in an extension (RFC 8446 section 4.2.1).
    let mut version = hello.version;
    let mut alpn_protocol = None;
    for extension in parse_tls_extensions(extensions).map_or_else(|_| Vec::new(), |(_, list)| list)
    {
        match extension {
            TlsExtension::SupportedVersions(versions) => {
                version = versions.first().copied().unwrap_or(version);
            }
            TlsExtension::ALPN(names) => {
                alpn_protocol = names.first().and_then(|name| ProtocolName::new(*name).ok());
            }
            _ => {}
        }
    }
    Some(ServerHello {
        version: TlsVersion(version.0),
        cipher_suite: CipherSuite(hello.cipher.0),
        session_id: hello.session_id.unwrap_or_default().to_vec(),
        alpn_protocol,
        is_retry: hello.random == RETRY,
    })
}
