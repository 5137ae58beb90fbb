//! The command as a user sees it: its output, its responses, its errors and its exit.

mod support;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, StatusCode};

#[cfg(any(feature = "aws-lc-rs", feature = "ring", feature = "openssl"))]
use support::DEADLINE;
use support::{
    Corelane,
    http2::{ask, with_client},
    refusal,
};

fn cleartext() -> Corelane {
    Corelane::start(&["--tls", "none", "--listen", "127.0.0.1:0"])
}

#[test]
fn the_command_prints_its_settings_and_how_to_try_it() {
    let server = Corelane::start(&["--tls", "none", "--listen", "127.0.0.1:0", "--workers", "2"]);
    assert_ne!(server.addr().port(), 0, "the real port");
    server.assert_printed("workers: 2");
    server.assert_printed("prior knowledge");
    let port = server.addr().port();
    server.assert_printed(&format!(
        "try: curl --http2-prior-knowledge http://localhost:{port}/"
    ));
}

#[test]
fn driver_epoll_is_used_when_requested() {
    let args = [
        "--tls",
        "none",
        "--listen",
        "127.0.0.1:0",
        "--driver",
        "epoll",
    ];
    Corelane::start(&args).assert_printed("0: epoll");
}

#[test]
fn the_routes_answer() {
    let server = cleartext();
    with_client(server.addr(), |requests| async move {
        let (status, page, _) = ask(&requests, "/", Bytes::new(), None).await;
        let page = String::from_utf8(page).expect("text");
        assert_eq!(status, StatusCode::OK);
        for line in [
            "protocol: HTTP/2",
            "tls version: none",
            "backend: none",
            "worker: ",
        ] {
            assert!(page.contains(line), "{page}");
        }

        let (_, bytes, _) = ask(&requests, "/bytes/200000", Bytes::new(), None).await;
        assert_eq!(bytes.len(), 200_000);
        assert!(bytes.starts_with(b"0123456789ABC"));
        let (_, none, _) = ask(&requests, "/bytes/0", Bytes::new(), None).await;
        assert!(none.is_empty());
        for (path, status) in [
            ("/bytes/many", StatusCode::BAD_REQUEST),
            ("/nowhere", StatusCode::NOT_FOUND),
        ] {
            assert_eq!(ask(&requests, path, Bytes::new(), None).await.0, status);
        }

        let mut trailers = HeaderMap::new();
        trailers.insert("checksum", HeaderValue::from_static("7"));
        let (_, echo, echoed) = ask(&requests, "/echo", "hello".into(), Some(trailers)).await;
        assert_eq!(echo, b"hello");
        assert_eq!(echoed.expect("trailers")["checksum"], "7");

        let (_, drained, _) = ask(&requests, "/drain", "hello".into(), None).await;
        let drained = String::from_utf8(drained).expect("text");
        let (length, digest) = drained.trim().split_once(' ').expect("two words");
        assert_eq!(length, "5");
        if cfg!(any(
            feature = "rustls",
            feature = "native-tls",
            feature = "openssl"
        )) {
            let sha256 = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
            assert_eq!(digest, sha256);
        } else {
            assert_eq!(digest, "(no SHA-256: built without TLS)");
        }
    });
}

#[test]
fn limits_are_set_by_flags() {
    let limits = ["--max-request-body", "5", "--max-connections", "2"];
    let more = ["--max-early-resets", "3", "--body-timeout", "1"];
    let server = Corelane::start(
        &[
            &["--tls", "none", "--listen", "127.0.0.1:0"],
            &limits[..],
            &more,
        ]
        .concat(),
    );
    with_client(server.addr(), |requests| async move {
        let (status, _, _) = ask(&requests, "/drain", "12345".into(), None).await;
        assert_eq!(status, StatusCode::OK);
        let (status, _, _) = ask(&requests, "/drain", "123456".into(), None).await;
        assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);

        let begin = || async {
            let mut requests = requests.clone().ready().await.expect("ready");
            let request = Request::post("http://localhost/drain").body(());
            requests
                .send_request(request.expect("a request"), false)
                .expect("sent")
        };
        let (response, stream) = begin().await;
        let late = response.await.expect("a response").status();
        assert_eq!(
            late,
            StatusCode::REQUEST_TIMEOUT,
            "a body that does not arrive"
        );
        drop(stream);

        let mut last = None;
        for _ in 0..20 {
            let (response, mut stream) = begin().await;
            stream.send_reset(h2::Reason::CANCEL);
            last = Some(response);
            if requests.clone().ready().await.is_err() {
                break;
            }
        }
        drop(last);
        let ended = loop {
            match requests.clone().ready().await {
                Err(ended) => break ended,
                Ok(_) => tokio::task::yield_now().await,
            }
        };
        assert_eq!(ended.reason(), Some(h2::Reason::ENHANCE_YOUR_CALM));
    });
}

#[test]
fn sigterm_and_sigint_shut_down_gracefully() {
    for signal in ["-TERM", "-INT"] {
        let mut server = cleartext();
        server.signal(signal);
        assert!(server.wait().success(), "{signal}");
    }
}

#[test]
fn a_second_signal_ends_the_process_at_once() {
    let mut server = cleartext();
    with_client(server.addr(), |mut requests| async {
        // A request in flight keeps the shutdown of the first signal waiting.
        let request = Request::post("http://localhost/drain").body(());
        let (_response, mut stream) = requests
            .send_request(request.expect("a request"), false)
            .expect("sent");
        stream.send_data("a beginning".into(), false).expect("sent");
        // Answered after it, so it has arrived.
        ask(&requests, "/", Bytes::new(), None).await;
        server.signal("-TERM");
        // The server sends GOAWAY: no more requests after this one.
        while let Ok(ready) = requests.ready().await {
            requests = ready;
            tokio::task::yield_now().await;
        }
        server.signal("-TERM");
        // The request is still in flight.
        assert_eq!(server.wait().code(), Some(128 + 15));
    });
}

#[test]
fn mistakes_are_explained() {
    let occupied = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let occupied = occupied.local_addr().expect("bound").to_string();
    for (args, advice) in [
        (&["--tls", "wolfssl"][..], "compiled in"),
        (
            &["--tls", "none", "--cert", "c", "--key", "k"],
            "--tls none",
        ),
        (&["--cert", "/nonexistent/cert.pem"], "--key"),
        (&["--workers", "0"], "at least 1"),
        (&["--max-connections", "0"], "--max-connections"),
        (&["--keep-alive", "0"], "--keep-alive"),
        (&["--body-timeout", "0"], "--body-timeout"),
        (&["--min-rate", "little"], "--min-rate"),
        (
            &["--tls", "none", "--connection-window", "1000"],
            "--connection-window is 1000",
        ),
        (&["--tls", "none", "--cpus", "9999"], "CPU 9999"),
        (&["--client-crl", "list.pem"], "--client-ca"),
        (
            &["--tls", "none", "--client-ca", "ca.pem"],
            "--tls none has no client certificates",
        ),
        (
            &["--tls", "none", "--ticket-lifetime", "60"],
            "--tls none has no session tickets",
        ),
        (
            &["--tls", "none", "--listen", "192.0.2.1:0"],
            "no interface",
        ),
        (
            &["--tls", "none", "--listen", "localhost"],
            "an address and a port",
        ),
        (
            &["--listen", "127.0.0.1:9", "--listen", "127.0.0.1:9"],
            "are one port",
        ),
        (&["--listen", "0.0.0.0:9", "--admin", "9"], "are one port"),
        (
            &["--tls", "none", "--unknown-name", "refuse"],
            "--tls none has no server names",
        ),
        (
            &["--tls", "none", "--alpn-missing", "allow"],
            "--tls none has no ALPN",
        ),
        (&["--tls", "none", "--driver", "kqueue"], "io-uring"),
    ] {
        let message = refusal(args);
        assert!(message.contains(advice), "{args:?}: {message}");
    }
    let own = format!("process {}", std::process::id());
    for args in [
        &["--tls", "none", "--listen", &occupied][..],
        &[
            "--tls",
            "none",
            "--listen",
            "127.0.0.1:0",
            "--admin",
            &occupied,
        ],
    ] {
        let message = refusal(args);
        assert!(message.contains(&own), "{args:?}: {message}");
    }
}

#[test]
fn a_backend_that_is_not_compiled_in_is_named_with_its_feature() {
    for (backend, compiled_in) in [
        ("rustls", cfg!(feature = "rustls")),
        ("native-tls", cfg!(feature = "native-tls")),
        ("openssl", cfg!(feature = "openssl")),
    ] {
        if !compiled_in {
            let message = refusal(&["--tls", backend]);
            assert!(
                message.contains(&format!("--features {backend}")),
                "{message}"
            );
        }
    }
}

#[cfg(any(
    feature = "aws-lc-rs",
    feature = "ring",
    feature = "native-tls",
    feature = "openssl"
))]
#[test]
fn write_cert_writes_the_certificate_but_not_the_key() {
    let dir = std::env::temp_dir().join(format!("corelane-test-{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("a directory");
    let file = dir.join("cert.pem");
    let path = file.to_str().expect("UTF-8");
    let server = Corelane::start(&["--listen", "127.0.0.1:0", "--write-cert", path]);
    server.assert_printed("self-signed");
    server.assert_printed("ALPN h2");
    let mut text = String::new();
    let mut opened = std::fs::File::open(&file).expect("written");
    std::io::Read::read_to_string(&mut opened, &mut text).expect("text");
    assert!(text.starts_with("-----BEGIN CERTIFICATE-----"));
    assert!(!text.contains("PRIVATE"), "the key stays in memory");
    std::fs::remove_dir_all(&dir).expect("removed");
}

#[cfg(any(
    feature = "aws-lc-rs",
    feature = "ring",
    feature = "native-tls",
    feature = "openssl"
))]
#[test]
fn mistakes_with_tickets_and_client_certificates_are_explained() {
    for (args, advice) in [
        (&["--ticket-keys", "/nonexistent/keys"], "/nonexistent/keys"),
        (&["--ticket-lifetime", "604801"], "7 days"),
        (
            &["--client-ca", "/nonexistent/ca.pem"],
            "/nonexistent/ca.pem",
        ),
        (&["--client-ca", "/dev/null"], "BEGIN CERTIFICATE"),
    ] {
        let message = refusal(args);
        assert!(message.contains(advice), "{args:?}: {message}");
    }
    let mut secret = support::command(&[]);
    let output = secret.env("CORELANE_TICKET_SECRETS", "0123abc").output();
    let message = String::from_utf8(output.expect("it runs").stderr).expect("text");
    assert!(message.contains("CORELANE_TICKET_SECRETS"), "{message}");
    assert!(!message.contains("0123abc"), "{message}");
    #[cfg(feature = "native-tls")]
    {
        let message = refusal(&["--tls", "native-tls", "--ticket-lifetime", "60"]);
        assert!(
            message.contains("does not support ticket keys"),
            "{message}"
        );
    }
}

/// Asks `/` by a client that keeps its sessions.
#[cfg(any(feature = "aws-lc-rs", feature = "ring", feature = "openssl"))]
fn page(server: &Corelane, client: &std::sync::Arc<tokio_rustls::rustls::ClientConfig>) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let asked = async {
            let tcp = tokio::net::TcpStream::connect(server.addr()).await;
            let tls = support::trusting::connect_by(client, tcp.expect("connects")).await;
            let (requests, connection) = h2::client::handshake(tls.expect("a handshake"))
                .await
                .expect("HTTP/2");
            let connection = tokio::spawn(connection);
            let (_, body, _) = ask(&requests, "/", Bytes::new(), None).await;
            connection.abort();
            String::from_utf8(body).expect("text")
        };
        let asked = tokio::time::timeout(DEADLINE, asked).await;
        asked.expect("the test hangs")
    })
}

#[cfg(any(feature = "aws-lc-rs", feature = "ring", feature = "openssl"))]
#[test]
fn sessions_resume_after_a_restart() {
    for (backend, compiled_in) in [
        ("rustls", cfg!(any(feature = "aws-lc-rs", feature = "ring"))),
        ("openssl", cfg!(feature = "openssl")),
    ] {
        if compiled_in {
            resume_after_a_restart(backend);
        }
    }
}

#[cfg(any(feature = "aws-lc-rs", feature = "ring", feature = "openssl"))]
fn resume_after_a_restart(backend: &str) {
    use std::os::unix::fs::PermissionsExt;

    let dir =
        std::env::temp_dir().join(format!("corelane-tickets-{backend}-{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("a directory");
    let file = dir.join("ticket.keys");
    let (key, next) = ("0123456789abcdef".repeat(4), "fedcba9876543210".repeat(4));
    std::fs::write(&file, format!("{key} # current\n")).expect("written");
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).expect("set");
    let path = file.to_str().expect("UTF-8");
    let args = ["--tls", backend, "--listen", "127.0.0.1:0"];
    let by_file = [&args[..], &["--ticket-keys", path]].concat();
    let client = support::trusting::config(b"h2");
    let first = page(&Corelane::start(&by_file), &client);
    assert!(first.contains("resumed: no"), "{first}");
    std::fs::write(&file, format!("{next}\n{key}\n")).expect("written");
    let second = page(&Corelane::start(&by_file), &client);
    assert!(second.contains("resumed: yes"), "{second}");
    let mut by_variable = support::command(&args);
    by_variable.env("CORELANE_TICKET_SECRETS", format!("{next} {key}"));
    let third = page(&Corelane::start_by(by_variable), &client);
    assert!(third.contains("resumed: yes"), "{third}");
    let own = page(&Corelane::start(&args), &client);
    assert!(own.contains("resumed: no"), "{own}");
    std::fs::remove_dir_all(&dir).expect("removed");
}
