//! Tests what is peculiar to the backend openssl: the kinds of keys, and contexts that users make. The
//! system's policy is in policy.rs.
#![cfg(feature = "openssl")]

use std::sync::Arc;

use corelane::{
    Driver,
    tls::{Identity, OpensslAcceptor, TlsAcceptor, TlsConfig},
};
use corelane_test_support::{
    TestServer,
    backends::OPENSSL,
    certs::CERTIFICATE,
    client::Tls,
    openssl_peer::{ec, handshake, identity_of, rsa, rsa_pss},
    visit::{register, returning, visit},
};
use openssl::{
    nid::Nid,
    pkey::PKey,
    ssl::{AlpnError, SslContext, SslMethod, SslVersion, select_next_proto},
    x509::X509,
};

fn serve(acceptor: impl TlsAcceptor) -> TestServer {
    TestServer::start(Arc::new(acceptor), Driver::Epoll, register)
}

#[test]
fn every_kind_of_key_is_served() {
    for (name, key) in [
        ("P-256", ec(Nid::X9_62_PRIME256V1)),
        ("P-384", ec(Nid::SECP384R1)),
        ("P-521", ec(Nid::SECP521R1)),
        ("Ed25519", PKey::generate_ed25519().expect("a key")),
        ("Ed448", PKey::generate_ed448().expect("a key")),
        ("RSA", rsa(2048)),
        ("RSA-PSS", rsa_pss()),
    ] {
        let config = TlsConfig::new(identity_of(&key));
        let server = serve(OpensslAcceptor::new(&config).expect(name));
        for version in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
            handshake(server.addr, version, |_| Ok(())).expect(name);
        }
    }
}

/// OpenSSL has ML-DSA since 3.5.
#[test]
fn a_key_of_ml_dsa_is_served_under_tls_1_3() {
    if openssl::version::number() < 0x3050_0000 {
        println!("NOT TESTED: {} has no ML-DSA", openssl::version::version());
        return;
    }
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ML_DSA_65).expect("a key");
    let params = rcgen::CertificateParams::new(["localhost".to_owned()]).expect("a name");
    let certificate = params.self_signed(&key).expect("a certificate").pem();
    let identity = Identity::from_pem(certificate, key.serialize_pem()).expect("PEM");
    let server = serve(OpensslAcceptor::new(&TlsConfig::new(identity)).expect("an acceptor"));
    handshake(server.addr, SslVersion::TLS1_3, |_| Ok(())).expect("a handshake");
    // TLS 1.2 has no signatures by such keys: the server sends an alert.
    let refused = handshake(server.addr, SslVersion::TLS1_2, |_| Ok(()));
    assert_eq!(refused.err(), Some(true));
}

fn context(protocols: &'static [u8]) -> SslContext {
    let mut context = SslContext::builder(SslMethod::tls_server()).expect("a context");
    let certificate = X509::from_pem(CERTIFICATE.pem.as_bytes()).expect("a certificate");
    let key = PKey::private_key_from_pem(CERTIFICATE.key.as_bytes()).expect("a key");
    context.set_certificate(&certificate).expect("set");
    context.set_private_key(&key).expect("set");
    context.set_session_id_context(b"own").expect("set");
    context.set_alpn_select_callback(move |_, offered| {
        select_next_proto(protocols, offered).ok_or(AlpnError::NOACK)
    });
    context.build()
}

#[test]
fn a_context_of_the_user_is_served_unchanged() {
    let server = serve(OpensslAcceptor::from(context(b"\x02h2")));
    for tls in [Tls::V1_2, Tls::V1_3] {
        let client = Arc::new(returning(tls));
        assert!(!visit(server.addr, &client).resumed);
        assert!(visit(server.addr, &client).resumed, "{tls:?}");
    }
    // Without `h2`, connections end after the handshake.
    let server = serve(OpensslAcceptor::from(context(b"\x08http/1.1")));
    assert!(handshake(server.addr, SslVersion::TLS1_2, |_| Ok(())).is_ok());
    server.wait_for("it is counted", |counters| counters.handshakes_failed == 1);
}

/// A configuration that OpenSSL cannot use is refused when the acceptor is built.
#[test]
fn a_short_rsa_key_is_refused_when_built() {
    let error = (OPENSSL.make)(&TlsConfig::new(identity_of(&rsa(512)))).err();
    let error = error.expect("2048 bits or more are accepted");
    assert!(error.is_config(), "{error}");
    assert!(error.to_string().contains("512 bits"), "{error}");
}
