//! Tests faulty handlers, which cost only their own stream or their own connection.
//!
//! `http2.rs` tests panics of a handler, of its body and of its `size_hint`, and errors of a body.
//! `server.rs` tests a panic of the factory.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use corelane::{Body, service_fn};
use corelane_test_support::{
    Backend, Drivers, H2Client, Pattern, TestServer,
    client::{DEADLINE, get, post, send},
    deadline, for_each_backend,
};
use futures_util::future::Either;
use h2::Reason;
use http::{
    HeaderMap, HeaderValue, Method, Request, Response, StatusCode,
    header::{CONTENT_LENGTH, HeaderName},
};
use http_body::{Frame, SizeHint};
use http_body_util::{BodyExt, Empty, Full, StreamBody, combinators::UnsyncBoxBody};
use tower_service::Service;

for_each_backend!(
    poll_ready_panic_or_error_resets_only_its_stream,
    clone_or_drop_panic_closes_only_its_connection,
    endless_body_is_dropped_with_its_stream,
    endless_body_is_dropped_with_its_connection,
    wrong_content_length_resets_stream,
    correct_content_length_is_sent,
    forbidden_trailers_are_removed,
    large_trailers_are_sent,
    data_after_trailers_resets_stream,
    informational_status_resets_stream,
);

/// Is ready every second time, and otherwise panics or fails.
#[derive(Clone, Default)]
struct Unready {
    asked: Arc<AtomicUsize>,
}

impl Service<Request<Body>> for Unready {
    type Response = Response<String>;
    type Error = io::Error;
    type Future = Ready<Result<Response<String>, io::Error>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), io::Error>> {
        Poll::Ready(match self.asked.fetch_add(1, Ordering::SeqCst) % 4 {
            0 => panic!("a bug in poll_ready"),
            2 => Err(io::ErrorKind::Other.into()),
            _ => Ok(()),
        })
    }

    fn call(&mut self, _request: Request<Body>) -> Self::Future {
        ready(Ok(Response::new("well".into())))
    }
}

fn poll_ready_panic_or_error_resets_only_its_stream(backend: Backend) {
    for &driver in Drivers::all() {
        let server = TestServer::start(backend.acceptor(), driver, |_| Unready::default());
        deadline(async {
            let client = H2Client::connect(backend, server.addr).await;
            client
                .run(|requests| async move {
                    for _ in 0..2 {
                        let error = send(&requests, get("/"), None).await.expect_err("reset");
                        assert_eq!(error.reason(), Some(Reason::INTERNAL_ERROR));
                        let answer = send(&requests, get("/"), None).await;
                        assert_eq!(answer.expect("the connection lives").body, b"well");
                    }
                })
                .await;
        });
        let counters = server.counters()[0];
        assert_eq!((counters.handler_panics, counters.handler_errors), (1, 1));
    }
}

/// Panics in the clone for the second connection's second request, or when it is dropped with a
/// request in flight.
struct Brittle {
    clones: Arc<AtomicUsize>,
}

impl Clone for Brittle {
    fn clone(&self) -> Self {
        let clones = self.clones.fetch_add(1, Ordering::SeqCst);
        // A connection with one request makes two clones. The next connection makes one for itself
        // and one for its first request.
        assert!(clones != 4, "a bug in clone");
        Self {
            clones: Arc::clone(&self.clones),
        }
    }
}

struct PanicsWhenDropped;

impl Drop for PanicsWhenDropped {
    fn drop(&mut self) {
        panic!("a bug in drop");
    }
}

impl Service<Request<Body>> for Brittle {
    type Response = Response<String>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<String>, Infallible>>>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let waits = request.uri().path() == "/wait";
        Box::pin(async move {
            if waits {
                let _bug = PanicsWhenDropped;
                std::future::pending::<()>().await;
            }
            Ok(Response::new("well".into()))
        })
    }
}

fn clone_or_drop_panic_closes_only_its_connection(backend: Backend) {
    for &driver in Drivers::all() {
        let server = TestServer::start(backend.acceptor(), driver, |_| Brittle {
            clones: Arc::default(),
        });
        let ask = async |path: &str, times: usize| {
            let client = H2Client::connect(backend, server.addr).await;
            let last = client.run(|requests| async move {
                for _ in 1..times {
                    let answer = send(&requests, get("/"), None).await;
                    assert_eq!(answer.expect("answered").body, b"well");
                }
                send(&requests, get(path), None).await
            });
            last.await.map(|answer| answer.body)
        };
        deadline(async {
            let open = H2Client::connect(backend, server.addr).await;
            open.run(|requests| async move {
                let answer = send(&requests, get("/"), None).await;
                assert_eq!(answer.expect("answered").body, b"well");
                let error = ask("/", 2).await.expect_err("the connection ends");
                assert!(error.is_io() || error.is_go_away(), "{error:?}");
                let answer = send(&requests, get("/"), None).await;
                assert_eq!(answer.expect("one that was open lives").body, b"well");
            })
            .await;
            assert_eq!(ask("/", 3).await.expect("a new one lives"), b"well");
        });
        deadline(async {
            let waiting = std::pin::pin!(ask("/wait", 1));
            let asked = std::pin::pin!(async {
                while server.counters()[0].requests < 8 {
                    tokio::task::yield_now().await;
                }
            });
            let asked = futures_util::future::select(waiting, asked).await;
            assert!(matches!(asked, Either::Right(_)), "it waits");
        });
        server.wait_for("dropped", |c| c.connection_panics == 2);
        deadline(async {
            assert_eq!(ask("/", 3).await.expect("another one lives"), b"well");
        });
        server.stop(DEADLINE);
    }
}

/// Counts the live bodies.
struct Alive(Arc<AtomicUsize>);

impl Alive {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(count))
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

type AnyBody = UnsyncBoxBody<Bytes, Infallible>;

/// `/send` answers with an endless body, `/wait` with one that never yields.
fn endless(path: &str, alive: &Arc<AtomicUsize>) -> AnyBody {
    let alive = Alive::new(alive);
    let mut pattern = Pattern::of(u64::MAX);
    match path {
        "/send" => {
            let frames = std::iter::from_fn(move || {
                let _ = &alive;
                pattern.next().map(|block| Ok(Frame::data(block)))
            });
            StreamBody::new(futures_util::stream::iter(frames)).boxed_unsync()
        }
        _ => {
            let frames = futures_util::stream::poll_fn(move |_cx| {
                let _ = &alive;
                Poll::<Option<Result<Frame<Bytes>, Infallible>>>::Pending
            });
            StreamBody::new(frames).boxed_unsync()
        }
    }
}

/// Requests both kinds of bodies, then ends the streams, or the connection with them.
fn endless_bodies_end(backend: Backend, connection_too: bool) {
    for &driver in Drivers::all() {
        let alive = Arc::new(AtomicUsize::new(0));
        let handlers = Arc::clone(&alive);
        let server = TestServer::start(backend.acceptor(), driver, move |_| {
            let alive = Arc::clone(&handlers);
            service_fn(move |request: Request<Body>| {
                let body = endless(request.uri().path(), &alive);
                ready(Ok::<_, Infallible>(Response::new(body)))
            })
        });
        deadline(async {
            let client = H2Client::connect(backend, server.addr).await;
            let alive = &alive;
            let streams = client.run(|requests| async move {
                let mut streams = Vec::new();
                for path in ["/send", "/wait"] {
                    let mut requests = requests.clone().ready().await.expect("ready");
                    let head = get(path).map(|_| ());
                    let (response, _) = requests.send_request(head, true).expect("sent");
                    streams.push(response.await.expect("a response").into_body());
                }
                assert_eq!(alive.load(Ordering::SeqCst), 2);
                if connection_too {
                    return streams;
                }
                // RST_STREAM, CANCEL.
                drop(streams);
                none_left(alive).await;
                Vec::new()
            });
            drop(streams.await);
            none_left(alive).await;
        });
    }
}

async fn none_left(alive: &AtomicUsize) {
    while alive.load(Ordering::SeqCst) > 0 {
        tokio::task::yield_now().await;
    }
}

fn endless_body_is_dropped_with_its_stream(backend: Backend) {
    endless_bodies_end(backend, false);
}

fn endless_body_is_dropped_with_its_connection(backend: Backend) {
    endless_bodies_end(backend, true);
}

/// A body of ten bytes in two frames, with trailers if wanted; its `size_hint` may be wrong.
struct Ten {
    frames: Vec<Frame<Bytes>>,
    hint: SizeHint,
}

impl Ten {
    fn new(trailers: bool) -> Self {
        let mut frames = vec![Frame::data("01234".into()), Frame::data("56789".into())];
        if trailers {
            frames.push(Frame::trailers(HeaderMap::new()));
        }
        Self {
            frames,
            hint: SizeHint::default(),
        }
    }

    fn hinting(length: u64) -> Self {
        Self {
            hint: SizeHint::with_exact(length),
            ..Self::new(false)
        }
    }
}

impl http_body::Body for Ten {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let more = !self.frames.is_empty();
        Poll::Ready(more.then(|| Ok(self.frames.remove(0))))
    }

    fn size_hint(&self) -> SizeHint {
        self.hint
    }
}

/// The path gives the declared length, the body and the status: `/7/ten/200`.
async fn declares(request: Request<Body>) -> Result<Response<AnyBody>, Infallible> {
    let path = request.uri().path().to_owned();
    let mut parts = path.split('/').skip(1);
    let declared = parts.next().unwrap_or_default();
    let body = match parts.next().unwrap_or_default() {
        "ten" => Ten::new(false).boxed_unsync(),
        "ten-trailers" => Ten::new(true).boxed_unsync(),
        "ten-hinting-9" => Ten::hinting(9).boxed_unsync(),
        "ten-hinting-11" => Ten::hinting(11).boxed_unsync(),
        "full" => Full::new(Bytes::from("0123456789")).boxed_unsync(),
        _ => Empty::new().boxed_unsync(),
    };
    let mut response = Response::new(body);
    for length in declared.split('+').filter(|length| !length.is_empty()) {
        let length = HeaderValue::from_str(length).expect("a value");
        response.headers_mut().append(CONTENT_LENGTH, length);
    }
    let status = parts.next().unwrap_or("200");
    *response.status_mut() = status.parse::<StatusCode>().expect("a status");
    Ok(response)
}

/// RFC 9113 section 8.1.1: a client has to treat such a response as malformed. A client that does
/// not check could take it for complete, so the server resets the stream and never ends it.
fn wrong_content_length_resets_stream(backend: Backend) {
    let lies = [
        "/9/ten",
        "/11/ten",
        "/9/ten-trailers",
        "/11/ten-trailers",
        "//ten-hinting-9",
        "//ten-hinting-11",
        "/9/full",
        "/11/full",
        "/0/full",
        "/1/empty",
        "/10+11/full",
        "/11+10/full",
        "/ten/full",
    ];
    for &driver in Drivers::all() {
        let server = TestServer::start(backend.acceptor(), driver, |_| service_fn(declares));
        deadline(async {
            for path in lies {
                let client = H2Client::connect(backend, server.addr).await;
                client
                    .run(|requests| async move {
                        let mut requests = requests.ready().await.expect("ready");
                        let head = get(path).map(|_| ());
                        let (response, _) = requests.send_request(head, true).expect("sent");
                        // h2's own client checks the length, so the test reads the bytes one by
                        // one.
                        let error = match response.await {
                            Ok(response) => last_error(response.into_body()).await,
                            Err(error) => Some(error),
                        };
                        let error = error.unwrap_or_else(|| panic!("{path} is complete"));
                        assert_eq!(error.reason(), Some(Reason::INTERNAL_ERROR), "{path}");
                        assert!(error.is_remote(), "{path}: {error}");
                    })
                    .await;
            }
        });
        assert_eq!(server.counters()[0].handler_errors, lies.len() as u64);
    }
}

async fn last_error(mut body: h2::RecvStream) -> Option<h2::Error> {
    while let Some(data) = body.data().await {
        if let Err(error) = data {
            return Some(error);
        }
    }
    body.trailers().await.err()
}

fn correct_content_length_is_sent(backend: Backend) {
    for &driver in Drivers::all() {
        let server = TestServer::start(backend.acceptor(), driver, |_| service_fn(declares));
        deadline(async {
            let client = H2Client::connect(backend, server.addr).await;
            client
                .run(|requests| async move {
                    for (method, path, length) in [
                        (Method::GET, "/10/ten", 10),
                        (Method::GET, "/10/ten-trailers", 10),
                        (Method::GET, "/10+10/full", 10),
                        (Method::GET, "//ten", 10),
                        (Method::GET, "//full", 10),
                        (Method::GET, "/0/empty", 0),
                        // The length of the response to a GET (RFC 9110 sections 9.3.2 and 15.4.5).
                        (Method::HEAD, "/12/empty", 0),
                        (Method::HEAD, "/12/ten", 0),
                        (Method::GET, "/12/empty/304", 0),
                        (Method::GET, "/12/ten/304", 0),
                    ] {
                        let mut request = get(path);
                        *request.method_mut() = method;
                        let answer = send(&requests, request, None).await;
                        assert_eq!(answer.expect("complete").body.len(), length, "{path}");
                    }
                })
                .await;
        });
        assert_eq!(server.counters()[0].handler_errors, 0);
    }
}

/// The trailers that the application sends, as lines of a request's body.
fn trailers(lines: &str) -> HeaderMap {
    let fields = lines.lines().map(|line| {
        let (name, value) = line.split_once(": ").expect("a field");
        (
            HeaderName::from_bytes(name.as_bytes()).expect("a name"),
            HeaderValue::from_str(value).expect("a value"),
        )
    });
    fields.collect()
}

/// Sends some data, then the trailers that the request's body lists.
async fn sends_trailers(request: Request<Body>) -> Result<Response<AnyBody>, Infallible> {
    let lines = request.into_body().collect().await.expect("complete");
    let lines = String::from_utf8(lines.to_bytes().into()).expect("text");
    Ok(Response::new(frames(vec![
        Frame::data("data".into()),
        Frame::trailers(trailers(&lines)),
    ])))
}

fn frames(frames: Vec<Frame<Bytes>>) -> AnyBody {
    let frames = futures_util::stream::iter(frames.into_iter().map(Ok));
    StreamBody::new(frames).boxed_unsync()
}

/// RFC 9113 section 8.2.2, and RFC 9110 section 6.5.1 for `content-length`.
fn forbidden_trailers_are_removed(backend: Backend) {
    let forbidden = [
        "connection: close",
        "keep-alive: timeout=5",
        "proxy-connection: keep-alive",
        "transfer-encoding: chunked",
        "upgrade: websocket",
        "te: gzip",
        "te: trailers",
        "content-length: 4",
        "content-length: 5",
    ];
    let all = &*forbidden.join("\n");
    for &driver in Drivers::all() {
        let server = TestServer::start(backend.acceptor(), driver, |_| service_fn(sends_trailers));
        deadline(async {
            let client = H2Client::connect(backend, server.addr).await;
            client
                .run(|requests| async move {
                    let allowed = "grpc-status: 0\nx: 1\nx: 2";
                    for forbidden in forbidden.into_iter().chain([all]) {
                        for (lines, expected) in [
                            (forbidden.to_owned(), ""),
                            (format!("{forbidden}\n{allowed}"), allowed),
                            (format!("{allowed}\n{forbidden}"), allowed),
                        ] {
                            let answer = send(&requests, post("/", lines), None).await;
                            let answer = answer.unwrap_or_else(|e| panic!("{forbidden}: {e}"));
                            assert_eq!(answer.body, b"data", "{forbidden}");
                            let left = answer.trailers.unwrap_or_default();
                            assert_eq!(left, trailers(expected), "{forbidden}");
                        }
                    }
                })
                .await;
        });
        let counters = server.counters()[0];
        assert_eq!(counters.requests_answered, counters.requests);
        assert_eq!(counters.handler_errors, 0);
    }
}

/// They do not fit into one frame.
fn large_trailers_are_sent(backend: Backend) {
    let lines: Vec<_> = (0..100)
        .map(|i| format!("field-{i}: {}", "~".repeat(1000)))
        .collect();
    let lines = &lines.join("\n");
    for &driver in Drivers::all() {
        let server = TestServer::start(backend.acceptor(), driver, |_| service_fn(sends_trailers));
        deadline(async {
            let client = H2Client::connect(backend, server.addr).await;
            client
                .run(|requests| async move {
                    let answer = send(&requests, post("/", lines.clone()), None).await;
                    let left = answer.expect("complete").trailers;
                    assert_eq!(left, Some(trailers(lines)));
                })
                .await;
        });
        assert_eq!(server.counters()[0].requests_answered, 1);
    }
}

/// A client would take the response for complete without the data.
fn data_after_trailers_resets_stream(backend: Backend) {
    resets_stream(backend, &["/"], |_path| {
        Response::new(frames(vec![
            Frame::data("data".into()),
            Frame::trailers(trailers("x: y")),
            Frame::data("more".into()),
        ]))
    });
}

/// A response has one final status, and the server has sent nothing before it.
fn informational_status_resets_stream(backend: Backend) {
    resets_stream(backend, &["/100", "/101", "/103", "/199"], |path| {
        let mut response = Response::new(frames(vec![Frame::data("data".into())]));
        *response.status_mut() = path[1..].parse().expect("a status");
        response
    });
}

/// Each path gets `INTERNAL_ERROR`. It counts as the handler's error, not as the client's reset.
fn resets_stream(backend: Backend, paths: &[&str], answer: fn(&str) -> Response<AnyBody>) {
    for &driver in Drivers::all() {
        let server = TestServer::start(backend.acceptor(), driver, move |_| {
            service_fn(move |request: Request<Body>| {
                ready(Ok::<_, Infallible>(answer(request.uri().path())))
            })
        });
        deadline(async {
            let client = H2Client::connect(backend, server.addr).await;
            client
                .run(|requests| async move {
                    for path in paths {
                        let error = send(&requests, get(path), None).await;
                        let error = error.expect_err("reset");
                        assert_eq!(error.reason(), Some(Reason::INTERNAL_ERROR), "{path}");
                        assert!(error.is_remote(), "{path}: {error}");
                    }
                })
                .await;
        });
        let counters = server.counters()[0];
        assert_eq!(counters.handler_errors, paths.len() as u64);
        assert_eq!(counters.requests_abandoned, 0);
    }
}
