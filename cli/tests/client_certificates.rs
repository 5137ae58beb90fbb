//! Client certificates and revocation lists of the command, on each backend that has them.
#![cfg(any(feature = "aws-lc-rs", feature = "ring", feature = "openssl"))]

mod support;

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, date_time_ymd};
use support::{
    DEADLINE,
    access_log::lines,
    authority::Authority,
    certificates::{Files, Running, ask, certificate, in_runtime, wait_for},
    command,
    trusting::{config, config_of, connect_by},
};
use tokio_rustls::rustls::{
    ClientConfig, HandshakeKind,
    version::{TLS12, TLS13},
};

/// Runs test bodies, `fn(&str)`, once for each backend that has client certificates.
macro_rules! on_each_backend {
    ($($test:ident),* $(,)?) => {
        #[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
        mod on_rustls {
            $(#[test]
            fn $test() {
                super::$test("rustls");
            })*
        }

        #[cfg(feature = "openssl")]
        mod on_openssl {
            $(#[test]
            fn $test() {
                super::$test("openssl");
            })*
        }
    };
}

on_each_backend!(
    each_client_gets_its_alert_and_the_log_has_the_reason,
    changed_lists_authorities_and_ticket_keys_are_noticed,
    a_list_that_expires_is_warned_of_at_each_load_and_in_time,
    an_expired_list_is_used_if_allowed,
    the_end_of_each_list_is_a_metric,
    the_metric_of_a_list_that_is_no_longer_used_is_nan,
    the_json_access_log_has_the_subject_of_the_client,
);

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The files of a server with client certificates.
struct Setup {
    tls: String,
    dir: tempfile::TempDir,
    files: Files,
}

impl Setup {
    fn new(tls: &str, authority: &Authority, list: &str) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let setup = Self {
            tls: tls.to_owned(),
            files: Files::of(dir.path(), &certificate("localhost")),
            dir,
        };
        setup.write("ca.pem", &authority.pem);
        setup.write("clients.crl", list);
        setup
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        // In one step, so that the server never reads half of it.
        fs::write(self.path("new"), text).expect("written");
        fs::rename(self.path("new"), self.path(name)).expect("renamed");
    }

    fn args(&self, more: &[&str]) -> Vec<String> {
        let text = |path: &Path| path.to_str().expect("UTF-8").to_owned();
        let mut args = vec!["--tls".to_owned(), self.tls.clone()];
        args.extend(self.files.args().map(str::to_owned));
        for (flag, name) in [("--client-ca", "ca.pem"), ("--client-crl", "clients.crl")] {
            args.extend([flag.to_owned(), text(&self.path(name))]);
        }
        args.extend(more.iter().map(|&more| more.to_owned()));
        args
    }

    fn start(&self, more: &[&str]) -> Running {
        let args = self.args(more);
        let args: Vec<_> = args.iter().map(String::as_str).collect();
        Running::start(self.dir.path(), &args)
    }

    /// The warnings of `corelane check`.
    fn check(&self, more: &[&str]) -> String {
        let checked = command(&["check"]).args(self.args(more)).output();
        String::from_utf8(checked.expect("runs").stderr).expect("text")
    }
}

/// Whether the session resumed, or why there was no answer.
fn visit(addr: SocketAddr, client: &Arc<ClientConfig>) -> Result<bool, String> {
    in_runtime(async {
        let tcp = tokio::net::TcpStream::connect(addr).await;
        let tls = connect_by(client, tcp.expect("connects")).await;
        let tls = tls.map_err(|error| error.to_string())?;
        let kind = tls.get_ref().1.handshake_kind();
        let opened = h2::client::handshake(tls).await;
        let (requests, connection) = opened.map_err(|error| error.to_string())?;
        tokio::spawn(connection);
        ask(&requests).await?;
        Ok(kind == Some(HandshakeKind::Resumed))
    })
}

fn each_client_gets_its_alert_and_the_log_has_the_reason(tls: &str) {
    let (root, stranger) = (Authority::new("clients"), Authority::new("strangers"));
    let between = root.below("between");
    let lists = [root.list(&[8], DAY), between.list(&[], DAY)];
    let setup = Setup::new(tls, &root, &lists.concat());
    let server = setup.start(&[]);
    let expired = |params: &mut CertificateParams| params.not_after = date_time_ymd(2020, 1, 1);
    let not_yet = |params: &mut CertificateParams| params.not_before = date_time_ymd(4000, 1, 1);
    let revoked = |params: &mut CertificateParams| params.serial_number = Some(8.into());
    let for_servers = |params: &mut CertificateParams| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    };
    for version in [&TLS12, &TLS13] {
        let none = config_of(&[version], b"h2");
        let of = |by: &Authority, change: &dyn Fn(&mut CertificateParams), more: &[&Authority]| {
            by.client_by(&none, |params| change(params), more)
        };
        visit(server.addr(), &of(&root, &|_| {}, &[])).expect("served");
        visit(server.addr(), &of(&between, &|_| {}, &[&between])).expect("served");
        let other = of(&stranger, &|_| {}, &[]);
        let incomplete = of(&between, &|_| {}, &[]);
        let [expired, not_yet] = [of(&root, &expired, &[]), of(&root, &not_yet, &[])];
        let [revoked, usage] = [of(&root, &revoked, &[]), of(&root, &for_servers, &[])];
        // The words of rustls, and those of OpenSSL.
        for (client, alert, words) in [
            (&none, "CertificateRequired", ["sent no", "no usable"]),
            (&other, "UnknownCA", ["UnknownIssuer", "unable to get"]),
            (&incomplete, "UnknownCA", ["UnknownIssuer", "unable to get"]),
            (&expired, "CertificateExpired", ["expired", "has expired"]),
            (
                &not_yet,
                "CertificateExpired",
                ["not valid", "not yet valid"],
            ),
            (&revoked, "CertificateRevoked", ["Revoked", "revoked"]),
            (&usage, "UnsupportedCertificate", ["usage", "purpose"]),
        ] {
            let known = server.log().len();
            let error = visit(server.addr(), client).expect_err("refused");
            assert!(error.contains(alert), "{error}, not {alert}");
            let word = words[usize::from(tls == "openssl")];
            wait_for(
                || server.log()[known..].contains(word),
                || format!("{word}: {}", server.log()),
            );
        }
    }
}

fn changed_lists_authorities_and_ticket_keys_are_noticed(tls: &str) {
    let (authority, other) = (Authority::new("clients"), Authority::new("others"));
    let setup = Setup::new(tls, &authority, &authority.list(&[], DAY));
    setup.write("ticket.keys", &"a1b2".repeat(16));
    let keys = setup.path("ticket.keys");
    let keys = ["--ticket-keys", keys.to_str().expect("UTF-8")];
    let server = setup.start(&[&keys[..], &["--reload-certs", "1"]].concat());
    let reloaded = |times: usize| {
        let count = || server.log().matches("certificates reloaded").count();
        wait_for(|| count() == times, || server.log());
    };
    let (good, bad) = (authority.client("good", 7), authority.client("bad", 8));
    assert_eq!(visit(server.addr(), &good), Ok(false));
    assert_eq!(visit(server.addr(), &good), Ok(true));
    assert_eq!(visit(server.addr(), &bad), Ok(false));

    setup.write("ticket.keys", &"c3d4".repeat(16));
    reloaded(1);
    assert_eq!(visit(server.addr(), &good), Ok(false), "its key is gone");

    setup.write("clients.crl", &authority.list(&[8], DAY));
    reloaded(2);
    visit(server.addr(), &bad).expect_err("revoked");
    visit(server.addr(), &good).expect("as before");

    setup.write("ca.pem", &format!("{}{}", authority.pem, other.pem));
    let lists = [&authority, &other].map(|one| one.list(&[], DAY)).concat();
    setup.write("clients.crl", &lists);
    let third = other.client("third", 1);
    wait_for(|| visit(server.addr(), &third).is_ok(), || server.log());
}

fn a_list_that_expires_is_warned_of_at_each_load_and_in_time(tls: &str) {
    let authority = Authority::new("clients");
    let setup = Setup::new(tls, &authority, &authority.list(&[], 6 * DAY));
    let file = setup.path("clients.crl").display().to_string();
    let server = setup.start(&[]);
    server.wait_for_log("a revocation list expires soon");
    for log in [setup.check(&[]), server.log()] {
        let mut lines = log.lines().filter(|line| line.contains("WARN"));
        let found = lines.any(|line| {
            let words = [
                "a revocation list expires soon",
                &file,
                "CN=clients",
                "days=5",
            ];
            words.iter().all(|word| line.contains(word))
        });
        assert!(found, "{log}");
    }
    setup.write("clients.crl", &authority.list(&[], 8 * DAY));
    assert!(!setup.check(&[]).contains("revocation list"));

    // It expires while the server runs.
    let ten_seconds = Duration::from_secs(10);
    setup.write("clients.crl", &authority.list(&[], ten_seconds));
    let server = setup.start(&[]);
    let client = authority.client("client", 7);
    // When it was loaded, it had not expired.
    server.wait_for_log("a revocation list expires soon");
    server.wait_for_log("a revocation list has expired, so clients of its authority are refused");
    wait_for(|| visit(server.addr(), &client).is_err(), || server.log());
}

fn an_expired_list_is_used_if_allowed(tls: &str) {
    let authority = Authority::new("clients");
    let expired = authority.list(&[8], Duration::ZERO);
    let setup = Setup::new(tls, &authority, &expired);
    let clients = [authority.client("good", 7), authority.client("bad", 8)];
    for (more, good_is_served, warning) in [
        (&[][..], false, "so clients of its authority are refused"),
        (
            &["--client-crl-expired", "reject"],
            false,
            "so clients of its authority are refused",
        ),
        (
            &["--client-crl-expired", "allow"],
            true,
            "is used by --client-crl-expired allow",
        ),
    ] {
        let server = setup.start(more);
        let [good, bad] = clients
            .each_ref()
            .map(|one| visit(server.addr(), one).is_ok());
        assert_eq!((good, bad), (good_is_served, false), "{more:?}");
        server.wait_for_log(warning);
        assert!(setup.check(more).contains(warning), "{more:?}");
    }
    let output = command(&["check", "--client-crl-expired", "allow"]).output();
    let message = String::from_utf8(output.expect("runs").stderr).expect("text");
    assert!(message.contains("--client-crl"), "{message}");
}

const LIST: &str = "corelane_revocation_list_next_update_seconds{";

fn metrics(server: &Running) -> String {
    let admin = server.corelane.printed("metrics: http://");
    let mut stream = TcpStream::connect(admin.trim_end_matches("/metrics")).expect("connects");
    stream.set_read_timeout(Some(DEADLINE)).expect("set");
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n")
        .expect("sent");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer");
    text
}

fn the_end_of_each_list_is_a_metric(tls: &str) {
    let (authority, other) = (Authority::new("clients"), Authority::new("others"));
    let lists = [authority.list(&[], 3 * DAY), other.list(&[], 9 * DAY)];
    let setup = Setup::new(tls, &authority, &lists.concat());
    let server = setup.start(&["--admin", "0"]);
    let text = metrics(&server);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now = now.expect("after 1970").as_secs_f64();
    let file = setup.path("clients.crl").display().to_string();
    for (issuer, days) in [("CN=clients", 3.0), ("CN=others", 9.0)] {
        let mut lines = text.lines();
        let line = lines.find(|line| {
            line.starts_with(LIST)
                && line.contains(&format!("file=\"{file}\""))
                && line.contains(issuer)
        });
        let (_, value) = line.expect(&text).rsplit_once(' ').expect("a value");
        let left = value.parse::<f64>().expect("a number") - now;
        assert!((left / 86_400.0 - days).abs() < 0.01, "{issuer}: {left}");
    }
}

/// A reload can read a configuration without it.
fn the_metric_of_a_list_that_is_no_longer_used_is_nan(tls: &str) {
    let authority = Authority::new("clients");
    let setup = Setup::new(tls, &authority, &authority.list(&[], 3 * DAY));
    let (cert, key, ca) = (&setup.files.cert, &setup.files.key, setup.path("ca.pem"));
    let without = format!("cert = [{cert:?}]\nkey = [{key:?}]\nclient-ca = {ca:?}\n");
    let list = setup.path("clients.crl");
    setup.write(
        "corelane.toml",
        &format!("{without}client-crl = {list:?}\n"),
    );
    let config = setup.path("corelane.toml");
    let config = config.to_str().expect("UTF-8");
    let args = ["--tls", tls, "--admin", "0", "--config", config];
    let server = Running::start(setup.dir.path(), &args);
    let value = || {
        let text = metrics(&server);
        let line = text.lines().find(|line| line.starts_with(LIST));
        let (_, value) = line.expect(&text).rsplit_once(' ').expect("a value");
        value.parse::<f64>().expect("a number")
    };
    assert!(value() > 1e9);
    setup.write("corelane.toml", &without);
    server.corelane.signal("-HUP");
    wait_for(|| value().is_nan(), || server.log());
}

fn the_json_access_log_has_the_subject_of_the_client(tls: &str) {
    let authority = Authority::new("clients");
    let setup = Setup::new(tls, &authority, &authority.list(&[], 30 * DAY));
    let log = setup.path("access.log");
    let path = log.to_str().expect("UTF-8");
    let more = [
        "--client-auth",
        "optional",
        "--access-log",
        path,
        "--access-log-format",
        "json",
    ];
    let server = setup.start(&more);
    let hostile = "x\",\"status\":1,\u{1b}[2J\u{202e}\n".repeat(100);
    for client in [
        authority.client("client 1", 7),
        config(b"h2"),
        authority.client(&hostile, 9),
    ] {
        visit(server.addr(), &client).expect("served");
    }
    let lines = lines(&log, 3);
    assert_eq!(lines.len(), 3, "{lines:?}");
    let subjects: Vec<_> = lines
        .iter()
        .map(|line| {
            assert!(
                line.chars().all(|c| !c.is_control() && c != '\u{202e}'),
                "{line:?}"
            );
            let object: serde_json::Value = serde_json::from_str(line).expect("JSON");
            assert_eq!(object["status"], 200);
            object["client_subject"].clone()
        })
        .collect();
    assert_eq!(subjects[0], "CN=client 1");
    assert!(subjects[1].is_null());
    let bounded = subjects[2].as_str().expect("text");
    assert!(bounded.starts_with("CN=x\\\"\\,\\\"status"), "{bounded}");
    assert_eq!(bounded.chars().count(), 256 + "...".len());
}

#[cfg(feature = "native-tls")]
#[test]
fn native_tls_refuses_the_options() {
    let authority = Authority::new("clients");
    let setup = Setup::new("native-tls", &authority, &authority.list(&[], DAY));
    let args = setup.args(&["--client-crl-expired", "allow"]);
    let output = command(&["check"]).args(&args).output().expect("runs");
    assert!(!output.status.success());
    let message = String::from_utf8(output.stderr).expect("text");
    assert!(
        message.contains("native-tls does not support client certificates"),
        "{message}"
    );
}
