//! WebSockets through `--upstream` and `--route`, on every backend and from clients of both versions.

mod support;

use std::{
    fs,
    future::poll_fn,
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    process::Command,
    thread,
};

use data_encoding::BASE64;
use h2::ext::Protocol;
use http::{Method, Request};
use sha1::{Digest, Sha1};
use support::{
    BACKENDS, Corelane,
    access_log::lines,
    admin::{admin, metrics, sum},
    client, command,
};

/// An application that accepts each WebSocket, says the path and ends it.
fn application() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let addr = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.expect("a connection");
            thread::spawn(move || accept(&stream));
        }
    });
    format!("http://{addr}")
}

/// An error is that of a client that has gone.
fn accept(mut stream: &TcpStream) {
    let lines = BufReader::new(stream).lines().map_while(Result::ok);
    let head: Vec<_> = lines.take_while(|line| !line.is_empty()).collect();
    let path = head.first().and_then(|line| line.split(' ').nth(1));
    let field = |name| head.iter().find_map(|line| line.strip_prefix(name));
    let (Some(path), Some(key), Some("websocket")) =
        (path, field("sec-websocket-key: "), field("upgrade: "))
    else {
        let _ = stream.write_all(b"HTTP/1.1 426 Upgrade Required\r\ncontent-length: 0\r\n\r\n");
        return;
    };
    let hash = Sha1::digest(format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11"));
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\
         sec-websocket-accept: {}\r\n\r\n{path}\n",
        BASE64.encode(&hash)
    );
    let _ = stream.write_all(answer.as_bytes());
}

/// "STATUS BYTES" of a WebSocket over HTTP/1.1.
fn over_http1(server: &Corelane, backend: &str, path: &str) -> String {
    let scheme = if backend == "none" { "http" } else { "https" };
    let output = Command::new("curl")
        .args(["-sSk", "--max-time", "30", "--noproxy", "*", "--http1.1"])
        .args(["-H", "connection: upgrade", "-H", "upgrade: websocket"])
        .args(["-H", "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ=="])
        .args(["-H", "sec-websocket-version: 13"])
        .args(["-w", "%{stderr}%{http_code} "])
        .arg(format!("{scheme}://{}{path}", server.addr()))
        .output()
        .expect("curl");
    let [errors, bytes] = [&output.stderr, &output.stdout].map(|it| String::from_utf8_lossy(it));
    format!("{errors}{bytes}")
}

/// "STATUS BYTES" of a WebSocket on a stream of HTTP/2; `None` if the server's SETTINGS do not allow it.
fn over_http2(addr: SocketAddr, backend: &str, path: &str) -> Option<String> {
    client::run(async {
        let mut requests = client::connect(addr, backend).await;
        // The answer to another request comes behind the SETTINGS.
        let _ = client::get(&requests, "/").await;
        poll_fn(|cx| requests.poll_ready(cx)).await.expect("ready");
        if !requests.is_extended_connect_protocol_enabled() {
            return None;
        }
        let request = Request::builder()
            .method(Method::CONNECT)
            .uri(format!("https://localhost{path}"))
            .extension(Protocol::from_static("websocket"));
        let request = request.body(()).expect("a request");
        let (response, _stream) = requests.send_request(request, false).expect("sent");
        let (head, mut body) = response.await.expect("a response").into_parts();
        let mut bytes = Vec::new();
        while let Some(data) = body.data().await {
            bytes.extend_from_slice(&data.expect("data"));
        }
        let status = head.status.as_u16();
        Some(format!("{status} {}", String::from_utf8_lossy(&bytes)))
    })
}

#[test]
fn websockets_reach_upstreams_and_are_logged_and_counted() {
    let upstream = application();
    let route = format!("/chat={upstream}");
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().to_str().expect("UTF-8");
    for backend in BACKENDS {
        let log = folder.path().join(format!("{backend}.log"));
        let server = Corelane::start(&[
            "--listen",
            "127.0.0.1:0",
            "--workers",
            "1",
            "--admin",
            "127.0.0.1:0",
            "--tls",
            backend,
            "--access-log",
            log.to_str().expect("UTF-8"),
            "--root",
            root,
            "--route",
            &route,
            "--demo",
        ]);
        let answer = over_http1(&server, backend, "/chat?a");
        assert_eq!(answer, "101 /chat?a\n", "{backend}");
        for (path, expected) in [
            ("/chat?b", "200 /chat?b\n"),
            ("/file", "405 405 Method Not Allowed\n"),
            ("/echo", "501 upgrades are for upstreams\n"),
        ] {
            let answer = over_http2(server.addr(), backend, path);
            assert_eq!(answer.as_deref(), Some(expected), "{backend}");
        }
        let lines = lines(&log, 7);
        for wanted in [
            "GET /chat?a HTTP/1.1\" 101 ",
            "CONNECT /chat?b HTTP/2.0\" 200 ",
        ] {
            let found = lines.iter().filter(|line| line.contains(wanted)).count();
            assert_eq!(found, 1, "{wanted} in {lines:?}");
        }
        let text = metrics(admin(&server));
        for class in ["1xx", "2xx"] {
            let labels = format!("route=\"/chat\",class=\"{class}\"");
            let count = sum(&text, "corelane_route_responses_total", &labels);
            assert_eq!(count, 1.0, "{class} in {text}");
        }
        assert_eq!(sum(&text, "corelane_upgrades_total", ""), 2.0, "{text}");
    }
}

#[test]
fn servers_without_an_upstream_have_no_upgrades() {
    for args in [&["--root", "/"][..], &["--http1", "on"]] {
        let always = ["--listen", "127.0.0.1:0", "--tls", "none"];
        let server = Corelane::start(&[&always, args].concat());
        assert_eq!(over_http2(server.addr(), "none", "/"), None, "{args:?}");
        let answer = over_http1(&server, "none", "/");
        let status = answer
            .split(' ')
            .next()
            .and_then(|it| it.parse::<u16>().ok());
        let is_usual = status.is_some_and(|status| (200..500).contains(&status));
        assert!(is_usual, "{args:?}: {answer}");
    }
}

#[test]
fn a_reload_that_adds_an_upstream_adds_its_upgrades() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (config, pid) = (path("corelane.toml"), path("pid"));
    let write = |target: &str| fs::write(&config, target).expect("written");
    write(&format!("root = {:?}", folder.path()));
    let always = ["--listen", "127.0.0.1:0", "--tls", "none"];
    let files = ["--config", &config, "--pid-file", &pid];
    let server = Corelane::start(&[&always[..], &files].concat());
    assert_eq!(over_http2(server.addr(), "none", "/chat"), None);
    write(&format!("upstream = {:?}", application()));
    let reloaded = command(&["reload", "--pid-file", &pid]).output();
    assert!(reloaded.expect("it runs").status.success());
    let answer = over_http2(server.addr(), "none", "/chat");
    assert_eq!(answer.as_deref(), Some("200 /chat\n"));
    assert_eq!(over_http1(&server, "none", "/chat"), "101 /chat\n");
}
