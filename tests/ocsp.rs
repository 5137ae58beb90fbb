//! Tests that servers send the OCSP response of their certificate to clients that ask for it.
#![cfg(any(
    feature = "aws-lc-rs",
    feature = "ring",
    feature = "native-tls",
    feature = "openssl"
))]

use std::{
    fs,
    net::{SocketAddr, TcpStream},
    sync::Arc,
    time::{Duration, SystemTime},
};

use corelane::{
    Chain, Driver, Error,
    tls::{Identity, ServerNameAcceptor, TlsAcceptor, TlsConfig},
};
use corelane_test_support::{
    Backend, TestServer,
    client::{DEADLINE, Tls},
    for_each_tls_backend,
    ocsp::{Authority, Issued, Status, between},
    visit::register,
};
use openssl::ssl::{Ssl, SslContext, SslMethod, SslVerifyMode, SslVersion, StatusType};

for_each_tls_backend!(
    clients_that_ask_get_the_response,
    each_server_name_has_its_own_response,
    a_response_that_is_not_valid_is_not_sent,
    a_response_that_expires_is_no_longer_sent,
);

/// Its encoding begins with a zero.
const SERIAL: u64 = 0x8123_4567_89ab_cdef;
const HOUR: Duration = Duration::from_secs(3600);

fn authority(name: &str) -> (tempfile::TempDir, Authority) {
    let dir = tempfile::tempdir().expect("a directory");
    let authority = Authority::new(dir.path(), name);
    (dir, authority)
}

fn identity(issued: &Issued, authority: &Authority) -> Identity {
    let chain = format!("{}{}", issued.pem, authority.pem);
    Identity::from_pem(chain, issued.key.as_str()).expect("PEM")
}

/// `None` if the backend does not support OCSP responses and says so.
fn acceptor(backend: Backend, identity: &Identity) -> Option<Arc<dyn TlsAcceptor>> {
    let made = (backend.make)(&TlsConfig::new(identity.clone()));
    if backend.name != "native-tls" {
        return Some(made.expect("an acceptor"));
    }
    let error = made.err().expect("it cannot");
    assert!(error.is_unsupported(), "{error}");
    assert!(error.to_string().contains("OCSP responses"), "{error}");
    None
}

fn serve(backend: Backend, identity: &Identity) -> Option<TestServer> {
    let acceptor = acceptor(backend, identity)?;
    Some(TestServer::start(acceptor, Driver::Epoll, register))
}

/// The response that a client gets, if it asks for one.
fn stapled(addr: SocketAddr, tls: Tls, name: &str, asks: bool) -> Option<Vec<u8>> {
    let version = match tls {
        Tls::V1_2 => SslVersion::TLS1_2,
        _ => SslVersion::TLS1_3,
    };
    let mut client = SslContext::builder(SslMethod::tls_client()).expect("a context");
    client.set_verify(SslVerifyMode::NONE);
    client.set_max_proto_version(Some(version)).expect("set");
    client.set_alpn_protos(b"\x02h2").expect("set");
    let mut ssl = Ssl::new(&client.build()).expect("a session");
    ssl.set_hostname(name).expect("set");
    if asks {
        ssl.set_status_type(StatusType::OCSP).expect("set");
    }
    let tcp = TcpStream::connect(addr).expect("connects");
    tcp.set_read_timeout(Some(DEADLINE)).expect("a time-out");
    let tls = ssl.connect(tcp).expect("a handshake");
    tls.ssl().ocsp_status().map(<[u8]>::to_vec)
}

fn clients_that_ask_get_the_response(backend: Backend) {
    let (_dir, authority) = authority("root");
    let issued = authority.issue("localhost", SERIAL);
    let identity = identity(&issued, &authority);
    for hash in ["-sha1", "-sha256"] {
        let response = authority.response_by(&issued, Status::Good, hash);
        let with = identity.clone().with_ocsp_response(&response);
        let with = with.expect("it is about this certificate");
        assert_ne!(with, identity);
        assert_eq!(with.warnings().expect("readable"), [""; 0]);
        let Some(server) = serve(backend, &with) else {
            return;
        };
        for &tls in Tls::of(backend) {
            let got = |asks| stapled(server.addr, tls, "localhost", asks);
            assert_eq!(got(true).as_deref(), Some(&response[..]), "{tls:?}");
            assert_eq!(got(false), None, "{tls:?}");
        }
    }
    let without = serve(backend, &identity).expect("no response to send");
    for &tls in Tls::of(backend) {
        assert_eq!(stapled(without.addr, tls, "localhost", true), None);
    }
}

fn each_server_name_has_its_own_response(backend: Backend) {
    let (_dir, authority) = authority("root");
    let (a, b) = (authority.issue("a.test", 1), authority.issue("b.test", 2));
    let responses = [&a, &b].map(|it| authority.response(it, Status::Good));
    let [first, second] = [(&a, &responses[0]), (&b, &responses[1])].map(|(issued, response)| {
        let identity = identity(issued, &authority);
        identity.with_ocsp_response(response).expect("good")
    });
    let (Some(one), Some(two)) = (acceptor(backend, &first), acceptor(backend, &second)) else {
        return;
    };
    let both = ServerNameAcceptor::new(&first, one).expect("one");
    let both = both.add(&second, two).expect("two");
    let server = TestServer::start(Arc::new(both), Driver::Epoll, register);
    for &tls in Tls::of(backend) {
        for (name, response) in ["a.test", "b.test"].into_iter().zip(&responses) {
            let got = stapled(server.addr, tls, name, true);
            assert_eq!(got.as_ref(), Some(response), "{name}");
        }
    }
}

fn a_response_that_is_not_valid_is_not_sent(backend: Backend) {
    let (_dir, authority) = authority("root");
    let now = SystemTime::now();
    let plain = authority.issue("localhost", SERIAL);
    let must_staple = authority.issue_must_staple("localhost", SERIAL);
    for (issued, effect) in [
        (plain, "clients get none"),
        (must_staple, "refuse the certificate, which needs one"),
    ] {
        let identity = identity(&issued, &authority);
        let response = authority.response(&issued, Status::Good);
        for (begin, end, why) in [
            (
                now - 9 * HOUR,
                now - HOUR,
                "has expired less than a day ago",
            ),
            (now + HOUR, now + 9 * HOUR, "is not valid yet"),
        ] {
            let response = between(response.clone(), begin, end);
            let identity = identity.clone().with_ocsp_response(response);
            let identity = identity.expect("a warning, no error");
            let warnings = identity.warnings().expect("readable");
            let [warning] = &warnings[..] else {
                panic!("{warnings:?}");
            };
            assert!(
                warning.contains(why) && warning.contains(effect),
                "{warning}"
            );
            let Some(server) = serve(backend, &identity) else {
                return;
            };
            for &tls in Tls::of(backend) {
                assert_eq!(stapled(server.addr, tls, "localhost", true), None);
            }
        }
    }
}

fn a_response_that_expires_is_no_longer_sent(backend: Backend) {
    const SECOND: Duration = Duration::from_secs(1);
    let (_dir, authority) = authority("root");
    let issued = authority.issue("localhost", SERIAL);
    let response = authority.response(&issued, Status::Good);
    let begun = SystemTime::now();
    let end = begun + 3 * SECOND;
    let response = between(response, begun - HOUR, end);
    let identity = identity(&issued, &authority).with_ocsp_response(&response);
    let Some(server) = serve(backend, &identity.expect("good")) else {
        return;
    };
    let tls = *Tls::of(backend).last().expect("a version");
    loop {
        let before = SystemTime::now();
        let got = stapled(server.addr, tls, "localhost", true);
        // `end` has no fraction of a second in the response.
        if SystemTime::now() < end - SECOND {
            assert_eq!(got.as_ref(), Some(&response));
        } else if before > end {
            return assert_eq!(got, None);
        }
        std::thread::yield_now();
    }
}

#[test]
fn responses_in_files_are_der_or_pem() {
    let (dir, authority) = authority("root");
    let issued = authority.issue("localhost", SERIAL);
    let identity = identity(&issued, &authority);
    let response = authority.response(&issued, Status::Good);
    let base64 = openssl::base64::encode_block(&response);
    let pem = format!("-----BEGIN OCSP RESPONSE-----\n{base64}\n-----END OCSP RESPONSE-----\n");
    let file = dir.path().join("it.ocsp");
    let read = || identity.clone().with_ocsp_response_file(&file);
    for content in [&response[..], pem.as_bytes()] {
        fs::write(&file, content).expect("written");
        let read = read().expect("a good response");
        let got = read.ocsp_response().expect("given");
        assert_eq!(got.der(), response);
        assert!(got.is_current());
        let valid = got
            .next_update
            .expect("given")
            .duration_since(got.this_update);
        assert_eq!(valid.expect("later"), 7 * 24 * HOUR);
    }
    let refusal = |content: &[u8]| {
        fs::write(&file, content).expect("written");
        let error = read().expect_err("refused");
        assert!(error.is_config(), "{error}");
        let text = Chain(&error).to_string();
        assert!(text.contains(&file.display().to_string()), "{text}");
        text
    };
    for (content, why) in [
        (&b""[..], "it is empty"),
        (b"text", "it is not PEM"),
        (issued.pem.as_bytes(), "it contains a certificate"),
        (&response[..99], "cannot be parsed"),
        (&issued.der, "cannot be parsed"),
        ((pem.clone() + &pem).as_bytes(), "several OCSP responses"),
        (&[0x30, 3, 10, 1, 3], "answered with the error tryLater"),
        (&[0x30, 3, 10, 1, 6], "answered with the error unauthorized"),
    ] {
        let text = refusal(content);
        assert!(text.contains(why), "{text}");
    }
    fs::remove_file(&file).expect("removed");
    let text = read().expect_err("no file").to_string();
    assert!(text.contains(&file.display().to_string()), "{text}");
}

#[test]
fn only_a_good_response_about_the_certificate_is_accepted() {
    let (_dir, own) = authority("root");
    let issued = own.issue("localhost", SERIAL);
    let refusal = |response: Vec<u8>| {
        let identity = identity(&issued, &own);
        let error = identity.with_ocsp_response(response).expect_err("refused");
        assert!(error.is_config(), "{error}");
        error.to_string()
    };
    let text = refusal(own.response(&issued, Status::Revoked));
    assert!(
        text.contains("revoked, since 2024-01-02T03:04:05Z, for the reason keyCompromise"),
        "{text}"
    );
    let text = refusal(own.response(&issued, Status::Unknown));
    assert!(text.contains("does not know the certificate"), "{text}");
    let another = own.issue("localhost", 0x1234);
    let text = refusal(own.response(&another, Status::Good));
    assert!(
        text.contains("serial number 1234; that of this one is 8123456789abcdef"),
        "{text}"
    );
    // An authority of the same name has another key.
    for name in ["another", "root"] {
        let (_dir, other) = authority(name);
        let same = other.issue("localhost", SERIAL);
        let text = refusal(other.response(&same, Status::Good));
        assert!(text.contains("of another authority"), "{name}: {text}");
    }
    let text = refusal(own.response_by(&issued, Status::Good, "-sha512"));
    assert!(text.contains("2.16.840.1.101.3.4.2.3"), "{text}");
}

/// Without the issuer in the chain, its name decides.
#[test]
fn a_chain_without_the_issuer_is_compared_by_name() {
    let (_dir, own) = authority("root");
    let issued = own.issue("localhost", SERIAL);
    let alone = Identity::from_pem(issued.pem.as_str(), issued.key.as_str()).expect("PEM");
    let good = own.response(&issued, Status::Good);
    alone
        .clone()
        .with_ocsp_response(good)
        .expect("its issuer's");
    let (_dir, other) = authority("another");
    let same = other.issue("localhost", SERIAL);
    let other = alone.with_ocsp_response(other.response(&same, Status::Good));
    let refused: Error = other.expect_err("another issuer");
    assert!(refused.to_string().contains("of another authority"));
}

#[test]
fn a_certificate_that_needs_a_response_and_has_none_is_warned_of() {
    let (_dir, authority) = authority("root");
    let issued = authority.issue_must_staple("localhost", SERIAL);
    let identity = identity(&issued, &authority);
    let warnings = identity.warnings().expect("readable");
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(
        warnings[0].contains("must-staple, RFC 7633"),
        "{warnings:?}"
    );
    let response = authority.response(&issued, Status::Good);
    let with = identity.with_ocsp_response(response).expect("good");
    assert_eq!(with.warnings().expect("readable"), [""; 0]);
}
