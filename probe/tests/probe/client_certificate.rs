//! Servers that ask for a client certificate.

use std::time::Duration;

use corelane_probe::{
    CheckResult, CheckedReport, Client, ClientCertificate, Http2, Offer, Outcome, Report, Trust,
    Verdict, probe_blocking,
};
use openssl::{
    pkey::PKey,
    rsa::Rsa,
    ssl::{Ssl, SslStream, SslVerifyMode, SslVersion},
    symm::Cipher,
    x509::X509,
};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer};

use crate::{
    ask::{h2_rows, holds, http2, libraries, options, report, rows},
    certificate::CERTIFICATE,
    server::{self, Choose, Stream, TestServer},
};

/// A server that asks for a client certificate, which has to be the server's own if there is one.
fn asking(
    version: SslVersion,
    choose: Choose,
    mode: SslVerifyMode,
    serve: impl Fn(&mut dyn Stream) + Send + Sync + 'static,
) -> TestServer {
    trusting(&CERTIFICATE.pem, version, choose, mode, serve)
}

/// The same for client certificates of this authority.
fn trusting(
    authority: &str,
    version: SslVersion,
    choose: Choose,
    mode: SslVerifyMode,
    serve: impl Fn(&mut dyn Stream) + Send + Sync + 'static,
) -> TestServer {
    let mut acceptor = server::builder(&CERTIFICATE.pem, &CERTIFICATE.key);
    acceptor
        .set_max_proto_version(Some(version))
        .expect("a version");
    acceptor.set_alpn_select_callback(choose);
    let trusted = X509::from_pem(authority.as_bytes()).expect("PEM");
    acceptor
        .cert_store_mut()
        .add_cert(trusted)
        .expect("a trusted certificate");
    acceptor.set_verify(mode);
    let acceptor = acceptor.build();
    TestServer::start(move |socket| {
        let accepted = acceptor.accept(socket);
        drop(accepted.map(|mut stream| serve(&mut stream)));
    })
}

const REQUIRED: SslVerifyMode = SslVerifyMode::PEER.union(SslVerifyMode::FAIL_IF_NO_PEER_CERT);

fn with_certificate(server: &TestServer, chain: &str, key: &str) -> Report {
    let options = options(Trust::Any).client_certificate(ClientCertificate::new(chain, key));
    let report = probe_blocking(server.addr, "localhost", &options).expect("a report");
    println!("{report}");
    report
}

/// Under TLS 1.3 the refusal comes after the client has completed the handshake, whichever protocol was
/// chosen.
#[test]
fn a_server_that_requires_client_certificates_falls_short() {
    for (version, alert) in [(SslVersion::TLS1_2, 40), (SslVersion::TLS1_3, 116)] {
        let server = asking(version, server::h2_or_http_1_1, REQUIRED, server::h2);
        let report = report(server.addr);
        for offer in ["h2", "h2,http/1.1", "http/1.1", "none"] {
            for row in rows(&report, offer) {
                assert_eq!(row.outcome, Outcome::Alert(alert), "{report}");
                assert_eq!(row.verdict, Verdict::NotJudged);
            }
        }
        assert!(holds(&report, "x-unknown=alert:120"));
        assert!(!holds(&report, "http/1.1"));
        assert_eq!(report.client_certificate_alert, Some(alert));
        assert_eq!(report.without_handshake(), libraries());
        let note = report.note().expect("a note");
        assert!(note.contains("requires a client certificate"), "{note}");
        assert!(note.contains("--client-cert"), "{note}");
        let checked = CheckedReport::new(report, Vec::new());
        assert_eq!(checked.result(), CheckResult::FallsShort);
    }
}

/// SETTINGS may come before the server has read the client's part of the handshake (RFC 8446 section
/// 4.2.10), so they do not show that the server accepts it.
#[test]
fn a_refusal_behind_the_servers_settings_counts() {
    let mut acceptor = server::builder(&CERTIFICATE.pem, &CERTIFICATE.key);
    acceptor.set_max_proto_version(None).expect("a version");
    acceptor.set_alpn_select_callback(server::h2_or_alert);
    acceptor.set_verify(REQUIRED);
    // OpenSSL 3.5 would send a HelloRetryRequest to a client without a share of X25519MLKEM768.
    acceptor.set_groups_list("X25519").expect("a group");
    let context = acceptor.build().into_context();
    let server = TestServer::start(move |socket| {
        let ssl = Ssl::new(&context).expect("a session");
        let mut stream = SslStream::new(ssl, socket).expect("a stream");
        // There is no early data; the call returns behind the ServerHello.
        let early = stream.read_early_data(&mut [0; 1]).expect("a ClientHello");
        assert_eq!(early, 0);
        stream.write_early_data(server::SETTINGS).expect("written");
        assert!(stream.accept().is_err(), "there is no client certificate");
        server::wait(stream.get_mut());
    });
    let mut options = options(Trust::Any);
    options.offers = vec![Offer::defaults().remove(0)];
    let report = probe_blocking(server.addr, "localhost", &options).expect("a report");
    println!("{report}");
    for row in rows(&report, "h2") {
        assert_eq!(row.outcome, Outcome::Alert(116), "{report}");
        assert_eq!(row.verdict, Verdict::NotJudged);
    }
    assert_eq!(report.client_certificate_alert, Some(116));
}

#[test]
fn a_client_certificate_is_sent_if_the_server_asks_for_it() {
    for version in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
        let server = asking(version, server::h2_or_alert, REQUIRED, server::h2);
        let report = with_certificate(&server, &CERTIFICATE.pem, &CERTIFICATE.key);
        let served: Vec<_> = h2_rows(&report)
            .filter(|row| row.outcome != Outcome::Alert(70))
            .collect();
        assert!(served.len() >= 5 * libraries().len());
        for row in served {
            assert_eq!(*http2(row), Http2::Served(200), "{report}");
        }
        assert_eq!(report.client_certificate_alert, None);
        let checked = CheckedReport::new(report, Vec::new());
        assert_eq!(checked.result(), CheckResult::Holds);
    }
}

#[test]
fn a_refused_client_certificate_falls_short() {
    let made = rcgen::generate_simple_self_signed(["other".to_owned()]).expect("a certificate");
    let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    for version in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
        let server = asking(version, server::h2_or_http_1_1, REQUIRED, server::h2);
        let report = with_certificate(&server, &chain, &key);
        let refused = report.client_certificate_alert;
        // OpenSSL says unknown_ca of a self-signed certificate.
        assert_eq!(refused, Some(48), "{report}");
        let checked = CheckedReport::new(report, Vec::new());
        assert_eq!(checked.result(), CheckResult::FallsShort);
    }
}

/// The alert is `decrypt_error`.
#[test]
fn a_client_certificate_with_a_wrong_signature_falls_short() {
    let key = || rcgen::KeyPair::generate().expect("a key");
    let mut authority = CertificateParams::new([]).expect("parameters");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let trusted = authority.self_signed(&key()).expect("a certificate").pem();
    // Of the same name, with another key.
    let impostor = Issuer::new(authority, key());
    let mut client = CertificateParams::new([]).expect("parameters");
    client.distinguished_name.push(DnType::CommonName, "client");
    let key = key();
    let chain = client.signed_by(&key, &impostor).expect("issued").pem();
    for version in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
        let choose = server::h2_or_http_1_1;
        let server = trusting(&trusted, version, choose, REQUIRED, server::h2);
        let report = with_certificate(&server, &chain, &key.serialize_pem());
        assert_eq!(report.client_certificate_alert, Some(51), "{report}");
        let checked = CheckedReport::new(report, Vec::new());
        assert_eq!(checked.result(), CheckResult::FallsShort);
    }
}

/// A certificate that the server only asks for.
#[test]
fn an_optional_client_certificate_changes_nothing() {
    let server = asking(
        SslVersion::TLS1_3,
        server::h2_or_http_1_1,
        SslVerifyMode::PEER,
        server::h2,
    );
    let report = report(server.addr);
    assert!(holds(&report, "h2") && holds(&report, "http/1.1"));
    assert_eq!(report.client_certificate_alert, None);
    assert_eq!(report.note(), None);
    let checked = CheckedReport::new(report, Vec::new());
    assert_eq!(checked.result(), CheckResult::Holds);
}

/// A server of another protocol that neither closes nor sends anything has refused nothing.
#[test]
fn a_server_that_does_not_answer_a_close_has_accepted() {
    let server = asking(
        SslVersion::TLS1_3,
        server::h2_or_http_1_1,
        SslVerifyMode::NONE,
        |_| std::thread::sleep(Duration::from_secs(60)),
    );
    let mut options = options(Trust::Any);
    options.offers = vec![Offer::new([corelane::ProtocolName::HTTP_1_1])];
    options.timeout = Duration::from_secs(30);
    let report = probe_blocking(server.addr, "localhost", &options).expect("a report");
    assert!(holds(&report, "http/1.1"), "{report}");
    assert!(
        report
            .rows
            .iter()
            .all(|row| row.time < Duration::from_secs(15))
    );
}

/// SEC 1 and PKCS#1; native-tls takes PKCS#8 only.
#[test]
fn keys_of_older_forms_are_taken() {
    let ec = PKey::private_key_from_pem(CERTIFICATE.key.as_bytes()).expect("PEM");
    let ec = ec
        .ec_key()
        .expect("ECDSA")
        .private_key_to_pem()
        .expect("PEM");
    let rsa = Rsa::generate(2048).expect("a key");
    let made = rcgen::KeyPair::from_der_and_sign_algo(
        &rustls::pki_types::PrivatePkcs1KeyDer::from(rsa.private_key_to_der().expect("DER")).into(),
        &rcgen::PKCS_RSA_SHA256,
    );
    let params = rcgen::CertificateParams::new(["client".to_owned()]).expect("a name");
    let with_rsa = params
        .self_signed(&made.expect("RSA"))
        .expect("a certificate");
    let rsa = rsa.private_key_to_pem().expect("PEM");
    let server = asking(
        SslVersion::TLS1_3,
        server::h2_or_alert,
        SslVerifyMode::PEER,
        server::h2,
    );
    for (chain, key, form, served) in [
        (&*CERTIFICATE.pem, ec, "BEGIN EC PRIVATE KEY", true),
        // A certificate that the server does not know.
        (&*with_rsa.pem(), rsa, "BEGIN RSA PRIVATE KEY", false),
    ] {
        assert!(String::from_utf8_lossy(&key).contains(form));
        for client in libraries() {
            let mut options =
                options(Trust::Any).client_certificate(ClientCertificate::new(chain, &*key));
            options.clients = vec![client];
            options.offers.truncate(1);
            let report = probe_blocking(server.addr, "localhost", &options);
            if client == Client::NativeTls {
                let error = report.expect_err("PKCS#8 only").to_string();
                assert!(
                    error.contains("PKCS#8") && error.contains("openssl"),
                    "{error}"
                );
                continue;
            }
            let report = report.expect("a report");
            match served {
                true => assert!(holds(&report, "h2"), "{report}"),
                false => assert_eq!(report.rows[0].outcome, Outcome::Alert(48), "{report}"),
            }
        }
    }
}

/// A key with a password would be asked for at the terminal.
#[test]
fn an_encrypted_key_is_an_error() {
    let key = PKey::private_key_from_pem(CERTIFICATE.key.as_bytes()).expect("PEM");
    let key = key
        .private_key_to_pem_pkcs8_passphrase(Cipher::aes_256_cbc(), b"secret")
        .expect("encrypted");
    for client in libraries() {
        let certificate = ClientCertificate::new(&*CERTIFICATE.pem, &*key);
        let mut options = options(Trust::Any).client_certificate(certificate);
        options.clients = vec![client];
        let error = probe_blocking(([127, 0, 0, 1], 1).into(), "localhost", &options);
        let error = error.expect_err("a password");
        assert!(error.is_config());
        assert!(
            error.to_string().contains("key of the client certificate"),
            "{error}"
        );
    }
}

#[test]
fn an_invalid_client_certificate_is_an_error_without_its_key() {
    let other = rcgen::KeyPair::generate().expect("a key").serialize_pem();
    let secret = "MIGHAgEAMBMGByqGSM49AgEG!not-base64!";
    let broken = format!("-----BEGIN PRIVATE KEY-----\n{secret}\n-----END PRIVATE KEY-----\n");
    let one_line = format!("-----BEGIN PRIVATE KEY-----{secret}");
    for client in libraries() {
        for (chain, key, what) in [
            (&*CERTIFICATE.pem, &*other, "cannot be used"),
            (
                &*CERTIFICATE.pem,
                "nonsense",
                "key of the client certificate",
            ),
            (&*CERTIFICATE.pem, &*broken, "valid PEM"),
            (&*CERTIFICATE.pem, &*one_line, "valid PEM"),
            ("nonsense", &*CERTIFICATE.key, "client certificate"),
        ] {
            let mut options =
                options(Trust::Any).client_certificate(ClientCertificate::new(chain, key));
            options.clients = vec![client];
            let addr = ([127, 0, 0, 1], 1).into();
            let error = probe_blocking(addr, "localhost", &options).expect_err(what);
            assert!(error.is_config(), "{error}");
            let mut text = format!("{error} {error:?} {options:?}");
            if let Some(source) = std::error::Error::source(&error) {
                text.push_str(&source.to_string());
            }
            assert!(text.contains(what), "{client}: {text}");
            assert!(
                !text.contains("MIGHAgE") && !text.contains("77, 73, 71"),
                "{text}"
            );
        }
    }
}
