//! Every answer of an application on axum is the same on corelane and on `axum::serve`.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::LazyLock,
    time::Duration,
};

use axum::extract::ConnectInfo;
use bytes::Bytes;
use corelane::with_extension;
use corelane_test_applications::application;
use corelane_test_support::{
    Backend, Drivers, H2Client, TestServer,
    backends::NONE,
    client::{Answer, deadline, send},
    for_each_backend,
};
use http::{HeaderMap, Request, header};
use tokio::runtime::Runtime;

for_each_backend!(answers_are_those_of_axum_serve);

/// The runtime of both servers.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime"));

/// The address of `axum::serve`.
static AXUM: LazyLock<SocketAddr> = LazyLock::new(|| {
    let (listener, addr) = RUNTIME.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("loopback");
        let addr = listener.local_addr().expect("one");
        (listener, addr)
    });
    let service = application(&files()).into_make_service_with_connect_info::<SocketAddr>();
    RUNTIME.spawn(async move { axum::serve(listener, service).await });
    addr
});

/// What it answers, in the order of `requests`.
static EXPECTED: LazyLock<Vec<String>> = LazyLock::new(|| ask_all(NONE, *AXUM));

fn files() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("files")
}

fn answers_are_those_of_axum_serve(backend: Backend) {
    for &driver in Drivers::all() {
        let application = application(&files());
        let service = with_extension(application, |connection| {
            connection.peer_addr.map(ConnectInfo)
        });
        let options = |builder: corelane::Builder| builder.tokio(RUNTIME.handle().clone());
        let server = TestServer::with(backend.acceptor(), driver, options, move |_| {
            service.clone()
        });
        let answers = ask_all(backend, server.addr);
        let inflated = |answer: &&String| answer.contains("compressed, compressed, compressed");
        assert_eq!(answers.iter().filter(inflated).count(), 1);
        for ((request, answer), expected) in requests().iter().zip(&answers).zip(&*EXPECTED) {
            assert_eq!(answer, expected, "{request:?}");
        }
        assert_eq!(answers.len(), EXPECTED.len());
        server.stop(Duration::from_secs(10));
    }
}

mod over_http1 {
    use corelane::{ProtocolName, tls::TlsConfig};
    use corelane_test_support::{Http1Client, Http1Response, certs::identity};

    use super::*;

    for_each_backend!(answers_are_those_of_axum_serve);

    static EXPECTED: LazyLock<Vec<String>> = LazyLock::new(|| ask_all(NONE, *AXUM));

    fn answers_are_those_of_axum_serve(backend: Backend) {
        for &driver in Drivers::all() {
            let names = || [ProtocolName::HTTP_1_1];
            let config = TlsConfig::new(identity()).alpn_protocols(names());
            let acceptor = (backend.make)(&config).expect("an acceptor");
            let application = application(&files());
            let service = with_extension(application, |it| it.peer_addr.map(ConnectInfo));
            let options = |builder: corelane::Builder| {
                builder.protocols(names()).tokio(RUNTIME.handle().clone())
            };
            let server = TestServer::with(acceptor, driver, options, move |_| service.clone());
            let answers = ask_all(backend, server.addr);
            for ((request, answer), expected) in requests().iter().zip(&answers).zip(&*EXPECTED) {
                assert_eq!(answer, expected, "{request:?}");
            }
            assert_eq!(answers.len(), EXPECTED.len());
            server.stop(Duration::from_secs(10));
        }
    }

    fn ask_all(backend: Backend, addr: SocketAddr) -> Vec<String> {
        deadline(async {
            let mut answers = Vec::new();
            for request in requests() {
                let mut client = Http1Client::connect_to(backend, addr).await;
                answers.push(text(client.ask(bytes(&request)).await));
            }
            answers
        })
    }

    /// With a target that HTTP/2 spells otherwise (RFC 9112 section 3.2.4).
    fn requests() -> Vec<Request<Bytes>> {
        let mut requests = super::requests();
        let asterisk = Request::options("*").body(Bytes::new());
        requests.push(asterisk.expect("a request"));
        requests
    }

    fn bytes(request: &Request<Bytes>) -> Vec<u8> {
        let target = request.uri().path_and_query().expect("a path");
        let mut head = format!(
            "{} {target} HTTP/1.1\r\nhost: localhost\r\n",
            request.method()
        );
        for (name, value) in request.headers() {
            head += &format!("{name}: {}\r\n", value.to_str().expect("text"));
        }
        if !request.body().is_empty() {
            head += &format!("content-length: {}\r\n", request.body().len());
        }
        [head.as_bytes(), b"\r\n", request.body()].concat()
    }

    fn text(answer: Http1Response) -> String {
        let mut head: Vec<_> = answer.head.lines().collect();
        head.retain(|line| !line.starts_with("date: "));
        head.sort_unstable();
        let body = body_text(&answer.body);
        format!("{head:#?}\n{body}\n{} {}", answer.trailers, answer.complete)
    }
}

/// All answers, as text, from one connection.
fn ask_all(backend: Backend, addr: SocketAddr) -> Vec<String> {
    deadline(async {
        let client = H2Client::connect(backend, addr).await;
        client
            .run(|sender| async move {
                let mut answers = Vec::new();
                for request in requests() {
                    let answer = send(&sender, request, None).await;
                    answers.push(text(answer.expect("answered")));
                }
                answers
            })
            .await
    })
}

fn text(answer: Answer) -> String {
    let mut headers: Vec<_> = answer
        .head
        .headers
        .iter()
        .filter(|(name, value)| match **name {
            header::DATE => false,
            // hyper leaves it out if there is no body.
            header::CONTENT_LENGTH => *value != "0",
            _ => true,
        })
        .map(|(name, value)| format!("{name}: {value:?}"))
        .collect();
    headers.sort();
    let body = body_text(&answer.body);
    let trailers = answer.trailers.as_ref().map(HeaderMap::len);
    let status = answer.head.status;
    format!("{status}\n{headers:#?}\n{body}\n{trailers:?}")
}

fn requests() -> Vec<Request<Bytes>> {
    let get = |path: &str, headers: &[(&str, &str)]| request("GET", path, headers, "");
    let post = |path: &str, content_type: &str, body: &str| {
        request("POST", path, &[("content-type", content_type)], body)
    };
    let parts = "--x\r\ncontent-disposition: form-data; name=\"a\"\r\n\r\nfirst\r\n\
        --x\r\ncontent-disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\n\0\r\n--x--\r\n";
    vec![
        get("/", &[]),
        request("HEAD", "/", &[], ""),
        request("OPTIONS", "/", &[("origin", "https://a.test")], ""),
        request("DELETE", "/", &[], ""),
        get("/", &[("accept-encoding", "gzip")]),
        get("/", &[("origin", "https://a.test"), ("x-request-id", "7")]),
        get("/who", &[]),
        get("/query?name=a%20b&age=7", &[]),
        get("/query?name=a", &[]),
        post("/form", "application/x-www-form-urlencoded", "name=a&age=7"),
        post("/form", "text/plain", "name=a&age=7"),
        post("/json", "application/json", r#"{"name": "a", "age": 7}"#),
        post("/json", "application/json", r#"{"name": "a", "age": 700}"#),
        post("/multipart", "multipart/form-data; boundary=x", parts),
        post(
            "/multipart",
            "multipart/form-data; boundary=x",
            "--x\r\ncut off",
        ),
        get("/events", &[]),
        get("/download", &[]),
        get("/download", &[("accept-encoding", "gzip")]),
        post("/upload", "text/plain", &"x".repeat(100_000)),
        compressed("/echo"),
        compressed("/upload"),
        post("/limited", "text/plain", &"x".repeat(1000)),
        post("/limited", "text/plain", &"x".repeat(1001)),
        post("/echo", "text/plain", &"echo".repeat(50_000)),
        get("/slow", &[]),
        get("/spawned", &[]),
        get("/panics", &[]),
        get("/private", &[]),
        get(
            "/private",
            &[("authorization", "Basic dXNlcjpwYXNzd29yZA==")],
        ),
        get("/files/text.txt", &[]),
        request("HEAD", "/files/text.txt", &[], ""),
        get("/files/text.txt", &[("accept-encoding", "gzip")]),
        get("/files/text.txt", &[("range", "bytes=2-5")]),
        get("/files/text.txt", &[("range", "bytes=900-")]),
        get(
            "/files/text.txt",
            &[("if-modified-since", "Fri, 01 Jan 2100 00:00:00 GMT")],
        ),
        get("/files/../Cargo.toml", &[]),
        get("/files/%2e%2e/Cargo.toml", &[]),
        get("/files/none", &[]),
        get("/none", &[]),
    ]
}

/// "compressed, compressed, compressed", by gzip.
const COMPRESSED: &[u8] =
    b"\x1f\x8b\x08\0\0\0\0\0\x02\x03\x4b\xce\xcf\x2d\x28\x4a\x2d\x2e\x4e\x4d\xd1\x51\x48\xc6\xca\
    \x06\0\x32\xe6\xf5\xbd\x22\0\0\0";

fn compressed(path: &str) -> Request<Bytes> {
    let mut request = request("POST", path, &[("content-encoding", "gzip")], "");
    *request.body_mut() = Bytes::from_static(COMPRESSED);
    request
}

fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Request<Bytes> {
    let mut request = Request::builder()
        .method(method)
        .uri(format!("https://localhost{path}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request
        .body(Bytes::from(body.to_owned()))
        .expect("a request")
}

fn body_text(body: &[u8]) -> String {
    let mut body = body.escape_ascii().to_string();
    // How many fit into a pause depends on the machine.
    const KEEP_ALIVE: &str = r": still here\n\n";
    while body.contains(&KEEP_ALIVE.repeat(2)) {
        body = body.replace(&KEEP_ALIVE.repeat(2), KEEP_ALIVE);
    }
    body
}
