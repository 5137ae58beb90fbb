//! The alerts on the wire (RFC 8446 section 6.2) and the kinds of the errors.

use std::io::{self, ErrorKind};

use corelane::tls::{ClientHello, TlsAcceptor, TlsVersion};
use rustls::ContentType;

use super::inputs::{GARBAGE, client_hello};
use crate::{
    backend::Backend,
    client::client_config,
    session::{Client, Pair, Peer, RawClient, Wire, kind, start},
};

const UNEXPECTED_MESSAGE: u8 = 10;
const BAD_RECORD_MAC: u8 = 20;
const RECORD_OVERFLOW: u8 = 22;
const HANDSHAKE_FAILURE: u8 = 40;
const ILLEGAL_PARAMETER: u8 = 47;
const DECODE_ERROR: u8 = 50;
const DECRYPT_ERROR: u8 = 51;
const PROTOCOL_VERSION: u8 = 70;
const INSUFFICIENT_SECURITY: u8 = 71;
const NO_RENEGOTIATION: u8 = 100;

/// The alert that the client got.
pub(super) fn alert(client: &Client) -> Option<u8> {
    match client.error {
        Some(rustls::Error::AlertReceived(alert)) => Some(alert.into()),
        _ => None,
    }
}

pub(super) fn assert_protocol_error(error: &io::Error) {
    assert_eq!(error.kind(), ErrorKind::InvalidData, "{error:?}");
    assert!(error.get_ref().is_some(), "the library's error is inside");
}

pub(super) fn forged_finished_gets_alert(backend: &Backend) {
    for version in backend.versions() {
        let mut pair = Pair::begin(backend.acceptor(), Client::new(Peer::Tls(version)));
        pair.until_client_finished();
        *pair.wire.incoming.back_mut().expect("Finished") ^= 1;
        let error = pair.handshake().expect_err("a forged Finished");
        assert_protocol_error(&error);
        assert!(pair.session.wants_flush(), "an alert waits");
        pair.flush();
        let got = alert(&pair.client);
        let allowed = [BAD_RECORD_MAC, DECRYPT_ERROR].map(Some);
        assert!(allowed.contains(&got), "{version}: alert {got:?}");
    }
}

pub(super) fn record_that_does_not_decrypt_gets_alert(backend: &Backend) {
    for version in backend.versions() {
        let mut pair = Pair::open(backend.acceptor(), Peer::Tls(version));
        pair.client.send(b"before", &mut pair.wire);
        pair.wire.incoming.extend(GARBAGE);
        assert_eq!(pair.read().expect("a record before it"), b"before");
        let error = pair.read().expect_err("a record that does not decrypt");
        assert_protocol_error(&error);
        pair.flush();
        let got = alert(&pair.client);
        assert_eq!(got, Some(BAD_RECORD_MAC), "{version}");
    }
}

/// The alert of a ClientHello that no session can answer: unencrypted and fatal.
pub(super) fn refusal(acceptor: &dyn TlsAcceptor, records: &[u8]) -> Option<u8> {
    ClientHello::from_records(records).expect("a server takes it");
    let mut session = start(acceptor, records).expect("a session");
    let mut wire = Wire::default();
    wire.incoming.extend(records);
    let error = session.handshake(&mut wire).expect_err("nothing in common");
    assert_protocol_error(&error);
    session.flush(&mut wire).expect("there is room");
    match *wire.outgoing.make_contiguous() {
        [21, 3, _, 0, 2, 2, alert] => Some(alert),
        _ => None,
    }
}

/// No cipher suite in common.
pub(super) fn unknown_cipher_suites_get_alert(backend: &Backend) {
    for version in backend.versions() {
        let mut hello = client_hello(version);
        // Behind the headers, version and random: the session's id, then the suites.
        let suites = 44 + usize::from(hello[43]);
        let length = usize::from(u16::from_be_bytes([hello[suites], hello[suites + 1]]));
        for suite in hello[suites + 2..][..length].chunks_mut(2) {
            // For private use.
            suite.copy_from_slice(&[0xff, 0xfe]);
        }
        let got = refusal(backend.acceptor(), &hello);
        let allowed = [HANDSHAKE_FAILURE, INSUFFICIENT_SECURITY].map(Some);
        assert!(allowed.contains(&got), "{version}: alert {got:?}");
    }
}

/// TLS 1.1 (RFC 8996).
pub(super) fn versions_below_tls_1_2_get_alert(backend: &Backend) {
    let mut hello = client_hello(TlsVersion::TLS_1_2);
    let parsed = ClientHello::from_records(&hello).expect("a ClientHello");
    (hello[9], hello[10]) = (3, 2);
    if !parsed.supported_versions.is_empty() {
        let [version] = [[0, 43, 0, 3, 2, 3, 3]];
        let at = hello.windows(7).position(|it| it == version);
        hello[at.expect("one version") + 6] = 2;
    }
    assert_eq!(refusal(backend.acceptor(), &hello), Some(PROTOCOL_VERSION));
}

/// Records that are sealed well, and are not allowed.
pub(super) fn unexpected_records_get_alert(backend: &Backend) {
    for version in backend.versions() {
        let finished = [20, 0, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        for (kind, content) in [
            // CVE-2014-0160, "Heartbleed": a length beyond the contents.
            (ContentType::Heartbeat, &[1, 0x40, 0][..]),
            (ContentType::Unknown(99), &[1]),
            (ContentType::Handshake, &finished),
        ] {
            let client = RawClient::client(client_config(version, &[b"h2"]));
            let mut pair = Pair::begin(backend.acceptor(), client);
            pair.shake_hands();
            let mut raw = RawClient::take_over(&mut pair);
            let record = raw.seal(kind, content);
            pair.wire.incoming.extend(record);
            let error = pair.read().expect_err("a record that is not allowed");
            assert_protocol_error(&error);
            pair.session.flush(&mut pair.wire).expect("there is room");
            let records = raw.open(&mut pair.wire);
            let (sent, content) = records.last().expect("an alert is sent");
            assert_eq!(*sent, ContentType::Alert, "{version}, {kind:?}");
            // A message of the handshake may be taken for a renegotiation.
            let allowed = [
                UNEXPECTED_MESSAGE,
                DECODE_ERROR,
                ILLEGAL_PARAMETER,
                NO_RENEGOTIATION,
            ];
            let fatal = content[0] == 2 && allowed.contains(&content[1]);
            assert!(fatal, "{version}, {kind:?}: alert {content:?}");
        }
    }
}

/// RFC 8446 section 5.2 and RFC 5246 section 6.2.3.
pub(super) fn record_that_is_too_long_gets_alert(backend: &Backend) {
    for version in backend.versions() {
        let mut pair = Pair::open(backend.acceptor(), Peer::Tls(version));
        pair.wire.incoming.extend([23, 3, 3, 0xff, 0xff]);
        pair.wire.incoming.extend([0; 0xffff]);
        let error = pair.read().expect_err("too long");
        assert_protocol_error(&error);
        pair.flush();
        let got = alert(&pair.client);
        let allowed = [RECORD_OVERFLOW, BAD_RECORD_MAC, DECODE_ERROR].map(Some);
        assert!(allowed.contains(&got), "{version}: alert {got:?}");
    }
}

/// RFC 8446 section 6.2: the connection is over, and no alert answers an alert.
pub(super) fn fatal_alert_of_the_client_is_invalid_data(backend: &Backend) {
    for version in backend.versions() {
        let client = RawClient::client(client_config(version, &[b"h2"]));
        let mut pair = Pair::begin(backend.acceptor(), client);
        pair.shake_hands();
        let mut raw = RawClient::take_over(&mut pair);
        let record = raw.seal(ContentType::Alert, &[2, 80]);
        pair.wire.incoming.extend(record);
        let error = pair.read().expect_err("a fatal alert");
        assert_protocol_error(&error);
        assert_ne!(kind(pair.read()), ErrorKind::WouldBlock);
        pair.session.flush(&mut pair.wire).expect("there is room");
        let answer = raw.open(&mut pair.wire);
        assert!(answer.is_empty(), "{version}: answered by {answer:?}");
    }
}

/// A record of application data in the handshake.
pub(super) fn early_application_data_gets_alert(backend: &Backend) {
    for version in backend.versions() {
        let mut pair = Pair::begin(backend.acceptor(), Client::new(Peer::Tls(version)));
        assert_eq!(kind(pair.handshake()), ErrorKind::WouldBlock);
        pair.session.flush(&mut pair.wire).expect("there is room");
        pair.wire.incoming.extend(GARBAGE);
        let error = pair.handshake().expect_err("not allowed");
        assert_protocol_error(&error);
        pair.flush();
        let got = alert(&pair.client);
        // Under TLS 1.3 every record has this type, and this one does not decrypt.
        let allowed = [UNEXPECTED_MESSAGE, BAD_RECORD_MAC].map(Some);
        assert!(allowed.contains(&got), "{version}: alert {got:?}");
    }
}
