//! A server without free file descriptors: it goes on, its admin port answers, it logs it once, and
//! recovers.

mod support;

use std::{
    fs::File,
    net::{SocketAddr, TcpStream},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use support::{
    Corelane, DEADLINE,
    admin::{admin, ask_admin},
    trusting,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};

/// The number of descriptors: the hard limit too, since the command raises the soft limit to it.
const FILES: &str = "60";

fn starved(tls: &str, driver: &str, log: &File) -> Corelane {
    let mut command = Command::new("prlimit");
    let limit = format!("--nofile={FILES}:{FILES}");
    command
        .args([&limit, env!("CARGO_BIN_EXE_corelane"), "--tls", tls])
        .args(["--driver", driver, "--listen", "127.0.0.1:0"])
        .args(["--workers", "1", "--admin", "0"])
        // Connections without a handshake keep their descriptors for the whole test.
        .args(["--handshake-timeout", "600"])
        .stderr(Stdio::from(log.try_clone().expect("a file")));
    Corelane::start_by(command)
}

/// A client that keeps its connection; `nghttp` and `curl` open a new one each time.
struct Client {
    requests: h2::client::SendRequest<bytes::Bytes>,
    runtime: tokio::runtime::Runtime,
}

impl Client {
    fn connect(tls: &str, addr: SocketAddr) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let requests = runtime.block_on(async {
            let tcp = tokio::net::TcpStream::connect(addr)
                .await
                .expect("connects");
            if tls == "none" {
                return begin(tcp).await;
            }
            let stream = timeout(DEADLINE, trusting::connect(tcp, b"h2")).await;
            begin(stream.expect("in time").expect("a handshake")).await
        });
        Self { requests, runtime }
    }

    fn ask(&mut self) {
        let request = http::Request::get("https://localhost/").body(());
        let answer = self.runtime.block_on(async {
            let (response, _) = self
                .requests
                .send_request(request.expect("a request"), true)
                .expect("sent");
            timeout(DEADLINE, response).await
        });
        let answer = answer.expect("in time").expect("answered");
        assert_eq!(answer.status(), http::StatusCode::OK);
    }
}

async fn begin(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
) -> h2::client::SendRequest<bytes::Bytes> {
    let handshake = timeout(DEADLINE, h2::client::handshake(stream)).await;
    let (requests, connection) = handshake.expect("in time").expect("HTTP/2");
    tokio::spawn(connection);
    requests
}

/// All routes of the admin port answer, and the metrics of the process are among the others.
fn assert_admin_answers(addr: SocketAddr) {
    for path in ["/healthz", "/readyz", "/metrics"] {
        let (status, body) = ask_admin(addr, path);
        assert_eq!(status, 200, "{path}: {body}");
        if path == "/metrics" {
            let files = format!("process_max_fds {FILES}");
            assert!(body.lines().any(|line| line == files), "{body}");
            assert!(body.contains("\nprocess_open_fds "), "{body}");
        }
    }
}

#[test]
fn without_descriptors_open_connections_are_served_and_the_server_recovers() {
    for (tls, compiled_in) in [
        ("none", true),
        ("rustls", cfg!(any(feature = "aws-lc-rs", feature = "ring"))),
        ("native-tls", cfg!(feature = "native-tls")),
        ("openssl", cfg!(feature = "openssl")),
    ] {
        for driver in ["epoll", "auto"] {
            if compiled_in {
                runs_out_and_recovers(tls, driver);
            }
        }
    }
}

fn runs_out_and_recovers(tls: &str, driver: &str) {
    let name = format!("corelane-files-{}-{tls}-{driver}", std::process::id());
    let path = std::env::temp_dir().join(name);
    let server = starved(tls, driver, &File::create(&path).expect("a file"));
    let log = || std::fs::read_to_string(&path).expect("text");
    let mut client = Client::connect(tls, server.addr());
    client.ask();
    // More than there are descriptors: the kernel queues the last of them.
    let hogs: Vec<_> = (0..100)
        .map(|_| TcpStream::connect(server.addr()).expect("the kernel connects"))
        .collect();
    let started = Instant::now();
    while !log().contains("cannot accept connections") {
        assert!(started.elapsed() < DEADLINE, "the server does not log it");
        std::thread::sleep(Duration::from_millis(10));
    }
    let admin = admin(&server);
    let idle: Vec<_> = (0..50)
        .map(|_| TcpStream::connect(admin).expect("the kernel connects"))
        .collect();
    for _ in 0..10 {
        client.ask();
        assert_admin_answers(admin);
    }
    drop(idle);
    for _ in 0..50 {
        assert_admin_answers(admin);
    }
    drop(hogs);
    let mut another = Client::connect(tls, server.addr());
    another.ask();
    client.ask();
    let text = log();
    let lines = text.matches("cannot accept connections").count();
    assert_eq!(lines, 1, "a line per burst:\n{text}");
    assert!(text.contains("RLIMIT_NOFILE"), "{text}");
    assert!(!text.contains("panicked"), "{text}");
    std::fs::remove_file(&path).expect("removed");
}

#[test]
fn an_upstream_that_answers_nothing_leaves_descriptors_for_files() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("/slow=http://{}", silent.local_addr().expect("bound"));
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("index.html"), "home").expect("written");
    for driver in ["epoll", "auto"] {
        let mut command = Command::new("prlimit");
        let limit = format!("--nofile={FILES}:{FILES}");
        command
            .args([&limit, env!("CARGO_BIN_EXE_corelane"), "--tls", "none"])
            .args([
                "--driver",
                driver,
                "--listen",
                "127.0.0.1:0",
                "--workers",
                "1",
            ])
            .args(["--route", &url, "--root"])
            .arg(folder.path());
        let server = Corelane::start_by(command);
        support::client::run(async {
            let requests = support::client::connect(server.addr(), "none").await;
            let slow = (0..60).map(|_| support::client::ask(&requests, "GET", "/slow", &[]));
            let mut slow: futures_util::stream::FuturesUnordered<_> = slow.collect();
            // Only those without a descriptor are answered.
            let first = futures_util::StreamExt::next(&mut slow)
                .await
                .expect("an answer");
            assert_eq!(first.status, http::StatusCode::SERVICE_UNAVAILABLE);
            let home = support::client::ask(&requests, "GET", "/", &[]).await;
            assert_eq!((home.status, home.text()), (http::StatusCode::OK, "home"));
        });
    }
}
