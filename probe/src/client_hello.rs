//! ClientHellos with a malformed ALPN extension (RFC 8446 section 4.1.2), for TLS 1.3 and TLS 1.2.
//!
//! tls-parser serializes the record and the message. It can serialize three extensions only and none
//! that is malformed, so the extensions are written here.

use tls_parser::{
    Serialize, TlsCipherSuiteID, TlsClientHelloContents, TlsCompressionID, TlsMessage,
    TlsMessageHandshake, TlsPlaintext, TlsRecordHeader, TlsRecordType, TlsVersion,
};

use super::{offer::Malformed, server_name::ServerName};

const ALPN: u16 = 16;

/// Suites for HTTP/2 (RFC 9113 section 9.2.2), of TLS 1.3, and of old servers.
const CIPHER_SUITES: [u16; 11] = [
    0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0x009c, 0x002f,
];

/// ECDSA, RSA-PSS and RSA with SHA-256 to SHA-512, Ed25519.
const SIGNATURE_ALGORITHMS: [u16; 10] = [
    0x0403, 0x0503, 0x0603, 0x0804, 0x0805, 0x0806, 0x0401, 0x0501, 0x0601, 0x0807,
];

const X25519: u16 = 0x001d;
const SECP256R1: u16 = 0x0017;
/// Without a key share: a server that requires one of these sends a HelloRetryRequest.
const SECP384R1: u16 = 0x0018;
const SECP521R1: u16 = 0x0019;
const GROUPS: [u16; 4] = [X25519, SECP256R1, SECP384R1, SECP521R1];

/// The public keys are the base points of their curves. They are valid, and nothing is ever encrypted
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
pub(crate) enum Versions {
    /// TLS 1.3 and TLS 1.2.
    Both,
    /// TLS 1.2, whose alerts are not encrypted.
    Tls12,
}

/// A ClientHello whose ALPN extension is malformed. `None` if a length does not fit, which cannot
/// happen with a [`ServerName`].
pub(crate) fn malformed(
    name: &ServerName,
    malformed: Malformed,
    versions: Versions,
) -> Option<Vec<u8>> {
    client_hello(name, &alpn(malformed), versions)
}

/// The ALPN extensions. A name is `h2`, so that a server that ignores the malformed part finds a
/// protocol in common.
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

/// A constant, as nothing is kept secret with it.
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

/// `body` after its length in two bytes. All bodies here are shorter than 64 KiB: the longest is a
/// server's name, 253 bytes at most.
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
    use tls_parser::{
        SNIType, TlsExtension, parse_tls_client_hello_extensions, parse_tls_message_handshake,
        parse_tls_raw_record,
    };

    use super::*;

    fn name() -> ServerName {
        ServerName::new("example.org").expect("a name")
    }

    /// The extensions of a ClientHello in one record.
    fn extensions(bytes: &[u8]) -> Vec<u8> {
        let (rest, record) = parse_tls_raw_record(bytes).expect("a record");
        assert!(rest.is_empty());
        match parse_tls_message_handshake(record.data).expect("a message") {
            ([], TlsMessage::Handshake(TlsMessageHandshake::ClientHello(hello))) => {
                hello.ext.expect("extensions").to_vec()
            }
            (rest, other) => panic!("{other:?} and {rest:?}"),
        }
    }

    /// The bodies of the ALPN extensions, and the other extensions.
    fn split_alpn(mut extensions: &[u8]) -> (Vec<&[u8]>, Vec<u8>) {
        let (mut alpn, mut others) = (Vec::new(), Vec::new());
        while let [a, b, c, d, behind @ ..] = extensions {
            let length = usize::from(u16::from_be_bytes([*c, *d]));
            let (body, next) = behind.split_at(length);
            match u16::from_be_bytes([*a, *b]) {
                ALPN => alpn.push(body),
                _ => others.extend_from_slice(&extensions[..4 + length]),
            }
            extensions = next;
        }
        assert!(extensions.is_empty());
        (alpn, others)
    }

    /// RFC 7301 section 3.1: a list with its length, of at least one name with its length.
    fn is_well_formed(alpn: &[u8]) -> bool {
        let [a, b, names @ ..] = alpn else {
            return false;
        };
        let mut names: &[u8] = names;
        if names.is_empty() || names.len() != usize::from(u16::from_be_bytes([*a, *b])) {
            return false;
        }
        while let [length @ 1..=u8::MAX, behind @ ..] = names {
            match behind.get(usize::from(*length)..) {
                Some(next) => names = next,
                None => return false,
            }
        }
        names.is_empty()
    }

    #[test]
    fn a_well_formed_one_can_be_parsed() {
        for versions in [Versions::Both, Versions::Tls12] {
            let h2 = extension(ALPN, b"\0\x03\x02h2");
            let bytes = client_hello(&name(), &h2, versions).expect("serialized");
            let extensions = extensions(&bytes);
            let (rest, parsed) = parse_tls_client_hello_extensions(&extensions).expect("parsed");
            assert!(rest.is_empty());
            let sni = vec![(SNIType::HostName, &b"example.org"[..])];
            assert!(parsed.contains(&TlsExtension::SNI(sni)));
            assert!(parsed.contains(&TlsExtension::ALPN(vec![b"h2"])));
            assert!(is_well_formed(split_alpn(&extensions).0[0]));
        }
    }

    #[test]
    fn an_address_is_not_sent_as_server_name() {
        let ip = ServerName::new("::1").expect("an address");
        let bytes = client_hello(&ip, &[], Versions::Both).expect("serialized");
        let extensions = extensions(&bytes);
        let (_, parsed) = parse_tls_client_hello_extensions(&extensions).expect("parsed");
        assert!(!parsed.iter().any(|it| matches!(it, TlsExtension::SNI(_))));
    }

    #[test]
    fn only_the_alpn_extension_is_malformed() {
        for malformation in Malformed::ALL {
            for versions in [Versions::Both, Versions::Tls12] {
                let bytes = malformed(&name(), malformation, versions).expect("serialized");
                let extensions = extensions(&bytes);
                let (alpn, others) = split_alpn(&extensions);
                let (rest, _) = parse_tls_client_hello_extensions(&others).expect("parsed");
                assert!(rest.is_empty(), "{malformation}");
                match alpn[..] {
                    [body] => assert!(!is_well_formed(body), "{malformation}"),
                    _ => assert_eq!(malformation, Malformed::DuplicateExtension),
                }
            }
        }
    }
}
