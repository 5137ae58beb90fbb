//! HTTP/1.1 beside HTTP/2, on every backend.

mod support;

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    process::Command,
};

use support::{BACKENDS, Corelane, DEADLINE, upstream::Upstream};

fn start(backend: &str, args: &[&str]) -> Corelane {
    let always = [
        "--listen",
        "127.0.0.1:0",
        "--workers",
        "1",
        "--tls",
        backend,
    ];
    Corelane::start(&[&always[..], args].concat())
}

/// "VERSION STATUS BODY", or how curl failed.
fn curl(server: &Corelane, backend: &str, flag: &str, path: &str) -> String {
    let scheme = if backend == "none" { "http" } else { "https" };
    let url = format!("{scheme}://{}{path}", server.addr());
    let output = Command::new("curl")
        .args(["-sSk", "--max-time", "30", "--noproxy", "*", flag])
        .args(["-w", "%{stderr}%{http_version} %{http_code} ", &url])
        .output()
        .expect("curl");
    let [errors, body] = [&output.stderr, &output.stdout].map(|it| String::from_utf8_lossy(it));
    format!("{errors}{body}")
}

#[test]
fn files_and_upstreams_are_served_to_clients_of_each_version() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("index.html"), "home").expect("written");
    let root = folder.path().display().to_string();
    let upstream = Upstream::start("application");
    let api = format!("/api={}", upstream.url());
    for backend in BACKENDS {
        let server = start(backend, &["--root", &root, "--route", &api]);
        let h2 = if *backend == "none" {
            "--http2-prior-knowledge"
        } else {
            "--http2"
        };
        for (flag, version) in [
            (h2, "2"),
            ("--http1.1", "1.1"),
            ("--no-alpn", "1.1"),
            ("--http1.0", "1"),
        ] {
            let home = curl(&server, backend, flag, "/");
            assert_eq!(home, format!("{version} 200 home"), "{backend} {flag}");
            let api = curl(&server, backend, flag, "/api/a?b=c");
            let begin = format!("{version} 200 application\nGET /api/a?b=c HTTP/1.1\n");
            assert!(api.starts_with(&begin), "{backend} {flag}: {api}");
            let missing = curl(&server, backend, flag, "/missing");
            assert!(
                missing.starts_with(&format!("{version} 404 ")),
                "{backend} {flag}: {missing}"
            );
        }
    }
}

/// RFC 9112 section 3.2: HTTP/1.0 needs no `host`, and that of HTTP/1.1 may be empty.
#[test]
fn requests_without_a_host_get_the_upstreams_own() {
    let upstream = Upstream::start("application");
    let server = start("none", &["--upstream", &upstream.url()]);
    let own = format!("host: {}", upstream.url().trim_start_matches("http://"));
    for request in [
        "GET / HTTP/1.0\r\n\r\n",
        "GET / HTTP/1.1\r\nhost:\r\nconnection: close\r\n\r\n",
    ] {
        let mut client = TcpStream::connect(server.addr()).expect("connects");
        client
            .set_read_timeout(Some(DEADLINE))
            .expect("a time limit");
        client.write_all(request.as_bytes()).expect("sent");
        let mut answer = String::new();
        client.read_to_string(&mut answer).expect("answered");
        assert!(
            answer.lines().any(|line| line == own),
            "{request:?}: {answer}"
        );
        assert!(!answer.contains("x-forwarded-host"), "{answer}");
    }
}

#[test]
fn it_is_served_if_it_is_asked_for() {
    for backend in BACKENDS {
        let refused = match *backend {
            "none" => "1.1 505 ",
            _ => "alert no application protocol",
        };
        for (args, served) in [
            (&[][..], false),
            (&["--http1", "on"][..], true),
            (&["--root", "/", "--http1", "off"][..], false),
        ] {
            let server = start(backend, args);
            let answer = curl(&server, backend, "--http1.1", "/");
            let expected = if served { "1.1 200 " } else { refused };
            assert!(answer.contains(expected), "{backend} {args:?}: {answer}");
        }
    }
}

#[cfg(any(
    feature = "aws-lc-rs",
    feature = "ring",
    feature = "openssl",
    feature = "native-tls"
))]
#[test]
fn the_prober_knows_what_to_expect() {
    for backend in BACKENDS.iter().filter(|backend| **backend != "none") {
        let server = start(backend, &["--http1", "on"]);
        server.assert_printed("ALPN h2, http/1.1, http/1.0");
        let rules = [
            "h2",
            "http/1.1",
            "http/1.0",
            "http/1.0,http/1.1=http/1.1",
            "http/1.1,h2=h2",
            "x-unknown=alert:120",
            "none=none",
        ];
        let rules = rules.iter().flat_map(|rule| ["--expect", rule]);
        let addr = server.addr().to_string();
        let mut prober = support::command(&["alpn", &addr, "--insecure"]);
        let output = prober.args(rules).output().expect("the prober");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{backend}: {text}");
    }
}
