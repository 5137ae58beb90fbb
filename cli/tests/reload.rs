//! `corelane reload` and SIGHUP: what changes, what is left, and how the result is told.
#![cfg(any(
    feature = "aws-lc-rs",
    feature = "ring",
    feature = "native-tls",
    feature = "openssl"
))]

mod support;

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    process::Output,
};

use http::{Request, StatusCode};

use support::{
    BACKENDS, Corelane,
    certificates::{Files, certificate, sent, wait_for},
    client::{asked, connect, run},
    command,
    program_dir::{ProgramDir, until},
};

const DRIVERS: [&str; 2] = ["auto", "epoll"];

/// A server with a configuration file, and with its log in a file.
struct Configured {
    dir: ProgramDir,
    server: Corelane,
}

impl Configured {
    fn start(name: &str, flags: &[&str], configuration: &str) -> Self {
        let dir = ProgramDir::make(name);
        fs::write(dir.directory.join("toml"), configuration).expect("written");
        let mut command = dir.command(flags);
        command.arg("--config").arg(dir.directory.join("toml"));
        command.stderr(fs::File::create(dir.directory.join("log")).expect("a file"));
        let server = Corelane::start_by(command);
        Self { dir, server }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.directory.join("log")).expect("a log")
    }

    /// A thread of its own writes it.
    fn wait_for_log(&self, text: &str) {
        wait_for(|| self.log().contains(text), || self.log());
    }

    fn reload(&self, configuration: &str) -> Output {
        fs::write(self.dir.directory.join("toml"), configuration).expect("written");
        let mut reload = command(&["reload", "--pid-file"]);
        let output = reload.arg(self.dir.pid_file()).output();
        output.expect("the command runs")
    }

    fn reloads(&self, configuration: &str) -> String {
        let output = self.reload(configuration);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("text")
    }

    fn fails_to_reload(&self, configuration: &str) -> String {
        let output = self.reload(configuration);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        String::from_utf8(output.stderr).expect("text")
    }

    /// The text of /metrics.
    fn metrics(&self) -> String {
        let url = self.server.printed("metrics: http://");
        let addr: SocketAddr = url
            .trim_end_matches("/metrics")
            .parse()
            .expect("an address");
        let mut stream = TcpStream::connect(addr).expect("connects");
        let request = "GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).expect("sent");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("text");
        text
    }

    fn metric(&self, name: &str) -> f64 {
        let text = self.metrics();
        let value = text.lines().find_map(|line| line.strip_prefix(name));
        let value = value.unwrap_or_else(|| panic!("{name} is not in {text}"));
        value.trim().parse().expect("a number")
    }
}

/// The status of a request with a body of ten bytes, on a new connection.
fn status_of_ten_bytes(addr: SocketAddr, backend: &str) -> StatusCode {
    run(async {
        let mut requests = connect(addr, backend).await.ready().await.expect("ready");
        let request = Request::post("http://localhost/drain").body(());
        let sent = requests.send_request(request.expect("a request"), false);
        let (response, mut body) = sent.expect("sent");
        body.send_data("ten bytes!".into(), true).expect("sent");
        response.await.expect("answered").status()
    })
}

#[test]
fn a_reload_changes_what_it_can_and_names_the_rest() {
    for &backend in BACKENDS {
        for driver in DRIVERS {
            let name = format!("reload-{backend}-{driver}");
            let before = format!("tls = {backend:?}\ndriver = {driver:?}\n");
            let running = Configured::start(&name, &[], &before);
            let (addr, id) = (running.server.addr(), running.server.id());
            assert_eq!(status_of_ten_bytes(addr, backend), StatusCode::OK);
            let text = running.reloads(&format!(
                "{before}max-request-body = 9\nworkers = 3\naccess-log = \"/nowhere/log\"\n"
            ));
            assert_eq!(
                text,
                format!(
                    "process {id} has reloaded\n\
                     not changed: --access-log needs a restart or `corelane upgrade`\n"
                ),
                "a flag sets --workers"
            );
            running.wait_for_log("--access-log needs a restart");
            let too_large = StatusCode::PAYLOAD_TOO_LARGE;
            assert_eq!(status_of_ten_bytes(addr, backend), too_large);
            running.reloads(&format!("{before}max-request-body = 9\nverbose = 2\n"));
            assert_eq!(status_of_ten_bytes(addr, backend), too_large);
            running.wait_for_log("connection opened");
            running.reloads(&before);
            assert_eq!(status_of_ten_bytes(addr, backend), StatusCode::OK);
        }
    }
}

#[test]
fn a_broken_configuration_changes_nothing_and_is_explained() {
    for &backend in BACKENDS {
        let admin = ["--admin", "127.0.0.1:0"];
        let before = format!("tls = {backend:?}\n");
        let small = format!("{before}max-request-body = 9\n");
        let running = Configured::start(&format!("broken-{backend}"), &admin, &small);
        let addr = running.server.addr();
        let successful = "corelane_config_last_reload_successful ";
        let at = "corelane_config_last_reload_success_timestamp_seconds ";
        assert!((running.metric(successful) - 1.0).abs() < f64::EPSILON);
        let started = running.metric(at);
        let no_ca = match backend {
            "none" => "remove --client-ca",
            _ => "/nowhere/ca.pem",
        };
        for (wrong, reason) in [
            ("max-frame = 1", "--max-frame is 1"),
            ("idle-timeuot = 5", "toml:2: unknown key \"idle-timeuot\""),
            ("= 5", "toml:2: invalid TOML"),
            ("client-ca = \"/nowhere/ca.pem\"", no_ca),
        ] {
            let message = running.fails_to_reload(&format!("{before}{wrong}\n"));
            assert!(message.contains("keeps its configuration"), "{message}");
            assert!(message.contains(reason), "{message}");
            let got = status_of_ten_bytes(addr, backend);
            assert_eq!(got, StatusCode::PAYLOAD_TOO_LARGE, "{wrong}");
        }
        wait_for(|| running.metric(successful) == 0.0, || running.metrics());
        assert!((running.metric(at) - started).abs() < f64::EPSILON);
        running.reloads(&before);
        wait_for(|| running.metric(successful) == 1.0, || running.metrics());
        assert!(running.metric(at) > started);
        assert_eq!(status_of_ten_bytes(addr, backend), StatusCode::OK);
    }
}

#[test]
fn a_reload_can_name_other_certificates_and_watches_them() {
    for &backend in support::certificates::BACKENDS {
        let certificates = ["one", "two", "three"].map(|_| certificate("localhost"));
        let dir = tempfile::tempdir().expect("a directory");
        let files = [0, 1].map(|i| {
            let dir = dir.path().join(i.to_string());
            Files::of(&dir, &certificates[i])
        });
        let of = |i: usize| {
            let (cert, key) = (&files[i].cert, &files[i].key);
            format!("tls = {backend:?}\ncert = {cert:?}\nkey = {key:?}\n")
        };
        let running = Configured::start(&format!("other-cert-{backend}"), &[], &of(0));
        let addr = running.server.addr();
        let sends = |i: usize| sent(addr, "localhost").as_deref() == Ok(&certificates[i].der[..]);
        assert!(sends(0));
        running.reloads(&format!("{}reload-certs = 1\n", of(1)));
        assert!(sends(1));
        files[1].write(&certificates[2]);
        wait_for(|| sends(2), || running.log());
    }
}

#[test]
fn a_reload_changes_the_times_of_a_shutdown() {
    let running = Configured::start("times", &[], "tls = \"none\"\n");
    let addr = running.server.addr();
    running.reloads("tls = \"none\"\nshutdown-delay = 86400\n");
    running.server.signal("-TERM");
    until("/readyz answers 503", || {
        asked(addr, "/readyz") == StatusCode::SERVICE_UNAVAILABLE
    });
}

#[test]
fn the_reason_of_a_failed_reload_names_the_option_that_needs_a_restart() {
    let running = Configured::start("other-tls", &[], "tls = \"none\"\n");
    let message = running.fails_to_reload("cert = \"c.pem\"\nkey = \"k.pem\"\n");
    assert!(message.contains("--tls needs a restart"), "{message}");
    assert_eq!(asked(running.server.addr(), "/"), StatusCode::OK);
}

#[test]
fn a_reload_does_not_end_other_programs() {
    let this = std::process::id().to_string();
    let output = command(&["reload", "--pid", &this]).output();
    let output = output.expect("the command runs");
    assert_eq!(output.status.code(), Some(1));
    let message = String::from_utf8(output.stderr).expect("text");
    assert!(message.contains("does not handle SIGHUP"), "{message}");
}
