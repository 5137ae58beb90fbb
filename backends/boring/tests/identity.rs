//! Certificates and keys, ALPN, and options that the backend does not support.

use std::io::ErrorKind;

use boring::{
    ec::{EcGroup, EcKey},
    nid::Nid,
    pkcs12::Pkcs12,
    pkey::{PKey, Private},
    rsa::Rsa,
    stack::Stack,
    x509::X509,
};
use corelane::{
    Error,
    tls::{CipherSuite, ClientAuth, Identity, NamedGroup, TicketKeys, TlsConfig, TlsVersion},
};
use corelane_backend_tests::{
    client_config,
    session::{Client, Pair, Peer},
};
use corelane_boring::BoringAcceptor;
use rcgen::{CertificateParams, CertificateRevocationListParams, Issuer, KeyIdMethod, KeyPair};

fn pem(label: &str, der: &[u8]) -> String {
    let base64 = boring::base64::encode_block(der);
    format!("-----BEGIN {label}-----\n{base64}\n-----END {label}-----\n")
}

fn certificate(key: &KeyPair) -> rcgen::Certificate {
    let params = CertificateParams::new(["localhost".to_owned()]).expect("a name");
    params.self_signed(key).expect("signed")
}

fn key_pair(key: &PKey<Private>, algorithm: &'static rcgen::SignatureAlgorithm) -> KeyPair {
    let der = key.private_key_to_der_pkcs8().expect("PKCS#8");
    KeyPair::from_pkcs8_der_and_sign_algo(&der.into(), algorithm).expect("a key")
}

fn ec() -> PKey<Private> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).expect("P-256");
    let key = EcKey::generate(&group).expect("a key");
    PKey::from_ec_key(key).expect("a key")
}

/// The chain that a client gets.
fn served(identity: Identity) -> Result<Vec<Vec<u8>>, Error> {
    let acceptor = BoringAcceptor::new(&TlsConfig::new(identity))?;
    let mut pair = Pair::open(&acceptor, Peer::Tls(TlsVersion::TLS_1_3));
    let chain = pair.client.connection().peer_certificates();
    let chain = chain.expect("a chain").iter();
    Ok(chain.map(|it| it.to_vec()).collect())
}

#[test]
fn every_pem_key_format_is_served() {
    let ec = ec();
    let rsa = PKey::from_rsa(Rsa::generate(2048).expect("a key")).expect("a key");
    let sec1 = ec.ec_key().and_then(|key| key.private_key_to_der());
    let pkcs1 = rsa.rsa().and_then(|key| key.private_key_to_der());
    let pkcs8 = |key: &PKey<Private>| key.private_key_to_der_pkcs8().expect("PKCS#8");
    let ed25519 = KeyPair::generate_for(&rcgen::PKCS_ED25519).expect("a key");
    // rcgen writes PKCS#8 of version 2, with the public key behind the private one.
    let version_1 = [&[0x30, 0x2e, 2, 1, 0], &ed25519.serialize_der()[5..48]].concat();
    for (own, label, der) in [
        (
            key_pair(&ec, &rcgen::PKCS_ECDSA_P256_SHA256),
            "PRIVATE KEY",
            pkcs8(&ec),
        ),
        (
            key_pair(&ec, &rcgen::PKCS_ECDSA_P256_SHA256),
            "EC PRIVATE KEY",
            sec1.expect("SEC1"),
        ),
        (
            key_pair(&rsa, &rcgen::PKCS_RSA_SHA256),
            "PRIVATE KEY",
            pkcs8(&rsa),
        ),
        (
            key_pair(&rsa, &rcgen::PKCS_RSA_SHA256),
            "RSA PRIVATE KEY",
            pkcs1.expect("PKCS#1"),
        ),
        (ed25519, "PRIVATE KEY", version_1),
    ] {
        let made = certificate(&own);
        let identity = Identity::from_pem(made.pem(), pem(label, &der)).expect("PEM");
        assert_eq!(served(identity).expect(label), [made.der().to_vec()]);
    }
}

#[test]
fn pkcs12_is_served_whole_and_a_wrong_password_is_reported() {
    let key = ec();
    let issuer_key = KeyPair::generate().expect("a key");
    let issuer = CertificateParams::new([]).expect("no names");
    let authority = issuer.self_signed(&issuer_key).expect("signed");
    let issuer = Issuer::new(issuer, issuer_key);
    let params = CertificateParams::new(["localhost".to_owned()]).expect("a name");
    let own = params
        .signed_by(&key_pair(&key, &rcgen::PKCS_ECDSA_P256_SHA256), &issuer)
        .expect("signed");
    let x509 = |it: &rcgen::Certificate| X509::from_der(it.der()).expect("X.509");
    let mut issuers = Stack::new().expect("a stack");
    issuers.push(x509(&authority)).expect("pushed");
    let mut builder = Pkcs12::builder();
    builder.ca(issuers);
    let file = builder.build("secret", "name", &key, &x509(&own));
    let file = file.and_then(|file| file.to_der()).expect("PKCS#12");
    let chain = served(Identity::from_pkcs12(file.clone(), "secret")).expect("served");
    assert_eq!(chain, [&own, &authority].map(|it| it.der().to_vec()));
    let error = served(Identity::from_pkcs12(file, "wrong")).expect_err("refused");
    assert!(error.is_config() && error.to_string().contains("password"));
    let error = served(Identity::from_pkcs12(*b"nonsense", "")).expect_err("refused");
    assert!(error.is_config(), "{error}");
}

#[test]
fn unusable_keys_are_explained_and_files_are_named() {
    let own = KeyPair::generate().expect("a key");
    let made = certificate(&own);
    let other = KeyPair::generate().expect("a key");
    let dir = std::env::temp_dir().join(format!("corelane-boring-{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("a directory");
    let (cert, key) = (dir.join("cert.pem"), dir.join("key.pem"));
    std::fs::write(&cert, made.pem()).expect("written");
    let refused = |text: String| {
        std::fs::write(&key, text).expect("written");
        let identity = Identity::from_pem_files(&cert, &key).expect("PEM");
        let error = served(identity).expect_err("refused");
        assert!(error.is_config(), "{error:?}");
        error.to_string()
    };
    let mismatch = refused(other.serialize_pem());
    assert!(mismatch.contains("another certificate"), "{mismatch}");
    assert!(mismatch.contains("cert.pem") && mismatch.contains("key.pem"));
    let damaged = refused(pem("PRIVATE KEY", b"nonsense"));
    assert!(damaged.contains("damaged"), "{damaged}");
    // Ed448 (RFC 8410).
    let mut ed448 = vec![
        0x30, 0x47, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x71, 4, 0x3b, 4, 0x39,
    ];
    ed448.extend([7; 57]);
    let unknown = refused(pem("PRIVATE KEY", &ed448));
    assert!(unknown.contains("it accepts RSA"), "{unknown}");
    std::fs::remove_dir_all(dir).expect("removed");
}

#[test]
fn options_without_support_are_errors_when_built() {
    let own = KeyPair::generate().expect("a key");
    let made = certificate(&own);
    let identity = Identity::from_pem(made.pem(), own.serialize_pem()).expect("PEM");
    let config = TlsConfig::new(identity);
    let auth = ClientAuth::from_pem(made.pem()).expect("an authority");
    for (config, option) in [
        (
            config.clone().ticket_keys(TicketKeys::random()),
            "ticket keys",
        ),
        (
            config.clone().cipher_suites([CipherSuite(0x1301)]),
            "cipher_suites",
        ),
        (
            config.clone().groups([NamedGroup(0x001e)]),
            "the group x448",
        ),
        (
            config.clone().min_version(TlsVersion(0x0302)),
            "min_version TLS 1.1",
        ),
        (
            config
                .clone()
                .client_auth(auth.crl_pem(list()).expect("a list")),
            "revocation lists",
        ),
    ] {
        let error = BoringAcceptor::new(&config).expect_err("not supported");
        assert!(error.is_unsupported(), "{error:?}");
        let text = error.to_string();
        let begin = format!("boring does not support {option}: ");
        assert!(text.starts_with(&begin), "{text}");
    }
}

/// A revocation list of nothing.
fn list() -> String {
    let mut params = CertificateParams::new([]).expect("no names");
    params.key_usages = vec![rcgen::KeyUsagePurpose::CrlSign];
    let issuer = Issuer::new(params, KeyPair::generate().expect("a key"));
    let list = CertificateRevocationListParams {
        this_update: rcgen::date_time_ymd(2020, 1, 1),
        next_update: rcgen::date_time_ymd(2120, 1, 1),
        crl_number: rcgen::SerialNumber::from(1),
        issuing_distribution_point: None,
        revoked_certs: Vec::new(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    let list = list.signed_by(&issuer).expect("signed");
    list.pem().expect("PEM")
}

/// A server refuses such a client before the session starts; a session that is used without one does too.
#[test]
fn a_client_without_a_common_protocol_gets_alert_120() {
    let own = KeyPair::generate().expect("a key");
    let made = certificate(&own);
    let identity = Identity::from_pem(made.pem(), own.serialize_pem()).expect("PEM");
    let acceptor = BoringAcceptor::new(&TlsConfig::new(identity)).expect("an acceptor");
    for version in [TlsVersion::TLS_1_2, TlsVersion::TLS_1_3] {
        let client = Client::with(client_config(version, &[b"http/1.1"]));
        let mut pair = Pair::begin(&acceptor, client);
        let error = pair.handshake().expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::InvalidData);
        pair.flush();
        let alert = rustls::AlertDescription::NoApplicationProtocol;
        assert_eq!(pair.client.error, Some(rustls::Error::AlertReceived(alert)));
    }
}
