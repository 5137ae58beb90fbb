//! Records without plaintext, and no end of them. A read must neither loop as long as they arrive nor
//! let the peer make the session work for nothing.

use std::io::ErrorKind;

use corelane::tls::TlsVersion;
use rustls::ContentType;

use super::{alerts::assert_protocol_error, inputs::client_hello};
use crate::{
    backend::Backend,
    client::client_config,
    session::{Pair, Peer, RawClient},
};

/// The bytes of such records that a session may read before it fails.
const ENOUGH: usize = 1024 * 1024;

/// Whether the session fails on records of this kind before it has read more than that.
fn fails(backend: &Backend, version: TlsVersion, kind: ContentType, content: &[u8]) -> bool {
    let client = RawClient::client(client_config(version, &[b"h2"]));
    let mut pair = Pair::begin(backend.acceptor(), client);
    pair.shake_hands();
    let mut raw = RawClient::take_over(&mut pair);
    let mut sent = 0;
    while sent < ENOUGH {
        while pair.wire.incoming.len() < 64 * 1024 {
            let record = raw.seal(kind, content);
            sent += record.len();
            pair.wire.incoming.extend(record);
        }
        match pair.read() {
            Ok(read) => panic!("{read:?} was read, and never sent"),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                pair.session.flush(&mut pair.wire).expect("there is room");
                pair.wire.outgoing.clear();
            }
            Err(error) => {
                assert_protocol_error(&error);
                return true;
            }
        }
    }
    false
}

/// RFC 8446 section 5.1 permits them (CVE-2020-12457 and similar attacks).
pub(super) fn endless_empty_records_are_refused(backend: &Backend) {
    for version in backend.versions() {
        let kind = ContentType::ApplicationData;
        assert!(fails(backend, version, kind, b""), "{version}");
        // A few are no attack.
        let client = RawClient::client(client_config(version, &[b"h2"]));
        let mut pair = Pair::begin(backend.acceptor(), client);
        pair.shake_hands();
        let mut raw = RawClient::take_over(&mut pair);
        for content in [&b""[..]; 16].into_iter().chain([&b"data"[..]]) {
            let record = raw.seal(kind, content);
            pair.wire.incoming.extend(record);
        }
        assert_eq!(pair.read_all(4), b"data");
    }
}

/// CVE-2016-8610, "SSL Death Alert": user_canceled is the only warning left in TLS 1.3.
pub(super) fn endless_warnings_are_refused(backend: &Backend) {
    for version in backend.versions() {
        let warning = [1, 90];
        assert!(
            fails(backend, version, ContentType::Alert, &warning),
            "{version}"
        );
    }
}

/// CVE-2011-1473.
pub(super) fn endless_renegotiation_is_refused(backend: &Backend) {
    let version = TlsVersion::TLS_1_2;
    let hello = client_hello(version);
    let handshake = ContentType::Handshake;
    assert!(fails(backend, version, handshake, &hello[5..]));
}

/// RFC 8446 section 4.6.3: without data between them there is no reason for many.
pub(super) fn endless_key_updates_are_refused(backend: &Backend) {
    let mut pair = Pair::open(backend.acceptor(), Peer::Tls(TlsVersion::TLS_1_3));
    for _ in 0..20_000 {
        pair.client.update_keys(&mut pair.wire);
        let error = pair.read().expect_err("no plaintext was sent");
        if error.kind() != ErrorKind::WouldBlock {
            return assert_protocol_error(&error);
        }
        pair.session.flush(&mut pair.wire).expect("there is room");
        pair.wire.outgoing.clear();
    }
    panic!("20,000 KeyUpdates are accepted");
}
