//! The ServerHello on its way out, read for what native-tls does not tell: version, cipher suite
//! and whether a session was resumed.

use tls_parser::{
    TlsExtension, TlsMessageHandshake, parse_tls_extensions, parse_tls_handshake_msg_server_hello,
    parse_tls_record_header,
};

use crate::negotiated::{CipherSuite, TlsVersion};

pub(super) struct ServerHello {
    pub(super) version: TlsVersion,
    pub(super) cipher_suite: CipherSuite,
    pub(super) session_id: Vec<u8>,
}

const SERVER_HELLO: u8 = 2;

/// Reads the ServerHello that `flight`, the first bytes of a server, begins with.
pub(super) fn parse(flight: &[u8]) -> Option<ServerHello> {
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
    let selected = parse_tls_extensions(extensions)
        .ok()
        .and_then(|(_, list)| {
            list.into_iter().find_map(|extension| match extension {
                TlsExtension::SupportedVersions(versions) => versions.first().copied(),
                _ => None,
            })
        })
        .unwrap_or(hello.version);
    Some(ServerHello {
        version: TlsVersion(selected.0),
        cipher_suite: CipherSuite(hello.cipher.0),
        session_id: hello.session_id.unwrap_or_default().to_vec(),
    })
}
