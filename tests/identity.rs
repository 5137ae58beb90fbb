//! Tests identity formats: those that each backend accepts, and the errors for the others.

use corelane::{
    Chain, Error, ProtocolName,
    tls::{Identity, TlsConfig, TlsVersion},
};
use corelane_backend_tests::session::{Client, Pair};
use corelane_test_support::{
    Backend,
    certs::CERTIFICATE,
    client::{Tls, rustls_config},
    for_each_tls_backend,
};
use openssl::{
    dsa::Dsa,
    ec::{Asn1Flag, EcGroup, EcKey},
    hash::MessageDigest,
    nid::Nid,
    pkcs12::Pkcs12,
    pkey::{Id, PKey, Private},
    rsa::Rsa,
    x509::X509,
};

for_each_tls_backend!(
    every_pem_key_format_is_accepted,
    rsa_keys_are_accepted,
    chain_is_sent_whole_and_in_order,
    identity_is_read_from_files,
    pkcs12_is_accepted_or_rejected_with_advice,
    wrong_pkcs12_password_is_reported,
    pkcs12_names_and_expiry_are_read,
    mismatched_key_is_rejected,
    invalid_pem_content_is_rejected,
    keys_that_no_client_accepts_are_rejected_by_name,
    uncommon_keys_are_accepted_or_rejected_by_name,
    ml_dsa_key_is_accepted_or_rejected_by_name,
    certificate_of_version_1_is_accepted_or_unsupported,
    tls_1_3_minimum_is_accepted_or_unsupported,
    minimum_below_tls_1_2_is_rejected,
    resumption_can_be_disabled_or_unsupported,
    non_utf8_alpn_name_is_accepted_or_unsupported,
);

/// Builds an acceptor with the identity and completes a handshake with a client in memory. Returns the
/// certificates that the client gets, in DER.
fn serves(backend: Backend, config: &TlsConfig, client: Tls) -> Result<Vec<Vec<u8>>, Error> {
    let acceptor = (backend.make)(config)?;
    let mut pair = Pair::begin(&*acceptor, Client::with(rustls_config(client, &[b"h2"])));
    pair.shake_hands();
    let chain = pair.client.connection().peer_certificates();
    let chain = chain.expect("a chain").iter();
    Ok(chain.map(|der| der.to_vec()).collect())
}

fn pem(chain: &str, key: impl Into<Vec<u8>>) -> TlsConfig {
    TlsConfig::new(Identity::from_pem(chain, key).expect("labels that are known"))
}

fn ec_key() -> PKey<Private> {
    PKey::private_key_from_pem(CERTIFICATE.key.as_bytes()).expect("a key")
}

fn every_pem_key_format_is_accepted(backend: Backend) {
    let sec1 = ec_key().ec_key().and_then(|key| key.private_key_to_pem());
    // The output of `openssl ecparam -genkey`: parameters first.
    let with_parameters = [
        b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n".to_vec(),
        sec1.clone().expect("SEC1"),
    ]
    .concat();
    for key in [
        CERTIFICATE.key.clone().into_bytes(),
        sec1.expect("SEC1"),
        with_parameters,
    ] {
        serves(backend, &pem(&CERTIFICATE.pem, key), Tls::Any).expect("served");
    }
}

/// A self-signed certificate by OpenSSL, for key types that rcgen cannot make.
fn self_signed(key: &PKey<Private>) -> X509 {
    signed(key, 2)
}

/// `version` is one less than the number that is meant, as in DER.
fn signed(key: &PKey<Private>, version: i32) -> X509 {
    let mut name = openssl::x509::X509NameBuilder::new().expect("a name");
    name.append_entry_by_text("CN", "localhost")
        .expect("a name");
    let name = name.build();
    let mut builder = X509::builder().expect("a builder");
    builder.set_version(version).expect("set");
    builder.set_subject_name(&name).expect("set");
    builder.set_issuer_name(&name).expect("set");
    builder.set_pubkey(key).expect("set");
    let day = |n| openssl::asn1::Asn1Time::days_from_now(n).expect("a time");
    builder.set_not_before(&day(0)).expect("set");
    builder.set_not_after(&day(2)).expect("set");
    let hash = match key.id() {
        // They have their own.
        Id::ED25519 | Id::ED448 => MessageDigest::null(),
        _ => MessageDigest::sha256(),
    };
    builder.sign(key, hash).expect("signed");
    builder.build()
}

fn rsa_keys_are_accepted(backend: Backend) {
    let rsa = Rsa::generate(2048).expect("a key");
    let key = PKey::from_rsa(rsa.clone()).expect("a key");
    let certificate = self_signed(&key).to_pem().expect("PEM");
    let certificate = String::from_utf8(certificate).expect("ASCII");
    let pkcs1 = rsa.private_key_to_pem().expect("PKCS#1");
    let pkcs8 = key.private_key_to_pem_pkcs8().expect("PKCS#8");
    assert!(pkcs1.starts_with(b"-----BEGIN RSA PRIVATE KEY-----"));
    for key in [pkcs1, pkcs8] {
        (backend.make)(&pem(&certificate, key)).expect("an acceptor");
    }
}

fn chain_is_sent_whole_and_in_order(backend: Backend) {
    // The server also sends the second certificate, although it is not the issuer: a server does
    // not verify its chain.
    let other = PKey::from_rsa(Rsa::generate(2048).expect("a key")).expect("a key");
    let second = self_signed(&other).to_pem().expect("PEM");
    let second = String::from_utf8(second).expect("ASCII");
    let chain = format!("{}{second}", CERTIFICATE.pem);
    let leaf = X509::from_pem(CERTIFICATE.pem.as_bytes()).and_then(|leaf| leaf.to_der());
    let issuer = X509::from_pem(second.as_bytes()).and_then(|issuer| issuer.to_der());
    let wanted = [leaf.expect("DER"), issuer.expect("DER")];
    for chain in [
        chain.clone(),
        // As files are in the field: joined without a line break, by an editor of Windows, of an old
        // Mac, with the key in front.
        format!("{}{second}", CERTIFICATE.pem.trim_end()),
        format!("\u{feff}{}", chain.replace('\n', "\r\n")),
        format!("{}\u{feff}{second}", CERTIFICATE.pem),
        chain.replace('\n', "\r"),
        chain.replace('\n', " \t\n\n"),
        format!("{}{chain}", CERTIFICATE.key),
    ] {
        let config = pem(&chain, CERTIFICATE.key.as_str());
        assert_eq!(config.identity.names().expect("names"), ["localhost"]);
        let sent = serves(backend, &config, Tls::Any).expect("served");
        assert!(sent == wanted, "{} certificates for {chain:?}", sent.len());
    }
}

fn identity_is_read_from_files(backend: Backend) {
    let dir = tempfile::tempdir().expect("a directory");
    let (cert, key) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
    std::fs::write(&cert, &CERTIFICATE.pem).expect("written");
    std::fs::write(&key, &CERTIFICATE.key).expect("written");
    let identity = Identity::from_pem_files(&cert, &key).expect("read");
    serves(backend, &TlsConfig::new(identity), Tls::Any).expect("served");
    let swapped = Identity::from_pem_files(&key, &cert).expect_err("swapped");
    let cert = key.display().to_string();
    assert!(
        swapped.to_string().contains(&cert),
        "the file is named: {swapped}"
    );
}

fn pkcs12(password: &str) -> Vec<u8> {
    Pkcs12::builder()
        .name("localhost")
        .pkey(&ec_key())
        .cert(&X509::from_pem(CERTIFICATE.pem.as_bytes()).expect("a certificate"))
        .build2(password)
        .and_then(|file| file.to_der())
        .expect("PKCS#12")
}

fn pkcs12_is_accepted_or_rejected_with_advice(backend: Backend) {
    let config = TlsConfig::new(Identity::from_pkcs12(pkcs12("secret"), "secret"));
    match (backend.name, serves(backend, &config, Tls::Any)) {
        ("native-tls" | "openssl", result) => drop(result.expect("served")),
        (_, result) => {
            let error = result.expect_err("not supported");
            assert!(error.is_unsupported(), "{error}");
            assert!(error.to_string().contains("openssl pkcs12"), "{error}");
        }
    }
}

fn wrong_pkcs12_password_is_reported(backend: Backend) {
    let config = TlsConfig::new(Identity::from_pkcs12(pkcs12("secret"), "wrong"));
    let Err(error) = (backend.make)(&config) else {
        panic!("opened with a wrong password");
    };
    let text = error.to_string();
    assert!(
        error.is_unsupported() || text.contains("the password is wrong"),
        "{text}"
    );
    let config = TlsConfig::new(Identity::from_pkcs12(CERTIFICATE.der.clone(), "secret"));
    let text = refused(backend, &config).to_string();
    assert!(text.contains("PKCS#12"), "{text}");
    assert_is_in_words(&text);
}

fn pkcs12_names_and_expiry_are_read(_backend: Backend) {
    let pem = pem(&CERTIFICATE.pem, CERTIFICATE.key.as_str()).identity;
    let readable = Identity::from_pkcs12(pkcs12("secret"), "secret");
    if !cfg!(any(feature = "native-tls", feature = "openssl")) {
        let error = readable.names().expect_err("not supported");
        assert!(error.is_unsupported(), "{error}");
        assert!(error.to_string().contains("openssl pkcs12"), "{error}");
        return;
    }
    assert_eq!(readable.names().expect("names"), ["localhost"]);
    assert_eq!(
        readable.not_after().expect("a time"),
        pem.not_after().expect("a time")
    );
    let error = Identity::from_pkcs12(pkcs12("secret"), "wrong").names();
    let error = error.expect_err("a wrong password").to_string();
    assert!(error.contains("password"), "{error}");
}

fn refused(backend: Backend, config: &TlsConfig) -> Error {
    match (backend.make)(config) {
        Ok(_) => panic!("{} took it", backend.name),
        Err(error) => error,
    }
}

fn mismatched_key_is_rejected(backend: Backend) {
    let other = rcgen::KeyPair::generate().expect("a key").serialize_pem();
    let rsa = Rsa::generate(2048).and_then(|key| key.private_key_to_pem());
    let rsa = String::from_utf8(rsa.expect("PKCS#1")).expect("ASCII");
    let issuer = rcgen::generate_simple_self_signed(["issuer".to_owned()]).expect("a certificate");
    let misordered = format!("{}{}", issuer.cert.pem(), CERTIFICATE.pem);
    for (chain, key, parts) in [
        (&CERTIFICATE.pem, &other, &["give its own key"][..]),
        (
            &CERTIFICATE.pem,
            &rsa,
            &["RSA of 2048 bits", "ECDSA on P-256"],
        ),
        (&misordered, &CERTIFICATE.key, &["comes first in the chain"]),
    ] {
        let dir = tempfile::tempdir().expect("a directory");
        let (cert_file, key_file) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
        std::fs::write(&cert_file, chain).expect("written");
        std::fs::write(&key_file, key).expect("written");
        let files = [&cert_file, &key_file].map(|file| file.display().to_string());
        let read = Identity::from_pem_files(&cert_file, &key_file).expect("PEM");
        for (config, files) in [
            (pem(chain, key.as_str()), &[][..]),
            (TlsConfig::new(read), &files[..]),
        ] {
            let error = refused(backend, &config);
            assert!(error.is_config(), "{error}");
            let text = Chain(&error).to_string();
            let words = files
                .iter()
                .map(String::as_str)
                .chain(parts.iter().copied());
            for word in words.chain(["belongs to another certificate"]) {
                assert!(text.contains(word), "{text}");
            }
        }
    }
}

fn invalid_pem_content_is_rejected(backend: Backend) {
    let block = |label: &str, base64: &str| {
        format!("-----BEGIN {label}-----\n{base64}\n-----END {label}-----\n")
    };
    let key = block("PRIVATE KEY", "bm9uc2Vuc2U=");
    let certificate = block("CERTIFICATE", "bm9uc2Vuc2U=");
    let sec1 = ec_key().ec_key().and_then(|key| key.private_key_to_pem());
    let sec1 = String::from_utf8(sec1.expect("SEC1")).expect("ASCII");
    let mislabelled = sec1.replace("EC PRIVATE", "RSA PRIVATE");
    let second = format!("{}{certificate}", CERTIFICATE.pem);
    for (chain, key, wanted) in [
        (&CERTIFICATE.pem, &key, "the private key cannot be parsed"),
        (&CERTIFICATE.pem, &mislabelled, "the private key cannot be"),
        (&certificate, &CERTIFICATE.key, "the certificate cannot be"),
        (&second, &CERTIFICATE.key, "certificate 2 of the chain"),
    ] {
        let error = refused(backend, &pem(chain, key.as_str()));
        assert!(error.is_config(), "{error}");
        let text = Chain(&error).to_string();
        assert!(text.contains(wanted), "{text}");
        assert_is_in_words(&text);
    }
}

/// Without the texts of a library or the names of its variants.
fn assert_is_in_words(text: &str) {
    for foreign in [
        "InvalidCertificate",
        "KeyMismatch",
        "unexpected error",
        "Other(",
        "error:",
        "routines",
        "[",
    ] {
        assert!(!text.contains(foreign), "{foreign} in {text}");
    }
}

fn elliptic(curve: Nid, flag: Asn1Flag) -> PKey<Private> {
    let mut group = EcGroup::from_curve_name(curve).expect("a curve");
    group.set_asn1_flag(flag);
    PKey::from_ec_key(EcKey::generate(&group).expect("a key")).expect("a key")
}

fn rsa(bits: u32) -> PKey<Private> {
    PKey::from_rsa(Rsa::generate(bits).expect("a key")).expect("a key")
}

fn config_of(key: &PKey<Private>, certificate: &X509) -> TlsConfig {
    let certificate = String::from_utf8(certificate.to_pem().expect("PEM")).expect("ASCII");
    pem(
        &certificate,
        key.private_key_to_pem_pkcs8().expect("PKCS#8"),
    )
}

fn keys_that_no_client_accepts_are_rejected_by_name(backend: Backend) {
    let explicit = elliptic(Nid::X9_62_PRIME256V1, Asn1Flag::EXPLICIT_CURVE);
    let sec1 = explicit.ec_key().and_then(|key| key.private_key_to_pem());
    let certificate = self_signed(&explicit).to_pem().expect("PEM");
    let certificate = String::from_utf8(certificate).expect("ASCII");
    let dsa = PKey::from_dsa(Dsa::generate(2048).expect("a key")).expect("a key");
    let of = |key: &PKey<Private>| config_of(key, &self_signed(key));
    for (config, parts) in [
        (
            of(&rsa(1024)),
            &["the RSA key has 1024 bits", "accepts 2048 to ", "larger"][..],
        ),
        (of(&rsa(2047)), &["2047 bits"]),
        (of(&explicit), &["explicit", "-param_enc named_curve"]),
        (
            pem(&certificate, sec1.expect("SEC1")),
            &["explicit", "-param_enc named_curve"],
        ),
        (of(&dsa), &["DSA", "accepts RSA of 2048"]),
    ] {
        let error = refused(backend, &config);
        assert!(error.is_config(), "{error}");
        let text = Chain(&error).to_string();
        for part in parts {
            assert!(text.contains(part), "{text}");
        }
        assert_is_in_words(&text);
    }
}

fn uncommon_keys_are_accepted_or_rejected_by_name(backend: Backend) {
    let ring = !cfg!(feature = "aws-lc-rs");
    for (key, name, rustls_accepts) in [
        (
            elliptic(Nid::SECP521R1, Asn1Flag::NAMED_CURVE),
            "ECDSA on P-521",
            !ring,
        ),
        (
            elliptic(Nid::SECP256K1, Asn1Flag::NAMED_CURVE),
            "ECDSA on secp256k1",
            false,
        ),
        (
            elliptic(Nid::BRAINPOOL_P256R1, Asn1Flag::NAMED_CURVE),
            "ECDSA on an uncommon curve",
            false,
        ),
        (PKey::generate_ed25519().expect("a key"), "Ed25519", true),
        (PKey::generate_ed448().expect("a key"), "Ed448", false),
    ] {
        let config = config_of(&key, &self_signed(&key));
        let warnings = config.identity.warnings().expect("readable");
        let of_key: Vec<_> = warnings.iter().filter(|one| one.contains(name)).collect();
        assert_eq!(of_key.len(), 1, "{warnings:?}");
        if backend.name != "rustls" || rustls_accepts {
            (backend.make)(&config).expect("an acceptor");
            continue;
        }
        let error = refused(backend, &config);
        assert!(error.is_config(), "{error}");
        let text = error.to_string();
        assert!(
            text.contains(&format!("the key is {name}, which rustls does not accept")),
            "{text}"
        );
        assert!(text.contains("it accepts RSA of 2048"), "{text}");
    }
}

/// TLS 1.3 only, so native-tls cannot use it.
fn ml_dsa_key_is_accepted_or_rejected_by_name(backend: Backend) {
    for algorithm in [&rcgen::PKCS_ML_DSA_44, &rcgen::PKCS_ML_DSA_87] {
        let key = rcgen::KeyPair::generate_for(algorithm).expect("a key");
        let params = rcgen::CertificateParams::new(["localhost".to_owned()]).expect("a name");
        let certificate = params.self_signed(&key).expect("a certificate");
        let config = pem(&certificate.pem(), key.serialize_pem());
        let has_it = match backend.name {
            "rustls" => cfg!(feature = "aws-lc-rs"),
            "openssl" => openssl::version::number() >= 0x3050_0000,
            _ => false,
        };
        if has_it {
            (backend.make)(&config).expect("an acceptor");
            continue;
        }
        let error = refused(backend, &config);
        let wanted = format!("the key is ML-DSA, which {} does not accept", backend.name);
        assert!(error.to_string().contains(&wanted), "{error}");
    }
}

fn certificate_of_version_1_is_accepted_or_unsupported(backend: Backend) {
    let key = ec_key();
    let config = config_of(&key, &signed(&key, 0));
    let warnings = config.identity.warnings().expect("readable");
    assert!(warnings[0].contains("subjectAltName"), "{warnings:?}");
    if matches!(backend.name, "native-tls" | "openssl") {
        (backend.make)(&config).expect("an acceptor");
        return;
    }
    let error = refused(backend, &config);
    assert!(error.is_unsupported(), "{error}");
    assert!(error.to_string().contains("X.509 version 1"), "{error}");
}

fn tls_1_3_minimum_is_accepted_or_unsupported(backend: Backend) {
    let mut config = pem(&CERTIFICATE.pem, CERTIFICATE.key.as_str());
    config.min_version = TlsVersion::TLS_1_3;
    if backend.tls_1_3 {
        serves(backend, &config, Tls::V1_3).expect("served");
    } else {
        let error = refused(backend, &config);
        assert!(error.is_unsupported(), "{error}");
        let text = error.to_string();
        assert!(
            text.contains(backend.name) && text.contains("min_version"),
            "{text}"
        );
    }
}

fn minimum_below_tls_1_2_is_rejected(backend: Backend) {
    let mut config = pem(&CERTIFICATE.pem, CERTIFICATE.key.as_str());
    config.min_version = TlsVersion(0x0302);
    assert!(refused(backend, &config).is_unsupported());
}

fn resumption_can_be_disabled_or_unsupported(backend: Backend) {
    let mut config = pem(&CERTIFICATE.pem, CERTIFICATE.key.as_str());
    config.session_resumption = false;
    if backend.name == "native-tls" {
        let error = refused(backend, &config);
        assert!(error.is_unsupported(), "{error}");
        assert!(error.to_string().contains("session_resumption"), "{error}");
        return;
    }
    // The same client twice: there is no session to resume.
    let acceptor = (backend.make)(&config).expect("an acceptor");
    let client = rustls_config(Tls::Any, &[b"h2"]);
    for _ in 0..2 {
        let mut pair = Pair::begin(&*acceptor, Client::with(std::sync::Arc::clone(&client)));
        pair.shake_hands();
        assert_eq!(pair.session.negotiated().resumed, Some(false));
    }
}

fn non_utf8_alpn_name_is_accepted_or_unsupported(backend: Backend) {
    let mut config = pem(&CERTIFICATE.pem, CERTIFICATE.key.as_str());
    let name = ProtocolName::new(vec![0xff, 0xfe]).expect("bytes");
    config.alpn_protocols = vec![ProtocolName::H2, name];
    match (backend.name, (backend.make)(&config)) {
        ("native-tls", Err(error)) => assert!(error.is_unsupported(), "{error}"),
        ("native-tls", Ok(_)) => panic!("native-tls takes text only"),
        (_, result) => drop(result.expect("an acceptor")),
    }
}
