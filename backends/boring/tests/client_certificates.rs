//! Client certificates: alerts, resumption, and the size of tickets.

use std::{io::ErrorKind, sync::Arc};

use corelane::tls::{ClientAuth, Identity, TlsConfig, TlsVersion};
use corelane_backend_tests::{
    client_config,
    session::{Client, Pair},
};
use corelane_boring::BoringAcceptor;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, date_time_ymd,
};
use rustls::{
    AlertDescription, ClientConfig, Error, HandshakeKind,
    crypto::aws_lc_rs::sign::any_supported_type,
    pki_types::PrivateKeyDer,
    sign::{CertifiedKey, SingleCertAndKey},
};

const VERSIONS: [TlsVersion; 2] = [TlsVersion::TLS_1_2, TlsVersion::TLS_1_3];

/// An authority, and what it issues.
struct Authority {
    certificate: rcgen::Certificate,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new([]).expect("no names");
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Self {
            certificate: params.self_signed(&key).expect("signed"),
            issuer: Issuer::new(params, key),
        }
    }

    fn auth(&self) -> ClientAuth {
        ClientAuth::from_pem(self.certificate.pem()).expect("PEM")
    }

    /// A client's certificate with its key.
    fn issue(&self, change: impl FnOnce(&mut CertificateParams)) -> Arc<CertifiedKey> {
        let mut params = CertificateParams::new([]).expect("no names");
        params.distinguished_name.push(DnType::CommonName, "client");
        change(&mut params);
        let key = KeyPair::generate().expect("a key");
        let signed = params.signed_by(&key, &self.issuer).expect("signed");
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let key = any_supported_type(&key).expect("a key");
        Arc::new(CertifiedKey::new(vec![signed.der().clone()], key))
    }
}

fn client(version: TlsVersion, own: &Arc<CertifiedKey>) -> Arc<ClientConfig> {
    let mut config = client_config(version, &[b"h2"]);
    config.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(Arc::clone(own)));
    Arc::new(config)
}

fn acceptor(auth: ClientAuth) -> BoringAcceptor {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]);
    let made = made.expect("a certificate");
    let identity = Identity::from_pem(made.cert.pem(), made.signing_key.serialize_pem());
    let config = TlsConfig::new(identity.expect("PEM")).client_auth(auth);
    BoringAcceptor::new(&config).expect("an acceptor")
}

/// The alert that a refused client gets.
fn alert(acceptor: &BoringAcceptor, config: Arc<ClientConfig>) -> AlertDescription {
    let mut pair = Pair::begin(acceptor, Client::with(config));
    let error = loop {
        match pair.handshake() {
            Err(error) if error.kind() == ErrorKind::WouldBlock => pair.client.turn(&mut pair.wire),
            result => break result.expect_err("refused"),
        }
    };
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    pair.flush();
    match pair.client.error {
        Some(Error::AlertReceived(alert)) => alert,
        other => panic!("{other:?}"),
    }
}

#[test]
fn refused_certificates_get_the_alert_of_the_reason() {
    let authority = Authority::new("root");
    let acceptor = acceptor(authority.auth());
    let stranger = Authority::new("another").issue(|_| {});
    let expired = authority.issue(|it| it.not_after = date_time_ymd(2020, 1, 1));
    let not_yet = authority.issue(|it| it.not_before = date_time_ymd(2120, 1, 1));
    let for_servers = authority.issue(|it| {
        it.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    });
    for version in VERSIONS {
        for (own, expected) in [
            (&stranger, AlertDescription::UnknownCA),
            (&expired, AlertDescription::CertificateExpired),
            (&not_yet, AlertDescription::CertificateExpired),
            (&for_servers, AlertDescription::UnsupportedCertificate),
        ] {
            let got = alert(&acceptor, client(version, own));
            assert_eq!(got, expected, "{version}");
        }
        let got = alert(&acceptor, Arc::new(client_config(version, &[b"h2"])));
        let missing = match version {
            TlsVersion::TLS_1_2 => AlertDescription::HandshakeFailure,
            _ => AlertDescription::CertificateRequired,
        };
        assert_eq!(got, missing, "{version}");
    }
}

/// Connects with this client, and tells whether the session resumed.
fn visit(acceptor: &BoringAcceptor, config: &Arc<ClientConfig>, own: &CertifiedKey) -> bool {
    let mut pair = Pair::begin(acceptor, Client::with(Arc::clone(config)));
    pair.shake_hands();
    // BoringSSL sends its tickets with the first data.
    pair.write_all(b"data");
    let negotiated = pair.session.negotiated();
    assert_eq!(negotiated.peer_certificates.len(), own.cert.len());
    assert_eq!(negotiated.peer_certificates[0], own.cert[0].as_ref());
    assert_eq!(negotiated.peer_subject.as_deref(), Some("CN=client"));
    let kind = pair.client.connection().handshake_kind();
    kind == Some(HandshakeKind::Resumed)
}

#[test]
fn a_resumed_session_has_the_chain_of_its_full_handshake() {
    let authority = Authority::new("root");
    let own = authority.issue(|_| {});
    let acceptors = [authority.auth(), authority.auth().optional()].map(acceptor);
    for version in VERSIONS {
        let config = client(version, &own);
        assert!(!visit(&acceptors[0], &config, &own), "{version}");
        assert!(visit(&acceptors[0], &config, &own), "{version}");
        // Under another policy.
        assert!(!visit(&acceptors[1], &config, &own), "{version}");
    }
}

#[test]
fn an_authority_that_another_one_has_issued_is_trusted() {
    let root = Authority::new("root");
    let mut params = CertificateParams::new([]).expect("no names");
    params
        .distinguished_name
        .push(DnType::CommonName, "between");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    let between = Authority {
        certificate: params.signed_by(&key, &root.issuer).expect("signed"),
        issuer: Issuer::new(params, key),
    };
    let acceptor = acceptor(between.auth());
    let own = between.issue(|_| {});
    for version in VERSIONS {
        assert!(!visit(&acceptor, &client(version, &own), &own));
        let others = client(version, &root.issue(|_| {}));
        assert_eq!(alert(&acceptor, others), AlertDescription::UnknownCA);
    }
}

/// The ticket would not fit into a ClientHello that the server reads.
#[test]
fn a_large_certificate_gets_no_ticket() {
    let authority = Authority::new("root");
    let large = |size: usize| {
        authority.issue(|it| {
            let oid = [1, 3, 6, 1, 4, 1, 99_999];
            it.custom_extensions
                .push(CustomExtension::from_oid_content(&oid, vec![5; size]));
        })
    };
    let acceptor = acceptor(authority.auth());
    for (size, resumes) in [(7_000, true), (20_000, false)] {
        let own = large(size);
        let config = client(TlsVersion::TLS_1_3, &own);
        assert!(!visit(&acceptor, &config, &own));
        assert_eq!(visit(&acceptor, &config, &own), resumes, "{size} bytes");
    }
}
