//! The versions of TLS.

use corelane::tls::TlsVersion;

use super::{alerts::refusal, inputs::client_hello};
use crate::{
    backend::Backend,
    session::{Pair, Peer},
};

const PROTOCOL_VERSION: u8 = 70;

fn is_spoken(backend: &Backend, version: TlsVersion) {
    let mut pair = Pair::open(backend.acceptor(), Peer::Tls(version));
    assert_eq!(pair.session.negotiated().tls_version, Some(version));
    pair.client.send(b"data", &mut pair.wire);
    assert_eq!(pair.read_all(4), b"data");
    pair.write_all(b"answer");
    assert_eq!(pair.client.received, b"answer");
}

pub(super) fn tls_1_2_is_spoken(backend: &Backend) {
    is_spoken(backend, TlsVersion::TLS_1_2);
}

pub(super) fn tls_1_3_is_spoken(backend: &Backend) {
    is_spoken(backend, TlsVersion::TLS_1_3);
}

pub(super) fn minimum_version_is_kept(backend: &Backend) {
    let config = Backend::config().min_version(TlsVersion::TLS_1_3);
    let acceptor = backend.acceptor_of(&config);
    let got = refusal(&*acceptor, &client_hello(TlsVersion::TLS_1_2));
    assert_eq!(got, Some(PROTOCOL_VERSION), "the alert for TLS 1.2");
    Pair::open(&*acceptor, Peer::Tls(TlsVersion::TLS_1_3));
    // HTTP/2 forbids TLS 1.1 (RFC 9113 section 9.2).
    let below = backend.make(&Backend::config().min_version(TlsVersion(0x0302)));
    let error = below.err().expect("TLS 1.1 is refused when built");
    assert!(error.is_unsupported(), "{error:?}");
}

pub(super) fn is_not_spoken(backend: &Backend, version: TlsVersion) {
    let got = refusal(backend.acceptor(), &client_hello(version));
    assert_eq!(got, Some(PROTOCOL_VERSION), "the alert for {version}");
}
