//! Tests required and optional client certificates.

use std::{net::SocketAddr, sync::Arc, time::SystemTime};

use corelane::{
    Driver, Error,
    tls::{ClientAuth, TicketKeys, TlsAcceptor, TlsConfig},
};
use corelane_test_support::{
    Backend, TestServer,
    certs::identity,
    client::{Tls, deadline, server_name},
    for_each_tls_backend,
    visit::{register, returning, visit},
};
use openssl::x509::X509Crl;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertificateRevocationListParams,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose,
    RevokedCertParams, SerialNumber, date_time_ymd,
};
use rustls::{
    AlertDescription, ClientConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
    sign::{CertifiedKey, SingleCertAndKey},
};
use tokio::io::AsyncReadExt;

for_each_tls_backend!(
    peer_certificate_is_reported_on_full_and_resumed_handshakes,
    missing_certificate_gets_certificate_required_alert,
    optional_mode_accepts_clients_with_and_without_certificate,
    rejected_certificate_gets_matching_alert,
    revoked_certificate_is_rejected,
    session_does_not_resume_under_other_client_auth,
    unusable_client_auth_fails_at_build,
    expired_revocation_list_is_rejected_or_allowed,
    revocation_list_from_the_future_is_used,
    subject_is_reported_on_full_and_resumed_handshakes,
    certificates_between_are_used_and_reported,
    trusted_authority_needs_no_revocation_list,
    axum_handler_sees_peer_certificate,
);

const VERSIONS: [Tls; 2] = [Tls::V1_2, Tls::V1_3];

/// A list that `openssl ca -gencrl` made without crl_extensions.
const VERSION_1: &str = "\
-----BEGIN X509 CRL-----\n\
MIGbMEMwCgYIKoZIzj0EAwIwFzEVMBMGA1UEAwwMaW50ZXJtZWRpYXRlFw0yNjEx\n\
MzAwMTU3NTRaFw0yNjEyMzAwMTU3NTRaMAoGCCqGSM49BAMCA0gAMEUCIQD3tEt/\n\
VIeF0TxgrGcVU4+1ZzfniDMxXInj0V3ehVK0JwIgF4hknwOO3rHyNeJTjIWgNZAp\n\
bQd4dpfwT70zj726XG8=\n\
-----END X509 CRL-----\n\
";

/// An authority that issues certificates to clients.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: Certificate,
}

/// A client's certificate and key.
struct Client {
    certificate: Certificate,
    key: KeyPair,
}

impl Authority {
    fn new(name: &str) -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new([]).expect("parameters");
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key).expect("a certificate");
        Self {
            issuer: Issuer::new(params, key),
            certificate,
        }
    }

    /// An authority that this one certifies.
    fn below(&self, name: &str) -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new([]).expect("parameters");
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.signed_by(&key, &self.issuer).expect("issued");
        Self {
            issuer: Issuer::new(params, key),
            certificate,
        }
    }

    fn issue(&self, serial: u64, change: impl FnOnce(&mut CertificateParams)) -> Client {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new([]).expect("parameters");
        params.serial_number = Some(serial.into());
        change(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).expect("issued");
        Client { certificate, key }
    }

    fn revoke(&self, serials: &[u64], until: i32) -> String {
        self.revoke_from(2024, serials, until)
    }

    fn revoke_from(&self, from: i32, serials: &[u64], until: i32) -> String {
        let revoked = |&serial: &u64| RevokedCertParams {
            serial_number: SerialNumber::from(serial),
            revocation_time: date_time_ymd(2024, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(from, 1, 1),
            next_update: date_time_ymd(until, 1, 1),
            crl_number: 1.into(),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        list.signed_by(&self.issuer)
            .expect("signed")
            .pem()
            .expect("PEM")
    }

    /// A list whose extension crlNumber (RFC 5280 section 5.2.3) is changed to deltaCRLIndicator (section
    /// 5.2.4), which rcgen cannot make.
    fn delta(&self) -> String {
        let list = X509Crl::from_pem(self.revoke(&[], 4000).as_bytes());
        let mut der = list.and_then(|list| list.to_der()).expect("a list");
        let mut identifiers = der.windows(3);
        let number = identifiers.position(|bytes| bytes == [0x55, 0x1d, 20]);
        der[number.expect("an extension") + 2] = 27;
        let pem = X509Crl::from_der(&der).and_then(|list| list.to_pem());
        String::from_utf8(pem.expect("a list")).expect("ASCII")
    }

    fn auth(&self) -> ClientAuth {
        ClientAuth::from_pem(self.certificate.pem()).expect("PEM")
    }
}

impl Client {
    fn config(&self, tls: Tls) -> Arc<ClientConfig> {
        config(tls, self.certificate.der().clone(), &self.key)
    }
}

fn config(tls: Tls, certificate: CertificateDer<'static>, key: &KeyPair) -> Arc<ClientConfig> {
    config_with_chain(tls, vec![certificate], key)
}

fn config_with_chain(
    tls: Tls,
    chain: Vec<CertificateDer<'static>>,
    key: &KeyPair,
) -> Arc<ClientConfig> {
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let key = aws_lc_rs::sign::any_supported_type(&key).expect("a key");
    let certified = CertifiedKey::new(chain, key);
    let mut config = returning(tls);
    config.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(certified));
    Arc::new(config)
}

/// Every acceptor uses the same ticket key.
fn make(backend: Backend, auth: Option<ClientAuth>) -> Result<Arc<dyn TlsAcceptor>, Error> {
    let mut config = TlsConfig::new(identity()).client_auth(auth);
    if backend.name != "native-tls" {
        let key = *b"the key of all servers of a test";
        config.ticket_keys = Some(TicketKeys::from_bytes(&[key]).expect("a key"));
    }
    (backend.make)(&config)
}

/// `None` if the backend does not support client certificates and says so.
fn serve(backend: Backend, auth: ClientAuth) -> Option<TestServer> {
    let made = make(backend, Some(auth));
    if backend.name != "native-tls" {
        let acceptor = made.expect("an acceptor");
        return Some(TestServer::start(acceptor, Driver::Epoll, register));
    }
    let error = made.err().expect("native-tls cannot ask");
    assert!(error.is_unsupported(), "{error}");
    assert!(error.to_string().contains("client certificates"), "{error}");
    None
}

/// The alert that ends the connection, during or after the handshake.
fn alert(addr: SocketAddr, config: &Arc<ClientConfig>) -> AlertDescription {
    deadline(async {
        let tcp = tokio::net::TcpStream::connect(addr)
            .await
            .expect("connects");
        let connector = tokio_rustls::TlsConnector::from(Arc::clone(config));
        let error = match connector.connect(server_name(), tcp).await {
            Err(error) => error,
            Ok(mut tls) => tls.read(&mut [0; 100]).await.expect_err("refused"),
        };
        let alert = error.get_ref().and_then(|inner| inner.downcast_ref());
        match alert {
            Some(rustls::Error::AlertReceived(alert)) => *alert,
            _ => panic!("no alert: {error}"),
        }
    })
}

/// The alert for a client without the required certificate. Under TLS 1.2, OpenSSL sends the one of RFC
/// 5246 section 7.4.6 in place of the newer one.
fn certificate_required(backend: Backend, tls: Tls) -> AlertDescription {
    match (backend.name, tls) {
        ("openssl", Tls::V1_2) => AlertDescription::HandshakeFailure,
        _ => AlertDescription::CertificateRequired,
    }
}

fn peer_certificate_is_reported_on_full_and_resumed_handshakes(backend: Backend) {
    let authority = Authority::new("clients");
    let Some(server) = serve(backend, authority.auth()) else {
        return;
    };
    let client = authority.issue(1, |_| {});
    for tls in VERSIONS {
        let config = client.config(tls);
        for resumed in [false, true, true] {
            let seen = visit(server.addr, &config);
            assert_eq!(seen.resumed, resumed, "{tls:?}");
            assert_eq!(
                seen.certificates,
                [client.certificate.der().to_vec()],
                "{tls:?}"
            );
        }
    }
}

fn missing_certificate_gets_certificate_required_alert(backend: Backend) {
    let Some(server) = serve(backend, Authority::new("clients").auth()) else {
        return;
    };
    for tls in VERSIONS {
        let alert = alert(server.addr, &Arc::new(returning(tls)));
        assert_eq!(alert, certificate_required(backend, tls), "{tls:?}");
    }
    server.wait_for("both are counted", |counters| {
        counters.handshakes_failed == 2 && counters.client_certificates_refused == 2
    });
}

fn optional_mode_accepts_clients_with_and_without_certificate(backend: Backend) {
    let authority = Authority::new("clients");
    let Some(server) = serve(backend, authority.auth().optional()) else {
        return;
    };
    let stranger = Authority::new("others").issue(1, |_| {});
    let client = authority.issue(1, |_| {});
    for tls in VERSIONS {
        let without = visit(server.addr, &Arc::new(returning(tls)));
        assert_eq!(without.certificates, Vec::<Vec<u8>>::new(), "{tls:?}");
        let with = visit(server.addr, &client.config(tls));
        assert_eq!(
            with.certificates,
            [client.certificate.der().to_vec()],
            "{tls:?}"
        );
        // A certificate that the client sends has to be valid.
        let alert = alert(server.addr, &stranger.config(tls));
        assert_eq!(alert, AlertDescription::UnknownCA, "{tls:?}");
    }
}

fn rejected_certificate_gets_matching_alert(backend: Backend) {
    let authority = Authority::new("clients");
    let Some(server) = serve(backend, authority.auth()) else {
        return;
    };
    let stranger = Authority::new("others").issue(1, |_| {});
    let expired = authority.issue(2, |params| params.not_after = date_time_ymd(2020, 1, 1));
    let not_yet = authority.issue(3, |params| params.not_before = date_time_ymd(4000, 1, 1));
    let for_servers = authority.issue(4, |params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    });
    for tls in VERSIONS {
        for (client, expected) in [
            (&stranger, AlertDescription::UnknownCA),
            (&expired, AlertDescription::CertificateExpired),
            (&not_yet, AlertDescription::CertificateExpired),
            (&for_servers, AlertDescription::UnsupportedCertificate),
        ] {
            assert_eq!(alert(server.addr, &client.config(tls)), expected, "{tls:?}");
        }
        let nonsense = CertificateDer::from(b"nonsense".to_vec());
        let nonsense = config(tls, nonsense, &expired.key);
        let alert = alert(server.addr, &nonsense);
        let expected = match backend.name {
            "openssl" => AlertDescription::DecodeError,
            _ => AlertDescription::BadCertificate,
        };
        assert_eq!(alert, expected, "{tls:?}");
    }
    server.wait_for("all are counted", |counters| {
        counters.client_certificates_refused == 10
    });
}

fn revoked_certificate_is_rejected(backend: Backend) {
    let authority = Authority::new("clients");
    let (good, bad) = (authority.issue(7, |_| {}), authority.issue(8, |_| {}));
    let with = |list: String| authority.auth().crl_pem(list).expect("PEM");
    let Some(before) = serve(backend, with(authority.revoke(&[], 4000))) else {
        return;
    };
    let after = serve(backend, with(authority.revoke(&[8], 4000))).expect("as before");
    let stale = serve(backend, with(authority.revoke(&[8], 2025))).expect("as before");
    let ends = |list: String| with(list).crl_next_update().expect("a list that ends");
    assert!(ends(authority.revoke(&[], 4000)) > SystemTime::now());
    let both = [4000, 2025].map(|until| authority.revoke(&[], until));
    assert!(ends(both.concat()) < SystemTime::now());
    assert_eq!(authority.auth().crl_next_update(), None);
    let others = Authority::new("others").revoke(&[], 4000);
    let unknown = serve(backend, with(others)).expect("as before");
    for tls in VERSIONS {
        let (good, bad) = (good.config(tls), bad.config(tls));
        for client in [&good, &bad] {
            assert!(!visit(before.addr, client).resumed);
            assert!(visit(before.addr, client).resumed, "{tls:?}");
        }
        // The client has a ticket, and the server knows its key.
        let revoked = alert(after.addr, &bad);
        assert_eq!(revoked, AlertDescription::CertificateRevoked, "{tls:?}");
        assert!(!visit(after.addr, &good).resumed, "{tls:?}");
        for server in [&stale, &unknown] {
            let alert = alert(server.addr, &good);
            assert_eq!(alert, AlertDescription::UnknownCA, "{tls:?}");
        }
    }
}

/// Server name, server certificate and ticket keys are the same on all servers.
fn session_does_not_resume_under_other_client_auth(backend: Backend) {
    let (authority, other) = (Authority::new("clients"), Authority::new("others"));
    let Some(required) = serve(backend, authority.auth()) else {
        return;
    };
    let start = |auth: Option<ClientAuth>| {
        let acceptor = make(backend, auth).expect("an acceptor");
        TestServer::start(acceptor, Driver::Epoll, register)
    };
    let without_auth = start(None);
    let optional = start(Some(authority.auth().optional()));
    let others = start(Some(other.auth()));
    let same = start(Some(authority.auth()));
    for tls in VERSIONS {
        for lax in [&without_auth, &optional] {
            let without = Arc::new(returning(tls));
            assert!(!visit(lax.addr, &without).resumed);
            let alert = alert(required.addr, &without);
            assert_eq!(alert, certificate_required(backend, tls), "{tls:?}");
        }
        let client = authority.issue(1, |_| {}).config(tls);
        assert!(!visit(required.addr, &client).resumed);
        assert_eq!(
            alert(others.addr, &client),
            AlertDescription::UnknownCA,
            "{tls:?}"
        );
        assert!(visit(same.addr, &client).resumed, "{tls:?}");
    }
}

fn unusable_client_auth_fails_at_build(backend: Backend) {
    let authority = Authority::new("clients");
    for (list, wanted) in [
        (authority.delta(), "it is a delta list"),
        (VERSION_1.to_owned(), "it is version 1"),
    ] {
        let auth = authority.auth().crl_pem(list).expect("a list");
        let made = make(backend, Some(auth));
        if backend.name == "openssl" && wanted.contains("version 1") {
            made.expect("an acceptor");
            continue;
        }
        let error = made.err().expect("refused");
        if backend.name == "native-tls" {
            assert!(error.is_unsupported(), "{error}");
            continue;
        }
        assert!(error.is_config(), "{error}");
        let text = corelane::Chain(&error).to_string();
        assert!(
            text.starts_with("the PEM of revocation lists, list 1: ") && text.contains(wanted),
            "{text}"
        );
    }
}

/// Under `allow` an expired list still revokes.
fn expired_revocation_list_is_rejected_or_allowed(backend: Backend) {
    let authority = Authority::new("clients");
    let (good, bad) = (authority.issue(7, |_| {}), authority.issue(8, |_| {}));
    let with = |serials: &[u64]| {
        let list = authority.revoke(serials, 2025);
        authority.auth().crl_pem(list).expect("PEM")
    };
    // One value: each call signs another list.
    let none_revoked = with(&[]);
    let listed = none_revoked.revocation_lists().to_vec();
    assert_eq!(listed.len(), 1);
    assert!(listed[0].issuer.starts_with("CN=clients"), "{listed:?}");
    assert!(
        listed[0].next_update < Some(SystemTime::now()),
        "{listed:?}"
    );
    let Some(before) = serve(backend, none_revoked.clone().allow_expired_crls()) else {
        return;
    };
    let allowed = serve(backend, with(&[8]).allow_expired_crls()).expect("as before");
    let rejected = serve(backend, none_revoked).expect("as before");
    for tls in VERSIONS {
        let (good, bad) = (good.config(tls), bad.config(tls));
        for client in [&good, &bad] {
            assert!(!visit(before.addr, client).resumed);
        }
        assert!(!visit(allowed.addr, &good).resumed, "{tls:?}");
        let revoked = alert(allowed.addr, &bad);
        assert_eq!(revoked, AlertDescription::CertificateRevoked, "{tls:?}");
        // The ticket of the lax server does not open.
        visit(before.addr, &good);
        let expired = alert(rejected.addr, &good);
        assert_eq!(expired, AlertDescription::UnknownCA, "{tls:?}");
    }
}

/// Its authority's clock may be ahead.
fn revocation_list_from_the_future_is_used(backend: Backend) {
    let authority = Authority::new("clients");
    let list = authority.revoke_from(3999, &[8], 4000);
    let Some(server) = serve(backend, authority.auth().crl_pem(list).expect("PEM")) else {
        return;
    };
    let (good, bad) = (authority.issue(7, |_| {}), authority.issue(8, |_| {}));
    for tls in VERSIONS {
        assert!(!visit(server.addr, &good.config(tls)).resumed);
        let revoked = alert(server.addr, &bad.config(tls));
        assert_eq!(revoked, AlertDescription::CertificateRevoked, "{tls:?}");
    }
}

fn subject_is_reported_on_full_and_resumed_handshakes(backend: Backend) {
    let authority = Authority::new("clients");
    let Some(server) = serve(backend, authority.auth().optional()) else {
        return;
    };
    let client = authority.issue(1, |params| {
        params.distinguished_name = rcgen::DistinguishedName::new();
        let name = &mut params.distinguished_name;
        name.push(rcgen::DnType::OrganizationName, "Example, Inc");
        name.push(rcgen::DnType::CommonName, "client 1");
    });
    for tls in VERSIONS {
        let config = client.config(tls);
        for resumed in [false, true] {
            let seen = visit(server.addr, &config);
            assert_eq!(seen.resumed, resumed, "{tls:?}");
            let subject = seen.subject.as_deref();
            assert_eq!(subject, Some("CN=client 1,O=Example\\, Inc"), "{tls:?}");
        }
        let without = visit(server.addr, &Arc::new(returning(tls)));
        assert_eq!(without.subject, None, "{tls:?}");
    }
}

fn certificates_between_are_used_and_reported(backend: Backend) {
    let root = Authority::new("root");
    let between = root.below("between");
    let client = between.issue(1, |_| {});
    let Some(server) = serve(backend, root.auth()) else {
        return;
    };
    let own = client.certificate.der().clone();
    let sent = vec![own.clone(), between.certificate.der().clone()];
    let chain: Vec<_> = sent.iter().map(|der| der.to_vec()).collect();
    for tls in VERSIONS {
        let config = config_with_chain(tls, sent.clone(), &client.key);
        let seen = visit(server.addr, &config);
        assert_eq!(seen.certificates, chain, "{tls:?}");
        assert!(visit(server.addr, &config).resumed);
        // The session of a resumed one.
        let again = visit(server.addr, &config);
        assert!(again.resumed, "{tls:?}");
        assert_eq!(again.certificates, chain, "{tls:?}");
        let alert = alert(
            server.addr,
            &config_with_chain(tls, vec![own.clone()], &client.key),
        );
        assert_eq!(alert, AlertDescription::UnknownCA, "{tls:?}");
    }
}

/// The bundle has an authority that another one certified, of which there is no list.
fn trusted_authority_needs_no_revocation_list(backend: Backend) {
    let root = Authority::new("root");
    let between = root.below("between");
    let auth = between.auth().crl_pem(between.revoke(&[8], 4000));
    let Some(server) = serve(backend, auth.expect("PEM")) else {
        return;
    };
    let (good, bad) = (between.issue(7, |_| {}), between.issue(8, |_| {}));
    for tls in VERSIONS {
        assert!(!visit(server.addr, &good.config(tls)).resumed);
        let alert = alert(server.addr, &bad.config(tls));
        assert_eq!(alert, AlertDescription::CertificateRevoked, "{tls:?}");
    }
    // With the root in the bundle, the authority between is not trusted by itself.
    let auth = root.auth().crl_pem(between.revoke(&[], 4000));
    let server = serve(backend, auth.expect("PEM")).expect("as before");
    let chain = vec![
        good.certificate.der().clone(),
        between.certificate.der().clone(),
    ];
    for tls in VERSIONS {
        let alert = alert(
            server.addr,
            &config_with_chain(tls, chain.clone(), &good.key),
        );
        assert_eq!(alert, AlertDescription::UnknownCA, "{tls:?}");
    }
}

fn axum_handler_sees_peer_certificate(backend: Backend) {
    use axum::{Extension, Router, routing};
    use corelane::ConnectionInfo;

    async fn answer(Extension(connection): Extension<Arc<ConnectionInfo>>) -> String {
        let negotiated = &connection.negotiated;
        let certificate = negotiated.peer_certificate().expect("required");
        let digits: String = certificate
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let resumed = negotiated.resumed == Some(true);
        format!("{} {resumed} {digits}", connection.worker)
    }

    let authority = Authority::new("clients");
    let Ok(acceptor) = make(backend, Some(authority.auth())) else {
        assert_eq!(backend.name, "native-tls");
        return;
    };
    let router = Router::new().route("/", routing::get(answer));
    let service = corelane::with_connection_info(router);
    let server = TestServer::start(acceptor, Driver::Epoll, move |_| service.clone());
    let client = authority.issue(1, |_| {});
    let seen = visit(server.addr, &client.config(Tls::Any));
    assert_eq!(seen.certificates, [client.certificate.der().to_vec()]);
}
