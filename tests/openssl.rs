//! Tests what is peculiar to the backend openssl: the system's policy, the kinds of keys, and contexts
//! that users make.
#![cfg(feature = "openssl")]

use std::{
    net::{SocketAddr, TcpStream},
    process::Command,
    sync::Arc,
};

use corelane::{
    Chain, Driver,
    tls::{Identity, OpensslAcceptor, TlsAcceptor, TlsConfig, TlsVersion},
};
use corelane_test_support::{
    TestServer,
    backends::OPENSSL,
    certs::{CERTIFICATE, identity},
    client::{DEADLINE, Tls},
    visit::{register, returning, visit},
};
use openssl::{
    asn1::Asn1Time,
    ec::{EcGroup, EcKey},
    hash::MessageDigest,
    nid::Nid,
    pkey::{Id, PKey, Private},
    pkey_ctx::PkeyCtx,
    rsa::Rsa,
    ssl::{
        AlpnError, HandshakeError, Ssl, SslContext, SslMethod, SslVerifyMode, SslVersion,
        select_next_proto,
    },
    x509::{X509, X509NameBuilder},
};

fn serve(acceptor: impl TlsAcceptor) -> TestServer {
    TestServer::start(Arc::new(acceptor), Driver::Epoll, register)
}

/// A handshake of a client with this one cipher suite. Returns the suite, by its name in OpenSSL, or
/// whether the server sent an alert.
fn handshake(addr: SocketAddr, version: SslVersion, suite: Option<&str>) -> Result<String, bool> {
    let mut client = SslContext::builder(SslMethod::tls_client()).expect("a context");
    client.set_verify(SslVerifyMode::NONE);
    client.set_max_proto_version(Some(version)).expect("set");
    client.set_min_proto_version(Some(version)).expect("set");
    client.set_alpn_protos(b"\x02h2").expect("set");
    if let Some(suite) = suite {
        client.set_cipher_list(suite).expect("a suite");
    }
    let mut ssl = Ssl::new(&client.build()).expect("a session");
    ssl.set_hostname("localhost").expect("set");
    let tcp = TcpStream::connect(addr).expect("connects");
    tcp.set_read_timeout(Some(DEADLINE)).expect("a time-out");
    match ssl.connect(tcp) {
        Ok(tls) => Ok(tls.ssl().current_cipher().expect("one").name().to_owned()),
        Err(HandshakeError::Failure(failed)) => {
            let error = failed.error().to_string();
            Err(error.contains("alert"))
        }
        Err(error) => panic!("{error}"),
    }
}

const POLICY: &str = "CORELANE_TEST_POLICY";

const GCM_128: &str = "ECDHE-ECDSA-AES128-GCM-SHA256";
const GCM_256: &str = "ECDHE-ECDSA-AES256-GCM-SHA384";
const CBC: &str = "ECDHE-ECDSA-AES128-SHA";

/// OpenSSL reads its configuration once per process, so this test runs itself for each policy.
#[test]
fn the_system_policy_applies_and_mozillas_without_one() {
    if let Ok(policy) = std::env::var(POLICY) {
        return under_policy(&policy);
    }
    let dir = tempfile::tempdir().expect("a directory");
    for (name, defaults) in [
        ("none", ""),
        ("suite", "CipherString = ECDHE-ECDSA-AES256-GCM-SHA384"),
        ("lax", "CipherString = DEFAULT\nMinProtocol = TLSv1.2"),
        ("oldest", "MinProtocol = TLSv1.3"),
        ("newest", "MaxProtocol = TLSv1.2"),
        ("strict", "CipherString = DEFAULT:@SECLEVEL=3"),
    ] {
        let file = dir.path().join(name);
        let text = format!(
            "openssl_conf = init\n[init]\nssl_conf = ssl\n[ssl]\nsystem_default = defaults\n\
             [defaults]\n{defaults}\n"
        );
        std::fs::write(&file, text).expect("written");
        let output = Command::new(std::env::current_exe().expect("this test"))
            .args([
                "--exact",
                "the_system_policy_applies_and_mozillas_without_one",
            ])
            .env("OPENSSL_CONF", file)
            .env(POLICY, name)
            .output()
            .expect("it runs");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{name}: {text}");
        assert!(text.contains("1 passed"), "{name}: {text}");
    }
}

fn under_policy(policy: &str) {
    if policy == "strict" {
        let key = PKey::from_rsa(Rsa::generate(2048).expect("a key")).expect("a key");
        let pem = key.private_key_to_pem_pkcs8().expect("PEM");
        let identity = Identity::from_pem(self_signed(&key), pem).expect("PEM");
        let error = OpensslAcceptor::new(&TlsConfig::new(identity)).err();
        let text = Chain(&error.expect("level 3 needs 3072 bits")).to_string();
        assert!(text.contains("security level"), "{text}");
        return;
    }
    let server = serve(OpensslAcceptor::new(&TlsConfig::new(identity())).expect("an acceptor"));
    let takes = |suite: &str| {
        let taken = handshake(server.addr, SslVersion::TLS1_2, Some(suite));
        taken.map(|got| assert_eq!(got, suite)).is_ok()
    };
    let tls_1_3 = || handshake(server.addr, SslVersion::TLS1_3, None).is_ok();
    let suites = [GCM_128, GCM_256, CBC].map(takes);
    let expected = match policy {
        "none" => ([true, true, false], true),
        "suite" => ([false, true, false], true),
        "lax" => ([true, true, true], true),
        "oldest" => ([false, false, false], true),
        "newest" => ([true, true, false], false),
        other => panic!("{other}"),
    };
    assert_eq!((suites, tls_1_3()), expected, "{policy}");
    let config = TlsConfig::new(identity()).min_version(TlsVersion::TLS_1_3);
    match (policy, OpensslAcceptor::new(&config)) {
        ("newest", made) => {
            let error = made.expect_err("the policy forbids it");
            assert!(error.is_config(), "{error}");
            assert!(error.to_string().contains("MaxProtocol"), "{error}");
        }
        (_, made) => {
            let server = serve(made.expect("an acceptor"));
            assert!(handshake(server.addr, SslVersion::TLS1_3, None).is_ok());
            assert!(handshake(server.addr, SslVersion::TLS1_2, None).is_err());
        }
    }
}

fn ec(curve: Nid) -> PKey<Private> {
    let group = EcGroup::from_curve_name(curve).expect("a curve");
    PKey::from_ec_key(EcKey::generate(&group).expect("a key")).expect("a key")
}

fn rsa_pss() -> PKey<Private> {
    let mut context = PkeyCtx::new_id(Id::RSA_PSS).expect("a context");
    context.keygen_init().expect("set");
    context.set_rsa_keygen_bits(2048).expect("set");
    context.keygen().expect("a key")
}

fn self_signed(key: &PKey<Private>) -> String {
    let mut name = X509NameBuilder::new().expect("a name");
    name.append_entry_by_text("CN", "localhost")
        .expect("a name");
    let name = name.build();
    let mut builder = X509::builder().expect("a builder");
    builder.set_version(2).expect("set");
    builder.set_subject_name(&name).expect("set");
    builder.set_issuer_name(&name).expect("set");
    builder.set_pubkey(key).expect("set");
    let day = |n| Asn1Time::days_from_now(n).expect("a time");
    builder.set_not_before(&day(0)).expect("set");
    builder.set_not_after(&day(2)).expect("set");
    let digest = match key.id() {
        Id::ED25519 | Id::ED448 => MessageDigest::null(),
        _ => MessageDigest::sha256(),
    };
    builder.sign(key, digest).expect("signed");
    String::from_utf8(builder.build().to_pem().expect("PEM")).expect("ASCII")
}

#[test]
fn every_kind_of_key_is_served() {
    for (name, key) in [
        ("P-256", ec(Nid::X9_62_PRIME256V1)),
        ("P-384", ec(Nid::SECP384R1)),
        ("P-521", ec(Nid::SECP521R1)),
        ("Ed25519", PKey::generate_ed25519().expect("a key")),
        ("Ed448", PKey::generate_ed448().expect("a key")),
        (
            "RSA",
            PKey::from_rsa(Rsa::generate(2048).expect("a key")).expect("a key"),
        ),
        ("RSA-PSS", rsa_pss()),
    ] {
        let pem = key.private_key_to_pem_pkcs8().expect("PEM");
        let identity = Identity::from_pem(self_signed(&key), pem).expect("PEM");
        let server = serve(OpensslAcceptor::new(&TlsConfig::new(identity)).expect(name));
        for version in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
            handshake(server.addr, version, None).expect(name);
        }
    }
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
    assert!(handshake(server.addr, SslVersion::TLS1_2, None).is_ok());
    server.wait_for("it is counted", |counters| counters.handshakes_failed == 1);
}

/// A configuration that OpenSSL cannot use is refused when the acceptor is built.
#[test]
fn a_short_rsa_key_is_refused_when_built() {
    let key = PKey::from_rsa(Rsa::generate(512).expect("a key")).expect("a key");
    let pem = key.private_key_to_pem_pkcs8().expect("PEM");
    let identity = Identity::from_pem(self_signed(&key), pem).expect("PEM");
    let error = (OPENSSL.make)(&TlsConfig::new(identity)).err();
    let error = error.expect("2048 bits or more are accepted");
    assert!(error.is_config(), "{error}");
    assert!(error.to_string().contains("512 bits"), "{error}");
}
