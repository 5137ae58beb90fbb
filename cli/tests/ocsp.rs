//! `--ocsp`: OCSP responses in files, their reload, and what the command tells of their end.
#![cfg(any(
    feature = "aws-lc-rs",
    feature = "ring",
    feature = "native-tls",
    feature = "openssl"
))]

mod support;

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use support::{
    admin::{admin, metrics, sum},
    certificates::{BACKENDS, Certificate, Files, Running, in_runtime, wait_for},
    command,
    ocsp::{Authority, Issued, Status, between},
    refusal,
    trusting::{Anyone, config_of, connect_to},
};
use tokio::net::TcpStream;
use tokio_rustls::rustls::{
    DigitallySignedStruct, Error, SignatureScheme, SupportedProtocolVersion,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName, UnixTime},
    version::{TLS12, TLS13},
};

const HOUR: Duration = Duration::from_secs(3600);

/// The backends that send OCSP responses.
fn backends() -> impl Iterator<Item = &'static str> {
    BACKENDS.iter().copied().filter(|it| *it != "native-tls")
}

/// Keeps the response that the server sends.
#[derive(Debug)]
struct Asking {
    anyone: Anyone,
    response: Mutex<Vec<u8>>,
}

impl ServerCertVerifier for Asking {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        *self.response.lock().expect("whole") = response.to_vec();
        let anyone = &self.anyone;
        anyone.verify_server_cert(end_entity, intermediates, name, response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.anyone.verify_tls12_signature(message, cert, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.anyone.verify_tls13_signature(message, cert, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.anyone.supported_verify_schemes()
    }
}

/// What a client gets that asks for this server name; empty without a response.
fn stapled_by(
    version: &'static SupportedProtocolVersion,
    addr: SocketAddr,
    name: &'static str,
) -> Vec<u8> {
    let asking = Arc::new(Asking {
        anyone: Anyone(Arc::new(aws_lc_rs::default_provider())),
        response: Mutex::default(),
    });
    let mut client = Arc::unwrap_or_clone(config_of(&[version], b"h2"));
    let mut dangerous = client.dangerous();
    dangerous.set_certificate_verifier(asking.clone());
    in_runtime(async {
        let tcp = TcpStream::connect(addr).await.expect("connects");
        connect_to(name, &Arc::new(client), tcp).await.expect("TLS");
    });
    std::mem::take(&mut *asking.response.lock().expect("whole"))
}

/// Whether clients get this response for `a.test`, at some time.
fn wait_for_response(server: &Running, response: &[u8]) {
    let got = || stapled_by(&TLS13, server.addr(), "a.test") == response;
    wait_for(got, || server.log());
    assert_eq!(stapled(server, "a.test"), response);
}

fn stapled(server: &Running, name: &'static str) -> Vec<u8> {
    let [old, new] = [&TLS12, &TLS13].map(|version| stapled_by(version, server.addr(), name));
    assert!(old == new, "{}", server.log());
    new
}

/// An authority, a certificate and its files.
struct Setup {
    dir: tempfile::TempDir,
    authority: Authority,
    issued: Issued,
    files: Files,
}

impl Setup {
    fn new(issue: impl FnOnce(&Authority) -> Issued) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let authority = Authority::new(&dir.path().join("ca"), "root");
        let issued = issue(&authority);
        let files = files(dir.path(), &authority, &issued);
        Self {
            dir,
            authority,
            issued,
            files,
        }
    }

    fn good(&self) -> Vec<u8> {
        self.authority.response(&self.issued, Status::Good)
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("it.ocsp")
    }

    fn write(&self, response: &[u8]) {
        // In one step, so that the server never reads half of it.
        let new = self.dir.path().join("new");
        fs::write(&new, response).expect("written");
        fs::rename(new, self.path()).expect("renamed");
    }

    fn args(&self, more: &[&str]) -> Vec<String> {
        let path = self.path().to_str().expect("UTF-8").to_owned();
        let args = self.files.args().into_iter();
        let args = args.chain(["--ocsp", &path]).chain(more.iter().copied());
        args.map(str::to_owned).collect()
    }

    fn start(&self, more: &[&str]) -> Running {
        let args = self.args(more);
        let args: Vec<_> = args.iter().map(String::as_str).collect();
        Running::start(self.dir.path(), &args)
    }

    /// Whether a server would start, and the messages of `corelane check`.
    fn check(&self, more: &[&str]) -> (bool, String) {
        let output = command(&["check", "--quiet"])
            .args(self.args(more))
            .output();
        let output = output.expect("runs");
        let text = String::from_utf8(output.stderr).expect("text");
        (output.status.success(), text)
    }
}

fn files(dir: &Path, authority: &Authority, issued: &Issued) -> Files {
    let certificate = Certificate {
        der: issued.der.clone(),
        pem: format!("{}{}", issued.pem, authority.pem),
        key: issued.key.clone(),
    };
    Files::of(dir, &certificate)
}

#[test]
fn each_certificate_gets_the_response_at_its_place() {
    let setup = Setup::new(|authority| authority.issue("a.test", 1));
    let [b, c] =
        [("b.test", 2), ("c.test", 3)].map(|(name, serial)| setup.authority.issue(name, serial));
    let [b_files, c_files] = [("b", &b), ("c", &c)]
        .map(|(name, issued)| files(&setup.dir.path().join(name), &setup.authority, issued));
    let first = setup.good();
    setup.write(&first);
    let response = setup.authority.response(&c, Status::Good);
    let file = setup.dir.path().join("c.ocsp");
    fs::write(&file, &response).expect("written");
    let file = file.to_str().expect("UTF-8");
    let others = [&b_files.args()[..], &c_files.args()].concat();
    for backend in backends() {
        let more = [
            &others[..],
            &["--ocsp", "none", "--ocsp", file, "--tls", backend],
        ]
        .concat();
        let server = setup.start(&more);
        assert_eq!(stapled(&server, "a.test"), first);
        assert_eq!(stapled(&server, "b.test"), b"");
        assert_eq!(stapled(&server, "c.test"), response);
    }
    let (passes, text) = setup.check(&[&others[..], &["--ocsp", file]].concat());
    let advice = "3 --cert and 2 --ocsp: give one --ocsp for each --cert";
    assert!(!passes && text.contains(advice), "{text}");
    let more = [&others[..], &["--ocsp", file, "--ocsp", "none"]].concat();
    let (passes, text) = setup.check(&more);
    let advice = "serial number 03; that of this one is 02";
    assert!(!passes && text.contains(advice), "{text}");
    assert!(text.contains(file), "{text}");
    let text = refusal(&["--ocsp", file]);
    assert!(text.contains("--cert"), "{text}");
}

#[test]
fn responses_are_reloaded_and_a_bad_one_changes_nothing() {
    let setup = Setup::new(|authority| authority.issue("a.test", 1));
    for backend in backends() {
        let first = setup.good();
        setup.write(&first);
        let server = setup.start(&["--tls", backend, "--reload-certs", "1"]);
        assert_eq!(stapled(&server, "a.test"), first);
        // Its signature is another one.
        let second = setup.good();
        assert_ne!(first, second);
        setup.write(&second);
        wait_for_response(&server, &second);
        setup.write(&setup.authority.response(&setup.issued, Status::Revoked));
        server.corelane.signal("-HUP");
        server.wait_for_log("cannot reload: the server keeps its configuration");
        server.wait_for_log("the certificate is revoked, since 2024-01-02T03:04:05Z");
        assert_eq!(stapled(&server, "a.test"), second);
        let (passes, text) = setup.check(&["--tls", backend]);
        assert!(!passes && text.contains("is revoked"), "{text}");
        let file = setup.path().display().to_string();
        assert!(text.contains(&file), "{text}");
        let third = setup.good();
        setup.write(&third);
        wait_for_response(&server, &third);
    }
}

#[test]
fn a_response_that_expires_is_warned_of_and_no_longer_sent() {
    let setup = Setup::new(|authority| authority.issue("a.test", 1));
    let response = setup.good();
    let file = setup.path().display().to_string();
    let warned = |text: &str, what: &str| {
        text.lines()
            .any(|line| line.contains("WARN") && line.contains(what))
    };
    for backend in backends() {
        let more = ["--tls", backend, "--admin", "0"];
        let now = SystemTime::now();
        // A quarter of its time is left, or a little more.
        for (end, soon) in [(now + 2 * HOUR, true), (now + 4 * HOUR, false)] {
            setup.write(&between(response.clone(), now - 9 * HOUR, end));
            let (passes, text) = setup.check(&more);
            let warns = warned(&text, "the OCSP response expires soon: renew it");
            assert!(passes && warns == soon, "{text}");
            assert!(!soon || warned(&text, &file), "{text}");
        }
        setup.write(&between(response.clone(), now - 9 * HOUR, now - HOUR));
        let server = setup.start(&more);
        assert_eq!(stapled(&server, "a.test"), b"");
        for text in [server.log(), setup.check(&more).1] {
            let what = "the OCSP response has expired";
            assert_eq!(text.matches(what).count(), 1, "{text}");
            assert!(
                warned(&text, what) && text.contains("clients get none"),
                "{text}"
            );
        }
        drop(server);

        let end = SystemTime::now() + Duration::from_secs(5);
        setup.write(&between(response.clone(), now - 9 * HOUR, end));
        let server = setup.start(&more);
        let metric = metrics(admin(&server.corelane));
        let name = "corelane_ocsp_response_next_update_seconds";
        let value = sum(&metric, name, &format!("file=\"{file}\""));
        let end = end.duration_since(SystemTime::UNIX_EPOCH).expect("after");
        assert!((end.as_secs_f64() - value).abs() <= 1.0, "{metric}");
        // When it was loaded, it had not expired.
        server.wait_for_log("the OCSP response expires soon");
        server.wait_for_log("the OCSP response has expired, so clients get none");
        assert_eq!(stapled(&server, "a.test"), b"");
    }
}

#[test]
fn a_certificate_that_needs_a_response_and_has_none_is_warned_of() {
    let setup = Setup::new(|authority| authority.issue_must_staple("a.test", 1));
    setup.write(&setup.good());
    for backend in backends() {
        let (passes, text) = setup.check(&["--tls", backend]);
        assert!(passes && !text.contains("must-staple"), "{text}");
        let args = [
            &["check", "--quiet", "--tls", backend][..],
            &setup.files.args(),
        ]
        .concat();
        let output = command(&args).output().expect("runs");
        let text = String::from_utf8(output.stderr).expect("text");
        assert!(
            output.status.success() && text.contains("must-staple"),
            "{text}"
        );
    }
}

#[cfg(feature = "native-tls")]
#[test]
fn native_tls_refuses_the_option() {
    let setup = Setup::new(|authority| authority.issue("a.test", 1));
    setup.write(&setup.good());
    let (passes, text) = setup.check(&["--tls", "native-tls"]);
    assert!(
        !passes && text.contains("native-tls does not support --ocsp"),
        "{text}"
    );
}
