//! Tests gRPC calls: deadlines, calls that last, and the statuses that the server itself sends.

use std::{
    future::pending,
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use corelane::{Body, Driver, Error, Http2Config, Limits, grpc_timeout, service_fn};
use corelane_test_support::{
    Backend, Drivers, H2Client, Pattern, TestServer,
    client::{Answer, deadline, send},
    for_each_backend,
    frames::{ACK, END_HEADERS, END_STREAM, data, frame, headers, hpack, kind},
    peer::Peer,
    running::{Run, Running},
};
use http::{Request, Response};
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};

for_each_backend!(
    deadline_ends_a_call_that_waits,
    deadline_ends_a_response_that_has_begun,
    malformed_deadline_is_internal,
    other_requests_have_no_deadline,
    silent_call_lives_while_pings_are_answered,
    call_of_a_dead_peer_ends,
    call_that_is_too_large_is_resource_exhausted,
    call_whose_handler_fails_is_internal,
);

const LONG: Duration = Duration::from_secs(300);

/// "/wait" never answers, "/endless" never ends its answer, "/fail" fails, others read the request and
/// answer with it.
fn server(
    backend: Backend,
    driver: Driver,
    limits: Limits,
    http2: Http2Config,
) -> (TestServer, Arc<Running>) {
    let running = Arc::new(Running::default());
    let counted = Arc::clone(&running);
    let options = |builder: corelane::Builder| builder.limits(limits).http2(http2);
    let server = TestServer::with(backend.acceptor(), driver, options, move |_| {
        let running = Arc::clone(&counted);
        grpc_timeout(service_fn(move |request: Request<Body>| {
            let run = Run::begin(&running);
            async move {
                let body = answer(request).await;
                drop(run);
                body.map(Response::new)
            }
        }))
    });
    (server, running)
}

async fn answer(request: Request<Body>) -> io::Result<UnsyncBoxBody<Bytes, Error>> {
    match request.uri().path() {
        "/wait" => pending().await,
        "/endless" => Ok(Pattern::of(u64::MAX).boxed_unsync()),
        "/fail" => Err(io::Error::other("the test's error")),
        _ => {
            let body = request.into_body().collect().await;
            let body = body.map_err(io::Error::other)?;
            let whole = Full::new(body.to_bytes());
            Ok(whole.map_err(|never| match never {}).boxed_unsync())
        }
    }
}

fn call(path: &str, timeout: Option<&str>, content_type: &str) -> Request<Bytes> {
    let request = Request::post(format!("https://localhost{path}"))
        .header("content-type", content_type)
        .header("te", "trailers");
    let request = match timeout {
        Some(timeout) => request.header("grpc-timeout", timeout),
        None => request,
    };
    request
        .body(Bytes::from_static(b"a message"))
        .expect("a request")
}

fn ask(backend: Backend, server: &TestServer, request: Request<Bytes>) -> Answer {
    deadline(async {
        let client = H2Client::connect(backend, server.addr).await;
        let answer = client.run(|requests| async move { send(&requests, request, None).await });
        answer.await.expect("answered")
    })
}

/// The status in a response that has only trailers.
fn status(answer: &Answer) -> &str {
    assert_eq!(answer.head.status, 200);
    assert_eq!(answer.head.headers["content-type"], "application/grpc");
    assert!(answer.body.is_empty());
    answer.head.headers["grpc-status"].to_str().expect("ASCII")
}

fn deadline_ends_a_call_that_waits(backend: Backend) {
    for &driver in Drivers::all() {
        let (server, running) = server(backend, driver, Limits::default(), Http2Config::default());
        let begun = Instant::now();
        let answer = ask(
            backend,
            &server,
            call("/wait", Some("300m"), "application/grpc"),
        );
        assert_eq!(status(&answer), "4");
        assert!(begun.elapsed() >= Duration::from_millis(300));
        assert_eq!(running.now(), 0, "the handler is dropped");
    }
}

fn deadline_ends_a_response_that_has_begun(backend: Backend) {
    for &driver in Drivers::all() {
        let (server, _) = server(backend, driver, Limits::default(), Http2Config::default());
        let request = call("/endless", Some("100000u"), "application/grpc+proto");
        let answer = ask(backend, &server, request);
        assert!(!answer.body.is_empty());
        let trailers = answer.trailers.expect("trailers");
        assert_eq!(trailers["grpc-status"], "4");
    }
}

fn malformed_deadline_is_internal(backend: Backend) {
    let (server, running) = server(
        backend,
        Driver::Epoll,
        Limits::default(),
        Http2Config::default(),
    );
    let answer = ask(
        backend,
        &server,
        call("/", Some("1.5S"), "application/grpc"),
    );
    assert_eq!(status(&answer), "13");
    assert_eq!(running.most(), 0, "the handler is not called");
}

fn other_requests_have_no_deadline(backend: Backend) {
    let (server, _) = server(
        backend,
        Driver::Epoll,
        Limits::default(),
        Http2Config::default(),
    );
    for (timeout, content_type) in [
        (Some("0m"), "application/json"),
        (Some("1.5S"), "application/grpc-web"),
        (None, "application/grpc"),
    ] {
        let answer = ask(backend, &server, call("/", timeout, content_type));
        assert_eq!(answer.body, b"a message", "{content_type}");
    }
}

/// Opens a call and leaves it open.
async fn open_call(backend: Backend, server: &TestServer) -> Peer {
    let mut peer = Peer::open(backend, server, &[]).await;
    let fields = [
        ("content-type", &b"application/grpc"[..]),
        ("te", b"trailers"),
    ];
    let head = headers(1, END_HEADERS, &hpack::request("POST", "/", &fields));
    peer.send(&head).await.expect("sent");
    peer
}

fn silent_call_lives_while_pings_are_answered(backend: Backend) {
    for &driver in Drivers::all() {
        let mut limits = Limits::default().keep_alive_timeout(LONG);
        limits.body = Duration::from_millis(50);
        let (server, _) = server(backend, driver, limits, Http2Config::default());
        deadline(async {
            let mut peer = open_call(backend, &server).await;
            // As long as four limits.
            for _ in 0..4 {
                let frames = peer.until(|frame| frame.is(kind::PING, 0)).await;
                assert!(frames.iter().all(|frame| !frame.is(kind::HEADERS, 1)));
                let ping = frames.last().expect("a PING");
                let answer = frame(kind::PING, ACK, 0, &ping.payload);
                peer.send(&answer).await.expect("sent");
            }
            peer.send(&data(1, END_STREAM, b"at last"))
                .await
                .expect("sent");
            let answer = peer.until(|frame| frame.ends(1)).await;
            let message = answer.iter().find(|frame| frame.is(kind::DATA, 1));
            assert_eq!(message.expect("a message").payload, b"at last");
        });
        assert_eq!(server.counters()[0].bodies_timed_out, 0);
    }
}

fn call_of_a_dead_peer_ends(backend: Backend) {
    for &driver in Drivers::all() {
        let mut limits = Limits::default().keep_alive_timeout(Duration::from_millis(50));
        limits.body = Duration::from_millis(50);
        let (server, running) = server(backend, driver, limits, Http2Config::default());
        deadline(async {
            let mut peer = open_call(backend, &server).await;
            peer.until_closed().await;
        });
        server.wait_for("the end", |counters| counters.connections_closed == 1);
        assert_eq!(server.counters()[0].keep_alive_timeouts, 1);
        assert_eq!(running.now(), 0, "the handler is dropped");
    }
}

fn call_that_is_too_large_is_resource_exhausted(backend: Backend) {
    let http2 = Http2Config::default().max_request_body_size(3);
    let (server, _) = server(backend, Driver::Epoll, Limits::default(), http2);
    let answer = ask(backend, &server, call("/", None, "application/grpc"));
    assert_eq!(status(&answer), "8");
}

fn call_whose_handler_fails_is_internal(backend: Backend) {
    let (server, _) = server(
        backend,
        Driver::Epoll,
        Limits::default(),
        Http2Config::default(),
    );
    let answer = ask(backend, &server, call("/fail", None, "application/grpc"));
    assert_eq!(status(&answer), "13");
    assert_eq!(server.counters()[0].handler_errors, 1);
}
