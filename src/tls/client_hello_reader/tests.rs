use std::{
    io::Read,
    os::unix::net::UnixStream,
    sync::{Arc, LazyLock},
};

use ::rustls::{
    ClientConfig, ClientConnection, RootCertStore, crypto::aws_lc_rs, pki_types::ServerName,
};
use openssl::ssl::{SslConnector, SslMethod};
use proptest::{collection::vec, prelude::*};

use super::*;
use crate::{
    alpn::ProtocolName,
    fuzzing::{client_hello, pieces},
    negotiated::{CipherSuite, TlsVersion},
};

type Answer = Result<Option<ClientHello>, Error>;

/// Pushes the pieces until there is an answer; the answer, and the reader.
fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Answer, ClientHelloReader) {
    let mut reader = ClientHelloReader::default();
    for piece in pieces {
        match reader.push(piece) {
            Ok(None) => {}
            answer => return (answer, reader),
        }
    }
    (Ok(None), reader)
}

fn hello_of(bytes: &[u8]) -> ClientHello {
    let (answer, reader) = read([bytes]);
    assert_eq!(reader.into_received(), bytes);
    answer.expect("readable").expect("complete")
}

fn assert_refused(what: &str, bytes: &[u8], with: AlertDescription) {
    let error = read([bytes]).0.expect_err(what);
    assert_eq!(error.alert(), Some(with), "{what}: {error}");
    assert!(error.is_handshake(), "{error:?}");
}

fn names(names: &[&[u8]]) -> Option<Vec<ProtocolName>> {
    let name = |name: &&[u8]| ProtocolName::new(*name).expect("a name");
    Some(names.iter().map(name).collect())
}

/// The ClientHello of a rustls client, TLS 1.3 and 1.2.
static RUSTLS_HELLO: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let name = ServerName::try_from("www.example.org").expect("a name");
    let mut client = ClientConnection::new(Arc::new(config), name).expect("a client");
    let mut hello = Vec::new();
    client.write_tls(&mut hello).expect("into memory");
    hello
});

/// The ClientHello of an OpenSSL client.
static OPENSSL_HELLO: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut connector = SslConnector::builder(SslMethod::tls_client()).expect("a connector");
    connector.set_alpn_protos(b"\x02h2").expect("a list");
    let (client, mut silent) = UnixStream::pair().expect("a socket pair");
    client.set_nonblocking(true).expect("a socket option");
    let unanswered = connector.build().connect("www.example.net", client);
    drop(unanswered.expect_err("the wire has no server"));
    let mut hello = Vec::new();
    silent.read_to_end(&mut hello).expect("sent");
    hello
});

/// A vector with a length of `width` bytes before it.
fn prefixed(width: usize, body: &[u8]) -> Vec<u8> {
    [&body.len().to_be_bytes()[8 - width..], body].concat()
}

fn record(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind, 3, 1][..], &prefixed(2, body)].concat()
}

/// A handshake message cut into records of the given size.
fn records(message: &[u8], size: usize) -> Vec<u8> {
    let cut = message.chunks(size).map(|piece| record(HANDSHAKE, piece));
    cut.collect::<Vec<_>>().concat()
}

fn message(body: &[u8]) -> Vec<u8> {
    [&[CLIENT_HELLO][..], &prefixed(3, body)].concat()
}

/// The body of a ClientHello with these extensions, the list's length included.
fn body(extensions: &[(u16, Vec<u8>)]) -> Vec<u8> {
    let one =
        |(kind, data): &(u16, Vec<u8>)| [&kind.to_be_bytes()[..], &prefixed(2, data)].concat();
    let list = extensions.iter().map(one).collect::<Vec<_>>().concat();
    let head = [&[3, 3][..], &[7; 32], &[0], &[0, 2, 0x13, 1], &[1, 0]].concat();
    [head, prefixed(2, &list)].concat()
}

fn hello(extensions: &[(u16, Vec<u8>)]) -> Vec<u8> {
    records(&message(&body(extensions)), MAX_CLIENT_HELLO)
}

fn alpn(names: &[&[u8]]) -> (u16, Vec<u8>) {
    let listed = names.iter().map(|name| prefixed(1, name));
    (16, prefixed(2, &listed.collect::<Vec<_>>().concat()))
}

fn sni(entries: &[(u8, &[u8])]) -> (u16, Vec<u8>) {
    let listed = entries
        .iter()
        .map(|(kind, name)| [&[*kind][..], &prefixed(2, name)].concat());
    (0, prefixed(2, &listed.collect::<Vec<_>>().concat()))
}

/// The ClientHello that [`hello`] makes without extensions.
fn bare(message: &[u8]) -> ClientHello {
    ClientHello {
        message: message.to_vec(),
        cipher_suites: vec![CipherSuite(0x1301)],
        ..ClientHello::default()
    }
}

#[test]
fn hellos_of_rustls_and_openssl_are_parsed() {
    let rustls = hello_of(&RUSTLS_HELLO);
    assert_eq!(rustls.alpn_protocols, names(&[b"h2", b"http/1.1"]));
    assert_eq!(rustls.server_name.as_deref(), Some("www.example.org"));
    assert_eq!(rustls.session_id.len(), 32);
    let openssl = hello_of(&OPENSSL_HELLO);
    assert_eq!(openssl.alpn_protocols, names(&[b"h2"]));
    assert_eq!(openssl.server_name.as_deref(), Some("www.example.net"));
    for hello in [rustls, openssl] {
        let versions = [TlsVersion::TLS_1_3, TlsVersion::TLS_1_2];
        assert!(hello.supported_versions.starts_with(&versions));
        // ecdsa_secp256r1_sha256, rsa_pss_rsae_sha256; secp256r1; one suite of each version.
        assert!(hello.signature_algorithms.contains(&0x0403));
        assert!(hello.signature_algorithms.contains(&0x0804));
        assert!(hello.supported_groups.contains(&23));
        for suite in [0x1301, 0xc02b] {
            assert!(hello.cipher_suites.contains(&CipherSuite(suite)));
        }
    }
}

/// The backend decides whether it serves such a client.
#[test]
fn malformed_extensions_that_only_select_a_certificate_are_ignored() {
    for kind in [10, 13, 43] {
        for data in [&b""[..], b"\0", b"\0\x09\x04\x03", b"\x03\x03\x04\x03"] {
            let read = hello_of(&hello(&[(kind, data.to_vec())]));
            assert_eq!(read.cipher_suites, bare(&[]).cipher_suites);
        }
    }
    let odd = hello_of(&hello(&[(13, vec![0, 4, 4, 3, 8, 4])]));
    assert_eq!(odd.signature_algorithms, [0x0403, 0x0804]);
}

#[test]
fn a_hello_in_single_bytes_is_complete_with_the_last() {
    for bytes in [&RUSTLS_HELLO[..], &OPENSSL_HELLO] {
        let whole = hello_of(bytes);
        let (all_but_one, last) = bytes.split_at(bytes.len() - 1);
        let (answer, mut reader) = read(all_but_one.chunks(1));
        assert_eq!(answer.expect("nothing wrong yet"), None);
        assert_eq!(reader.push(last).expect("readable"), Some(whole));
        assert_eq!(reader.into_received(), bytes);
    }
}

#[test]
fn a_hello_may_be_split_into_two_records_anywhere() {
    let bytes = &*RUSTLS_HELLO;
    let whole = hello_of(bytes);
    let message = &bytes[RECORD_HEADER..];
    for at in 1..message.len() {
        let (one, two) = message.split_at(at);
        let cut = [record(HANDSHAKE, one), record(HANDSHAKE, two)].concat();
        assert_eq!(hello_of(&cut), whole, "cut at {at}");
    }
}

#[test]
fn bytes_after_the_hello_are_kept_for_the_session() {
    let hello = &*RUSTLS_HELLO;
    let followed = [&hello[..], &record(20, &[1]), b"more"].concat();
    assert_eq!(hello_of(&followed), hello_of(hello));
}

#[test]
fn missing_extensions_are_none() {
    let nothing = hello(&[]);
    let whole = message(&body(&[]));
    assert_eq!(hello_of(&nothing), bare(&whole));
    let no_list = body(&[]);
    let without_extensions = message(&no_list[..no_list.len() - 2]);
    let read = hello_of(&records(&without_extensions, MAX_CLIENT_HELLO));
    assert_eq!(read, bare(&without_extensions));
}

#[test]
fn grease_and_long_protocol_names_are_accepted() {
    let long = [b'x'; 255];
    let offer: &[&[u8]] = &[&[0x0a, 0x0a], &long, b"h2"];
    let grease = |kind| (kind, vec![]);
    let bytes = hello(&[grease(0x1a1a), alpn(offer), grease(0xfafa)]);
    assert_eq!(hello_of(&bytes).alpn_protocols, names(offer));
}

#[test]
fn other_messages_are_refused_as_unexpected() {
    let alert = record(21, &[2, 40]);
    let amid = [&record(HANDSHAKE, &RUSTLS_HELLO[5..9])[..], &alert].concat();
    let finished = record(HANDSHAKE, &[20, 0, 0, 1, 0]);
    for (what, bytes) in [
        ("HTTP/1.1", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec()),
        ("HTTP/2 in clear", b"PRI * HTTP/2.0\r\n\r\nSM".to_vec()),
        ("one byte of HTTP", b"G".to_vec()),
        ("SSL 2", vec![0x80, 0x2e, 1, 0, 2]),
        ("a record of another major version", vec![22, 2, 0, 0, 9]),
        ("an alert", alert),
        ("application data", record(23, &[0; 40])),
        ("ChangeCipherSpec", record(20, &[1])),
        ("Finished", finished),
        ("an alert amid the hello", amid),
    ] {
        assert_refused(what, &bytes, AlertDescription::UnexpectedMessage);
    }
}

#[test]
fn a_hello_over_16_kib_is_refused_at_its_header() {
    let padding = |n| (21, vec![0; n]);
    let room = MAX_CLIENT_HELLO - body(&[padding(0)]).len();
    let largest = message(&body(&[padding(room)]));
    assert_eq!(largest.len(), HANDSHAKE_HEADER + MAX_CLIENT_HELLO);
    assert_eq!(hello_of(&records(&largest, 1000)), bare(&largest));
    let larger = message(&[0; MAX_CLIENT_HELLO + 1]);
    let begun = record(HANDSHAKE, &larger[..HANDSHAKE_HEADER]);
    assert_refused("larger", &begun, AlertDescription::DecodeError);
}

#[test]
fn an_empty_or_oversized_record_is_refused_at_its_header() {
    let begun = record(HANDSHAKE, &RUSTLS_HELLO[5..50]);
    for before in [&begun[..], &[]] {
        let with_header = |a, b| [before, &[HANDSHAKE, 3, 1, a, b]].concat();
        let empty = with_header(0, 0);
        assert_refused("empty", &empty, AlertDescription::DecodeError);
        let largest = read([&with_header(0x40, 0)[..]]).0;
        assert_eq!(largest.expect("16 KiB are allowed"), None);
        let longer = with_header(0x40, 1);
        assert_refused("too long", &longer, AlertDescription::RecordOverflow);
    }
}

#[test]
fn malformed_extensions_are_decode_errors() {
    let raw = |data: &[u8]| (16, data.to_vec());
    for (what, extensions) in [
        ("ALPN twice", vec![alpn(&[b"h2"]), alpn(&[b"h2"])]),
        ("GREASE twice", vec![(0x7a7a, vec![]), (0x7a7a, vec![])]),
        ("no ALPN list", vec![raw(&[])]),
        ("an empty ALPN list", vec![alpn(&[])]),
        ("an empty ALPN name", vec![alpn(&[b""])]),
        ("an empty ALPN name behind", vec![alpn(&[b"h2", b""])]),
        ("an ALPN list too short", vec![raw(b"\0\x02\x02h2")]),
        ("an ALPN list too long", vec![raw(b"\0\x04\x02h2")]),
        ("an ALPN name too long", vec![raw(b"\0\x06\x02h2\x09xy")]),
        ("bytes behind the ALPN list", vec![raw(b"\0\x03\x02h2\0")]),
        ("an SNI without names", vec![sni(&[])]),
        ("an empty host name", vec![sni(&[(0, b"")])]),
        ("two host names", vec![sni(&[(0, b"a"), (0, b"b")])]),
        ("a name that is no host name", vec![sni(&[(1, b"a")])]),
    ] {
        assert_refused(what, &hello(&extensions), AlertDescription::DecodeError);
    }
}

#[test]
fn other_server_names_than_host_names_are_illegal_parameters() {
    let long = [b'a'; 64];
    for name in [
        &b"\xc3\xa4.test"[..],
        b"a.test\x80",
        b"\xff",
        b"a\0.test",
        b"a.test\0",
        b"\x1b[31ma.test",
        b"a b.test",
        b"a..test",
        b".",
        &long,
    ] {
        let hello = hello(&[sni(&[(0, name)])]);
        assert_refused("SNI", &hello, AlertDescription::IllegalParameter);
    }
}

#[test]
fn an_ip_address_is_no_server_name() {
    for (name, wanted) in [
        ("192.0.2.1", None),
        ("2001:db8::1", None),
        ("[2001:db8::1]", None),
        ("192.0.2.1.test", Some("192.0.2.1.test")),
        ("1", Some("1")),
    ] {
        let read = hello_of(&hello(&[sni(&[(0, name.as_bytes())])]));
        assert_eq!(read.server_name.as_deref(), wanted, "{name}");
    }
}

#[test]
fn inconsistent_lengths_are_decode_errors() {
    let good = body(&[alpn(&[b"h2"])]);
    let extensions_at = body(&[]).len() - 2;
    let lie = |at: usize, by: u8| {
        let mut body = good.clone();
        body[at] = body[at].wrapping_add(by);
        body
    };
    for (what, body) in [
        ("nothing at all", vec![]),
        ("a byte behind the extensions", [&good[..], &[0]].concat()),
        ("the last byte missing", good[..good.len() - 1].to_vec()),
        ("extensions longer than there is", lie(extensions_at + 1, 1)),
        (
            "extensions shorter than there is",
            lie(extensions_at + 1, 255),
        ),
        (
            "an extension longer than the list",
            lie(extensions_at + 5, 1),
        ),
        ("a session id of 33 bytes", lie(34, 33)),
        ("an odd list of cipher suites", lie(36, 1)),
    ] {
        let bytes = records(&message(&body), MAX_CLIENT_HELLO);
        assert_refused(what, &bytes, AlertDescription::DecodeError);
    }
}

proptest! {
    #[test]
    fn a_hello_may_be_split_into_any_records_and_pieces(
        fragments in vec(1_usize..600, 1..8),
        sizes in vec(1_usize..600, 1..8),
    ) {
        let bytes = &*OPENSSL_HELLO;
        let fragments = pieces(&bytes[RECORD_HEADER..], &fragments);
        let cut = fragments.into_iter().map(|piece| record(HANDSHAKE, piece));
        let cut = cut.collect::<Vec<_>>().concat();
        prop_assert_eq!(hello_of(&cut), hello_of(bytes));
        client_hello(&cut, &sizes);
    }

    #[test]
    fn any_bytes_get_an_answer(
        bytes in vec(any::<u8>(), 0..2000),
        sizes in vec(1_usize..50, 1..4),
        head in 0_usize..4,
    ) {
        // Wrapped in up to four layers, so that the inner parsers are reached too.
        let wrapped = match head {
            0 => bytes,
            1 => records(&bytes, 700),
            2 => records(&message(&bytes), 700),
            _ => hello(&[(0, bytes[..bytes.len() / 2].to_vec()), (16, bytes)]),
        };
        client_hello(&wrapped, &sizes);
    }

    #[test]
    fn any_mutation_of_a_hello_gets_an_answer(
        changes in vec((any::<proptest::sample::Index>(), any::<u8>()), 1..6),
        keep in any::<proptest::sample::Index>(),
        sizes in vec(1_usize..300, 1..4),
    ) {
        let mut bytes = RUSTLS_HELLO.clone();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        client_hello(&bytes, &sizes);
        client_hello(&bytes[..keep.index(bytes.len())], &sizes);
    }
}
