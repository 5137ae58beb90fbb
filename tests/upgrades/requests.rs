//! Which requests are upgraded, and how the others are answered.

use std::{convert::Infallible, sync::mpsc};

use corelane::{Body, Builder, Http2Engine, Upgrade};
use corelane_test_support::{
    Backend, Drivers, Http1Client, TestServer,
    client::{self, DEADLINE, Tls, deadline},
    for_each_backend,
    server::http2_engine,
    upgrade::{Upgrading, Version, h2_upgrade, head, upgrade},
};
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::service::{echo, outcome, runtime, serve, start};

for_each_backend!(
    fields_of_the_response_are_those_of_the_version,
    handlers_decide,
    upgrades_are_off_by_default,
    only_requests_that_may_are_upgraded,
    bytes_behind_the_request_belong_to_the_stream,
    connect_is_refused_unless_it_is_allowed,
);

type Outcomes = mpsc::Receiver<Result<(), String>>;

/// A server whose paths use the upgrade in different ways, and the results of its futures.
fn start_paths(backend: Backend) -> (TestServer, Outcomes) {
    let (report, reports) = mpsc::channel();
    let service = move |request| answer(request, report.clone());
    let options = |builder: Builder| builder.upgrades(true);
    (serve(backend, Drivers::all()[0], options, service), reports)
}

async fn answer(
    mut request: Request<Body>,
    report: mpsc::Sender<Result<(), String>>,
) -> Result<Response<String>, Infallible> {
    let path = request.uri().path().to_owned();
    let upgrade = Upgrade::take(&mut request);
    assert!(Upgrade::take(&mut request).is_none(), "it was taken");
    let Some(upgrade) = upgrade else {
        return Ok(Response::new("no upgrade".to_owned()));
    };
    let protocol = upgrade.protocol().to_owned();
    let other = upgrade.clone();
    let (mut response, upgraded) = upgrade.accept();
    let reports = report.clone();
    let will_report = async move {
        let _ = reports.send(outcome(upgraded.await));
    };
    match path.as_str() {
        "/usual" => return Ok(Response::new(protocol)),
        "/refused" => {
            *response.status_mut() = StatusCode::NOT_FOUND;
            tokio::spawn(will_report);
        }
        // Nothing is left that could get the stream.
        "/dropped" => drop((will_report, other)),
        "/twice" => {
            let (_response, again) = other.accept();
            tokio::spawn(async move {
                will_report.await;
                let _ = report.send(outcome(again.await));
            });
        }
        _ => {
            let headers = response.headers_mut();
            headers.insert("x-own", HeaderValue::from_static("1"));
            headers.insert("keep-alive", HeaderValue::from_static("timeout=5"));
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("5"));
            tokio::spawn(will_report);
        }
    }
    Ok(response.map(|()| "not sent".to_owned()))
}

fn fields_of_the_response_are_those_of_the_version(backend: Backend) {
    let runtime = runtime();
    let _entered = runtime.enter();
    let (server, outcomes) = start_paths(backend);
    deadline(async {
        for version in Version::ALL {
            let fields = &[("x-asked", "1")];
            let mut answer =
                upgrade(version, backend, server.addr, "/fields", "Echo/2", fields).await;
            let mut names: Vec<_> = answer.headers.keys().map(|name| name.as_str()).collect();
            names.sort_unstable();
            match version {
                Version::Http1 => {
                    assert_eq!(answer.status, StatusCode::SWITCHING_PROTOCOLS);
                    assert_eq!(names, ["connection", "date", "upgrade", "x-own"]);
                    assert_eq!(answer.headers[header::CONNECTION], "upgrade");
                    assert_eq!(answer.headers[header::UPGRADE], "Echo/2");
                }
                Version::Http2 => {
                    assert_eq!(answer.status, StatusCode::OK);
                    assert_eq!(names, ["date", "x-own"]);
                }
            }
            let mut rest = Vec::new();
            answer
                .stream
                .read_to_end(&mut rest)
                .await
                .expect("a clean end");
            assert_eq!(rest, b"");
        }
    });
    assert_eq!(outcomes.recv_timeout(DEADLINE), Ok(Ok(())));
    assert_eq!(outcomes.recv_timeout(DEADLINE), Ok(Ok(())));
}

fn handlers_decide(backend: Backend) {
    let runtime = runtime();
    let _entered = runtime.enter();
    let (server, outcomes) = start_paths(backend);
    let ask = async |version, path| {
        let mut answer = upgrade(version, backend, server.addr, path, "echo", &[]).await;
        let length = answer.headers.get(header::CONTENT_LENGTH);
        let length: usize = length.map_or(0, |value| {
            value.to_str().expect("text").parse().expect("a number")
        });
        let mut body = vec![0; length];
        answer.stream.read_exact(&mut body).await.expect("the body");
        (
            answer.status.as_u16(),
            String::from_utf8(body).expect("text"),
        )
    };
    deadline(async {
        for version in Version::ALL {
            assert_eq!(ask(version, "/usual").await, (200, "echo".to_owned()));
            assert_eq!(ask(version, "/refused").await, (404, "not sent".to_owned()));
            let error = outcomes.recv_timeout(DEADLINE).expect("a report");
            let error = error.expect_err("not upgraded");
            assert!(error.starts_with("the request was not upgraded"), "{error}");
            // On HTTP/2 it is a usual response.
            let dropped = ask(version, "/dropped").await;
            assert_eq!(
                dropped,
                match version {
                    Version::Http1 => (500, String::new()),
                    Version::Http2 => (200, "not sent".to_owned()),
                }
            );
            ask(version, "/twice").await;
            assert_eq!(outcomes.recv_timeout(DEADLINE), Ok(Ok(())));
            let again = outcomes.recv_timeout(DEADLINE).expect("a report");
            let error = again.expect_err("one use");
            assert!(error.contains("accepted already"), "{error}");
        }
    });
    let counters = server.counters()[0];
    assert_eq!((counters.upgrades, counters.handler_errors), (2, 1));
}

fn upgrades_are_off_by_default(backend: Backend) {
    let (server, _) = {
        let (report, reports) = mpsc::channel();
        let service = move |request| answer(request, report.clone());
        let server = serve(backend, Drivers::all()[0], |builder| builder, service);
        (server, reports)
    };
    deadline(async {
        let mut client = Http1Client::connect(backend, &server).await;
        let request = "GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n";
        for _ in 0..2 {
            let response = client.ask(request).await;
            assert_eq!((response.status, response.text()), (200, "no upgrade"));
        }
        // The client is not told of extended CONNECT, and asks all the same.
        let stream = client::connect(backend, server.addr).await;
        let (requests, mut connection) = h2::client::handshake(stream).await.expect("HTTP/2");
        let mut requests = requests;
        let request = Request::builder()
            .method(Method::CONNECT)
            .uri("https://localhost/")
            .extension(h2::ext::Protocol::from_static("echo"));
        let request = request.body(()).expect("a request");
        let (response, _stream) = requests.send_request(request, false).expect("open");
        let error = tokio::select! {
            response = response => response.expect_err("reset"),
            _ = &mut connection => panic!("the connection has ended"),
        };
        assert_eq!(error.reason(), Some(h2::Reason::PROTOCOL_ERROR));
        assert!(!requests.is_extended_connect_protocol_enabled());
    });
}

fn only_requests_that_may_are_upgraded(backend: Backend) {
    let (server, _outcomes) = start_paths(backend);
    deadline(async {
        for (line, fields, expected) in [
            (
                "GET /usual HTTP/1.1",
                "connection: Upgrade\r\nupgrade: echo",
                "echo",
            ),
            (
                "POST /usual HTTP/1.1",
                "connection: close, upgrade\r\nupgrade: h2c, foo/2, bar\r\ncontent-length: 0",
                "foo/2",
            ),
            (
                "GET /usual HTTP/1.1",
                "connection: keep-alive\r\nupgrade: echo",
                "no upgrade",
            ),
            ("GET /usual HTTP/1.1", "connection: upgrade", "no upgrade"),
            // RFC 9113 section 3.1.
            (
                "GET /usual HTTP/1.1",
                "connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__",
                "no upgrade",
            ),
            (
                "GET /usual HTTP/1.0",
                "connection: upgrade\r\nupgrade: echo",
                "no upgrade",
            ),
            (
                "POST /usual HTTP/1.1",
                "connection: upgrade\r\nupgrade: echo\r\ncontent-length: 1",
                "no upgrade",
            ),
        ] {
            let mut client = Http1Client::connect(backend, &server).await;
            let body = if fields.ends_with(": 1") { "x" } else { "" };
            let request = format!("{line}\r\nhost: a\r\n{fields}\r\n\r\n{body}");
            let response = client.ask(request).await;
            assert_eq!(
                (response.status, response.text()),
                (200, expected),
                "{fields}"
            );
        }
    });
}

fn bytes_behind_the_request_belong_to_the_stream(backend: Backend) {
    let runtime = runtime();
    let _entered = runtime.enter();
    let server = start(backend, Drivers::all()[0], |builder| builder, echo);
    deadline(async {
        let tcp = tokio::net::TcpStream::connect(server.addr).await;
        let tcp = tcp.expect("connects");
        let mut client = client::over_version(backend, Tls::Any, &[b"http/1.1"], tcp).await;
        let mut request =
            b"GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n".to_vec();
        // A request would be answered.
        let behind = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n".repeat(1000);
        request.extend_from_slice(&behind);
        client.write_all(&request).await.expect("sent");
        client.shutdown().await.expect("ended");
        let (status, _) = head(&mut client).await.expect("a head");
        assert_eq!(status, StatusCode::SWITCHING_PROTOCOLS);
        let mut rest = Vec::new();
        client.read_to_end(&mut rest).await.expect("a clean end");
        assert!(rest == behind, "{} bytes", rest.len());
    });
}

fn connect_is_refused_unless_it_is_allowed(backend: Backend) {
    let runtime = runtime();
    let _entered = runtime.enter();
    for (is_allowed, target, http1, http2) in [
        (false, "localhost:443", 405, 405),
        (false, "localhost", 405, 400),
        (true, "localhost", 400, 400),
        (true, "localhost:443", 200, 200),
    ] {
        let options = |builder: Builder| builder.connect(is_allowed);
        let server = start(backend, Drivers::all()[0], options, echo);
        deadline(async {
            let mut streams = Vec::new();
            for (version, status) in [(Version::Http1, http1), (Version::Http2, http2)] {
                let answer = connect(version, backend, server.addr, target).await;
                // To the other implementation of HTTP/2 it is malformed (RFC 9113 section 8.5).
                if status == 400 && version == Version::Http2 && http2_engine() != Http2Engine::H2 {
                    let error = answer.err().expect("a reset");
                    assert_eq!(error.reason(), Some(h2::Reason::PROTOCOL_ERROR));
                    continue;
                }
                let answer = answer.expect("a response");
                assert_eq!(answer.status, status, "{version:?} {target}");
                let has_length = answer.headers.contains_key(header::CONTENT_LENGTH);
                assert!(!has_length || status != 200, "{version:?}");
                streams.push(answer.stream);
            }
            if http2 != 200 {
                return;
            }
            for mut stream in streams {
                stream.write_all(b"tunnel").await.expect("sent");
                stream.shutdown().await.expect("ended");
                let mut rest = Vec::new();
                stream.read_to_end(&mut rest).await.expect("a clean end");
                assert_eq!(rest, b"tunnel");
            }
        });
    }
}

/// Asks for a tunnel.
async fn connect(
    version: Version,
    backend: Backend,
    addr: std::net::SocketAddr,
    target: &str,
) -> Result<Upgrading, h2::Error> {
    if version == Version::Http2 {
        let stream = client::connect(backend, addr).await;
        let request = Request::builder().method(Method::CONNECT).uri(target);
        let request = request.body(()).expect("a request");
        return h2_upgrade(stream, &mut h2::client::Builder::new(), request).await;
    }
    let tcp = tokio::net::TcpStream::connect(addr).await;
    let tcp = tcp.expect("connects");
    let mut stream = client::over_version(backend, Tls::Any, &[b"http/1.1"], tcp).await;
    let request = format!("CONNECT {target} HTTP/1.1\r\nhost: {target}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("sent");
    stream.flush().await.expect("sent");
    let (status, headers) = head(&mut stream).await.expect("a head");
    Ok(Upgrading {
        status,
        headers,
        stream,
    })
}
