//! ClientHellos made by hand (RFC 8446 section 4.1.2), for TLS 1.3 and TLS 1.2.
//!
//! The record and the message are written by tls-parser. The extensions are not: it has a serialiser
//! for three of them only, and none that writes what is malformed.

use tls_parser::{
    Serialize, TlsCipherSuiteID, TlsClientHelloContents, TlsCompressionID, TlsMessage,
    TlsMessageHandshake, TlsPlaintext, TlsRecordHeader, TlsRecordType, TlsVersion,
};

use super::{Malformed, options::ServerName};

const ALPN: u16 = 16;

/// Those of RFC 9113 section 9.2.2 and of TLS 1.3, and what old servers have.
const CIPHER_SUITES: [u16; 11] = [
    0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0x009c, 0x002f,
];

/// ECDSA, RSA-PSS and RSA with SHA-256 to SHA-512, Ed25519.
const SIGNATURE_ALGORITHMS: [u16; 10] = [
    0x0403, 0x0503, 0x0603, 0x0804, 0x0805, 0x0806, 0x0401, 0x0501, 0x0601, 0x0807,
];

const X25519: u16 = 0x001d;
const SECP256R1: u16 = 0x0017;
/// Without a key share: a server that wants one of these asks for it, and is asked under TLS 1.2.
const SECP384R1: u16 = 0x0018;
const SECP521R1: u16 = 0x0019;
const GROUPS: [u16; 4] = [X25519, SECP256R1, SECP384R1, SECP521R1];

/// The public keys are the base points of their curves: valid ones, and nothing is ever encrypted
/// with them, as the handshake ends with the server's first answer.
const X25519_KEY: [u8; 32] = {
    let mut point = [0; 32];
    point[0] = 9;
    point
};
const SECP256R1_KEY: [u8; 65] = [
    0x04, 0x6b, 0x17, 0xd1, 0xf2, 0xe1, 0x2c, 0x42, 0x47, 0xf8, 0xbc, 0xe6, 0xe5, 0x63, 0xa4, 0x40,
    0xf2, 0x77, 0x03, 0x7d, 0x81, 0x2d, 0xeb, 0x33, 0xa0, 0xf4, 0xa1, 0x39, 0x45, 0xd8, 0x98, 0xc2,
    0x96, 0x4f, 0xe3, 0x42, 0xe2, 0xfe, 0x1a, 0x7f, 0x9b, 0x8e, 0xe7, 0xeb, 0x4a, 0x7c, 0x0f, 0x9e,
    0x16, 0x2b, 0xce, 0x33, 0x57, 0x6b, 0x31, 0x5e, 0xce, 0xcb, 0xb6, 0x40, 0x68, 0x37, 0xbf, 0x51,
    0xf5,
];

/// Which versions of TLS a ClientHello offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Versions {
    /// TLS 1.3 and TLS 1.2.
    Both,
    /// TLS 1.2, whose alerts can be read from the wire.
    Tls12,
}

/// A ClientHello whose ALPN extension is malformed like this. `None` where the lengths do not
/// fit, which they do for every [`ServerName`].
pub(super) fn malformed(
    name: &ServerName,
    malformed: Malformed,
    versions: Versions,
) -> Option<Vec<u8>> {
    client_hello(name, &alpn(malformed), versions)
}

/// The ALPN extensions. Where there is a name it is `h2`, so that a server that reads over what is
/// wrong would find what it likes.
fn alpn(malformed: Malformed) -> Vec<u8> {
    let body: &[u8] = match malformed {
        Malformed::EmptyList => b"\0\0",
        Malformed::EmptyName => b"\0\x04\x02h2\0",
        Malformed::LyingLength => b"\0\xff\x02h2",
        Malformed::DuplicateExtension => b"\0\x03\x02h2",
        Malformed::TrailingBytes => b"\0\x03\x02h2\0\0",
    };
    let mut out = extension(ALPN, body);
    if malformed == Malformed::DuplicateExtension {
        out.extend(extension(ALPN, body));
    }
    out
}

/// Known to all: nothing is kept secret with it.
const RANDOM: [u8; 32] = *b"corelane probes your ALPN answer";

fn client_hello(name: &ServerName, alpn: &[u8], versions: Versions) -> Option<Vec<u8>> {
    let mut extensions = Vec::new();
    if let ServerName::Dns(name) = name {
        let mut host_name = vec![0]; // name_type
        host_name.extend(list(name.as_bytes()));
        extensions.extend(extension(0, &list(&host_name))); // server_name
    }
    extensions.extend(extension(10, &list(&numbers(&GROUPS)))); // supported_groups
    extensions.extend(extension(11, &[1, 0])); // ec_point_formats: uncompressed
    extensions.extend(extension(13, &list(&numbers(&SIGNATURE_ALGORITHMS))));
    extensions.extend(extension(23, &[])); // extended_master_secret
    extensions.extend(extension(0xff01, &[0])); // renegotiation_info
    if versions == Versions::Both {
        extensions.extend(extension(43, &[4, 3, 4, 3, 3])); // supported_versions
        extensions.extend(extension(45, &[1, 1])); // psk_key_exchange_modes: with (EC)DHE
        let mut shares = numbers(&[X25519]);
        shares.extend(list(&X25519_KEY));
        shares.extend(numbers(&[SECP256R1]));
        shares.extend(list(&SECP256R1_KEY));
        extensions.extend(extension(51, &list(&shares))); // key_share
    }
    extensions.extend(alpn);
    let contents = TlsClientHelloContents::new(
        TlsVersion::Tls12.0,
        &RANDOM,
        None,
        CIPHER_SUITES.map(TlsCipherSuiteID).to_vec(),
        vec![TlsCompressionID(0)],
        Some(&extensions),
    );
    let hello = TlsMessage::Handshake(TlsMessageHandshake::ClientHello(contents));
    let record = TlsPlaintext {
        hdr: TlsRecordHeader {
            record_type: TlsRecordType::Handshake,
            // RFC 8446 section 5.1: TLS 1.0 in the first record, for the sake of old servers.
            version: TlsVersion::Tls10,
            len: 0, // the serialiser puts the right one
        },
        msg: vec![hello],
    };
    record.serialize().ok()
}

fn extension(kind: u16, body: &[u8]) -> Vec<u8> {
    let mut out = numbers(&[kind]);
    out.extend(list(body));
    out
}

/// `body` behind its length in two bytes. All bodies here are shorter than 64 KiB: the longest is
/// a server's name, 253 bytes at most.
fn list(body: &[u8]) -> Vec<u8> {
    let mut out = (body.len() as u16).to_be_bytes().to_vec();
    out.extend_from_slice(body);
    out
}

fn numbers(numbers: &[u16]) -> Vec<u8> {
    numbers.iter().flat_map(|n| n.to_be_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::client_hello::ClientHelloReader;

    fn name() -> ServerName {
        ServerName::new("example.org").expect("a name")
    }

    #[test]
    fn a_well_formed_one_can_be_read() {
        for versions in [Versions::Both, Versions::Tls12] {
            let h2 = extension(ALPN, b"\0\x03\x02h2");
            let bytes = client_hello(&name(), &h2, versions).expect("serialised");
            let hello = ClientHelloReader::default().push(&bytes);
            let hello = hello.expect("well-formed").expect("complete");
            assert_eq!(hello.server_name.as_deref(), Some("example.org"));
            let protocols = hello.alpn_protocols.expect("ALPN");
            assert_eq!(protocols, [crate::ProtocolName::H2]);
        }
    }

    #[test]
    fn an_address_is_no_server_name() {
        let ip = ServerName::new("::1").expect("an address");
        let bytes = client_hello(&ip, &[], Versions::Both).expect("serialised");
        let hello = ClientHelloReader::default().push(&bytes);
        assert_eq!(
            hello.expect("well-formed").expect("complete").server_name,
            None
        );
    }

    #[test]
    fn what_is_malformed_is_so_in_the_extension_only() {
        for malformation in Malformed::ALL {
            for versions in [Versions::Both, Versions::Tls12] {
                let bytes = malformed(&name(), malformation, versions).expect("serialised");
                let (rest, record) = tls_parser::parse_tls_raw_record(&bytes).expect("a record");
                assert!(rest.is_empty());
                let parsed = tls_parser::parse_tls_message_handshake(record.data);
                assert!(parsed.is_ok(), "{malformation}");
                let read = ClientHelloReader::default().push(&bytes);
                assert!(read.is_err(), "{malformation}");
            }
        }
    }
}
