//! Tests HTTP/2 from a client's view: streams, bodies, trailers, flow control, and failing
//! handlers.

use std::{
    cell::Cell,
    convert::Infallible,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use corelane::{Body, Error, service_fn};
use corelane_test_support::{
    Backend, Drivers, H2Client, Pattern, TestServer,
    client::{DEADLINE, get, post, send},
    deadline, for_each_backend,
};
use futures_util::future::join_all;
use h2::Reason;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body::Frame;
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};

for_each_backend!(
    hundred_concurrent_streams,
    echo_keeps_body_and_trailers,
    handlers_of_a_connection_run_concurrently,
    stalled_stream_does_not_block_others,
    send_buffer_limit_stops_polling_body,
    handler_panic_resets_only_its_stream,
    failing_body_resets_its_stream,
    reset_request_drops_its_handler,
    reset_upload_is_not_a_handler_error,
    head_204_and_304_have_no_body,
    date_and_content_length_are_added,
    continue_is_sent_when_body_is_read,
    unread_body_stops_the_peer,
    idle_connection_is_closed,
    stream_without_window_times_out,
    oversized_headers_are_rejected,
    cookie_in_pieces_is_joined,
);

type AnyBody = UnsyncBoxBody<Bytes, Error>;

/// The responses of the test server, by path.
async fn answer(request: Request<Body>) -> Result<Response<AnyBody>, Infallible> {
    let full = |bytes: Bytes| {
        Full::new(bytes)
            .map_err(|never| match never {})
            .boxed_unsync()
    };
    let path = request.uri().path().to_owned();
    Ok(match path.as_str() {
        "/hello" => Response::new(full("hello".into())),
        "/echo" => Response::new(request.into_body().boxed_unsync()),
        "/endless" => Response::new(Pattern::of(u64::MAX).boxed_unsync()),
        "/read" => {
            let body = request.into_body().collect().await;
            Response::new(full(
                body.map_or_else(|_| Bytes::new(), |body| body.to_bytes()),
            ))
        }
        "/panic" => panic!("a handler's bug"),
        "/panic-in-body" => Response::new(
            Failing {
                panics: true,
                sent: false,
            }
            .boxed_unsync(),
        ),
        "/panic-in-size-hint" => Response::new(Immeasurable.boxed_unsync()),
        "/fail-in-body" => Response::new(
            Failing {
                panics: false,
                sent: false,
            }
            .boxed_unsync(),
        ),
        "/cookies" => {
            let cookies = request.headers().get_all(header::COOKIE);
            let cookies: Vec<_> = cookies.iter().map(HeaderValue::as_bytes).collect();
            Response::new(full(cookies.join(&b'|').into()))
        }
        "/ignore" => Response::new(full("ignored".into())),
        "/204" => status(StatusCode::NO_CONTENT, full("not allowed".into())),
        "/304" => status(StatusCode::NOT_MODIFIED, full("not allowed".into())),
        "/connection-headers" => {
            let mut response = Response::new(full("x".into()));
            for name in [
                "connection",
                "keep-alive",
                "proxy-connection",
                "transfer-encoding",
                "upgrade",
                "te",
            ] {
                let value = HeaderValue::from_static("x");
                response.headers_mut().insert(name, value);
            }
            response
        }
        _ => status(StatusCode::NOT_FOUND, full(Bytes::new())),
    })
}

fn status(status: StatusCode, body: AnyBody) -> Response<AnyBody> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
}

/// A body that sends a little and then fails.
struct Failing {
    panics: bool,
    sent: bool,
}

impl http_body::Body for Failing {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if !std::mem::replace(&mut self.sent, true) {
            return Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"so far so good")))));
        }
        assert!(!self.panics, "a body's bug");
        Poll::Ready(Some(Err(Error::config("a body that fails"))))
    }
}

/// Panics in `size_hint`.
struct Immeasurable;

impl http_body::Body for Immeasurable {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        Poll::Ready(None)
    }

    fn size_hint(&self) -> http_body::SizeHint {
        panic!("another bug of a body")
    }
}

/// Runs one server per driver, with [`answer`], and a client for it.
fn with_client<F: Future<Output = ()>>(
    backend: Backend,
    work: impl Fn(H2Client, std::sync::Arc<TestServer>) -> F,
) {
    for &driver in Drivers::all() {
        let server = TestServer::start(backend.acceptor(), driver, |_| service_fn(answer));
        let server = std::sync::Arc::new(server);
        deadline(async {
            let client = H2Client::connect(backend, server.addr).await;
            work(client, std::sync::Arc::clone(&server)).await;
        });
    }
}

fn hundred_concurrent_streams(backend: Backend) {
    with_client(backend, |client, _server| {
        client.run(|requests| async move {
            let answers = (0..100).map(|i| {
                let body = format!("request {i} ").repeat(100);
                let requests = &requests;
                async move {
                    (
                        send(requests, post("/echo", body.clone()), None).await,
                        body,
                    )
                }
            });
            for (answer, body) in join_all(answers).await {
                assert_eq!(answer.expect("answered").body, body.as_bytes());
            }
        })
    });
}

fn echo_keeps_body_and_trailers(backend: Backend) {
    with_client(backend, |client, _server| {
        client.run(|requests| async move {
            let mut trailers = HeaderMap::new();
            trailers.insert("checksum", HeaderValue::from_static("42"));
            let request = post("/echo", "with trailers");
            let answer = send(&requests, request, Some(trailers.clone())).await;
            let answer = answer.expect("answered");
            assert_eq!(answer.body, b"with trailers");
            assert_eq!(answer.trailers, Some(trailers));
        })
    });
}

fn handlers_of_a_connection_run_concurrently(backend: Backend) {
    for &driver in Drivers::all() {
        // No request gets a response before three have arrived.
        let server = TestServer::start(backend.acceptor(), driver, |_| {
            let arrived = Rc::new(Cell::new(0));
            service_fn(move |_request: Request<Body>| {
                let arrived = Rc::clone(&arrived);
                arrived.set(arrived.get() + 1);
                async move {
                    std::future::poll_fn(|cx| match arrived.get() {
                        3.. => Poll::Ready(()),
                        _ => {
                            cx.waker().wake_by_ref();
                            Poll::Pending
                        }
                    })
                    .await;
                    Ok::<_, Infallible>(Response::new(String::from("together")))
                }
            })
        });
        deadline(async {
            let client = H2Client::connect(backend, server.addr).await;
            client
                .run(|requests| async move {
                    let answers = (0..3).map(|_| send(&requests, get("/"), None));
                    for answer in join_all(answers).await {
                        assert_eq!(answer.expect("answered").body, b"together");
                    }
                })
                .await;
        });
    }
}

fn stalled_stream_does_not_block_others(backend: Backend) {
    const STREAM_WINDOW: usize = 65_535;
    for &driver in Drivers::all() {
        let server = TestServer::start(backend.acceptor(), driver, |_| service_fn(answer));
        deadline(async {
            let mut wide = h2::client::Builder::new();
            wide.initial_window_size(STREAM_WINDOW as u32)
                .initial_connection_window_size(1024 * 1024);
            let client = H2Client::with(backend, server.addr, &mut wide).await;
            client
                .run(|requests| async move {
                    let mut stalled = requests.clone().ready().await.expect("ready");
                    let request = Request::get("https://localhost/endless").body(());
                    let (response, _) = stalled
                        .send_request(request.expect("a request"), true)
                        .expect("sent");
                    let mut body = response.await.expect("a response").into_body();
                    let mut received = 0;
                    while received < STREAM_WINDOW {
                        received += body.data().await.expect("more").expect("data").len();
                    }
                    // The stream's window stays closed: other streams continue, this one does not.
                    let answer = send(&requests, get("/hello"), None).await;
                    assert_eq!(answer.expect("answered").body, b"hello");
                    let more = tokio::time::timeout(Duration::from_millis(100), body.data());
                    assert!(more.await.is_err(), "more than the window was sent");
                    // After its window opens, it continues too.
                    body.flow_control()
                        .release_capacity(received)
                        .expect("released");
                    assert!(!body.data().await.expect("more").expect("data").is_empty());
                })
                .await;
        });
    }
}

fn send_buffer_limit_stops_polling_body(backend: Backend) {
    for &driver in Drivers::all() {
        let asked = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
        let (counting, (blocks, more)) = (asked.clone(), std::sync::mpsc::channel());
        let server = TestServer::start(backend.acceptor(), driver, move |_| {
            let (counting, blocks) = (counting.clone(), blocks.clone());
            service_fn(move |_request: Request<Body>| {
                let (counting, blocks) = (counting.clone(), blocks.clone());
                let mut pattern = Pattern::of(u64::MAX);
                let frames = futures_util::stream::repeat_with(move || {
                    let block = pattern.next().expect("endless");
                    counting.fetch_add(block.len() as u64, std::sync::atomic::Ordering::Relaxed);
                    let _ = blocks.send(());
                    Ok::<_, Infallible>(Frame::data(block))
                });
                let body = http_body_util::StreamBody::new(frames);
                std::future::ready(Ok::<_, Infallible>(Response::new(body)))
            })
        });
        deadline(async {
            // The windows are at their maximum, and the client reads nothing from the socket.
            let mut wide = h2::client::Builder::new();
            wide.initial_window_size((1 << 31) - 1)
                .initial_connection_window_size((1 << 31) - 1);
            let client = H2Client::with(backend, server.addr, &mut wide).await;
            let mut held = Vec::new();
            client
                .run(|requests| async {
                    let mut requests = requests;
                    for _ in 0..4 {
                        requests = requests.ready().await.expect("ready");
                        let request = Request::get("https://localhost/").body(()).expect("valid");
                        let (response, stream) =
                            requests.send_request(request, true).expect("sent");
                        held.push((response, stream));
                    }
                    for (response, _) in &mut held {
                        response.await.expect("a response");
                    }
                })
                .await;
            // Nothing polls the connection any more, so the server stops when all buffers in
            // between are full.
            while more.recv_timeout(Duration::from_millis(500)).is_ok() {}
        });
        let asked = asked.load(std::sync::atomic::Ordering::Relaxed);
        // 1 MiB of send buffer, one block per stream, the socket buffers of both ends (4 and 6 MiB
        // at most), and the bytes that the client read before it stopped.
        assert!(asked < 32 * 1024 * 1024, "asked for {asked} bytes");
    }
}

fn handler_panic_resets_only_its_stream(backend: Backend) {
    with_client(backend, |client, server| async move {
        client
            .run(|requests| async move {
                for (path, reason) in [
                    ("/panic", Reason::INTERNAL_ERROR),
                    ("/panic-in-body", Reason::INTERNAL_ERROR),
                    ("/panic-in-size-hint", Reason::INTERNAL_ERROR),
                ] {
                    let error = send(&requests, get(path), None).await.expect_err("reset");
                    assert_eq!(error.reason(), Some(reason), "{path}");
                    let answer = send(&requests, get("/hello"), None).await;
                    assert_eq!(answer.expect("the connection lives").body, b"hello");
                }
            })
            .await;
        assert_eq!(server.counters()[0].handler_panics, 3);
    });
}

fn failing_body_resets_its_stream(backend: Backend) {
    with_client(backend, |client, server| async move {
        client
            .run(|requests| async move {
                let error = send(&requests, get("/fail-in-body"), None).await;
                let error = error.expect_err("reset");
                assert_eq!(error.reason(), Some(Reason::INTERNAL_ERROR));
                let answer = send(&requests, get("/hello"), None).await;
                assert_eq!(answer.expect("the connection lives").body, b"hello");
            })
            .await;
        assert_eq!(server.counters()[0].handler_errors, 1);
    });
}

fn reset_upload_is_not_a_handler_error(backend: Backend) {
    with_client(backend, |client, server| async move {
        client
            .run(|requests| async move {
                let (head, ()) = post("/echo", "").map(drop).into_parts();
                let mut ready = requests.clone().ready().await.expect("ready");
                let request = Request::from_parts(head, ());
                let (response, mut upload) = ready.send_request(request, false).expect("sent");
                upload.send_data("begun".into(), false).expect("sent");
                let mut body = response.await.expect("an answer").into_body();
                let begun = body.data().await.expect("data").expect("data");
                assert_eq!(begun, "begun");
                upload.send_reset(Reason::CANCEL);
                let answer = send(&requests, get("/hello"), None).await;
                assert_eq!(answer.expect("the connection lives").body, b"hello");
            })
            .await;
        let counters = server.counters()[0];
        assert_eq!(counters.handler_errors, 0);
        assert_eq!(counters.requests_abandoned, 1);
        assert_eq!((counters.requests, counters.requests_answered), (2, 1));
    });
}

fn reset_request_drops_its_handler(backend: Backend) {
    struct Dropped(std::sync::mpsc::Sender<()>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            let _ = self.0.send(());
        }
    }
    for &driver in Drivers::all() {
        let (sender, dropped) = std::sync::mpsc::channel();
        let (started, mut starting) = tokio::sync::mpsc::unbounded_channel();
        let server = TestServer::start(backend.acceptor(), driver, move |_| {
            let (sender, started) = (sender.clone(), started.clone());
            service_fn(move |_request: Request<Body>| {
                let guard = Dropped(sender.clone());
                let _ = started.send(());
                async move {
                    let _guard = guard;
                    std::future::pending::<Result<Response<String>, Infallible>>().await
                }
            })
        });
        deadline(async {
            let client = H2Client::connect(backend, server.addr).await;
            client
                .run(|requests| async move {
                    let mut ready = requests.ready().await.expect("ready");
                    let request = Request::get("https://localhost/")
                        .body(())
                        .expect("a request");
                    let (response, mut stream) = ready.send_request(request, true).expect("sent");
                    starting.recv().await.expect("the handler runs");
                    stream.send_reset(Reason::CANCEL);
                    drop(response);
                    // Another request drives the connection until the reset is sent.
                    let request = Request::get("https://localhost/")
                        .body(())
                        .expect("a request");
                    let _second = ready
                        .ready()
                        .await
                        .expect("ready")
                        .send_request(request, true);
                    starting.recv().await.expect("the second handler runs");
                })
                .await;
        });
        dropped
            .recv_timeout(DEADLINE)
            .expect("the handler of the reset request was dropped");
    }
}

fn head_204_and_304_have_no_body(backend: Backend) {
    with_client(backend, |client, _server| {
        client.run(|requests| async move {
            let mut head = get("/hello");
            *head.method_mut() = Method::HEAD;
            let answer = send(&requests, head, None).await.expect("answered");
            assert_eq!(answer.head.headers[header::CONTENT_LENGTH], "5");
            assert!(answer.body.is_empty());
            for path in ["/204", "/304"] {
                let answer = send(&requests, get(path), None).await.expect("answered");
                assert!(answer.body.is_empty(), "{path}");
                assert!(!answer.head.headers.contains_key(header::CONTENT_LENGTH));
            }
        })
    });
}

fn date_and_content_length_are_added(backend: Backend) {
    with_client(backend, |client, _server| {
        client.run(|requests| async move {
            let answer = send(&requests, get("/connection-headers"), None).await;
            let headers = answer.expect("answered").head.headers;
            assert_eq!(headers[header::CONTENT_LENGTH], "1");
            assert!(headers.contains_key(header::DATE));
            assert_eq!(headers.len(), 2, "nothing that HTTP/2 forbids: {headers:?}");
        })
    });
}

fn continue_is_sent_when_body_is_read(backend: Backend) {
    with_client(backend, |client, _server| {
        client.run(|requests| async move {
            for (path, wanted) in [("/read", true), ("/ignore", false)] {
                let mut requests = requests.clone().ready().await.expect("ready");
                let mut request = post(path, "").map(drop);
                let expect = HeaderValue::from_static("100-continue");
                request.headers_mut().insert(header::EXPECT, expect);
                let (mut response, mut stream) =
                    requests.send_request(request, false).expect("sent");
                let informational =
                    std::future::poll_fn(|cx| match response.poll_informational(cx) {
                        Poll::Ready(Some(Ok(informational))) => {
                            Poll::Ready(Some(informational.status()))
                        }
                        Poll::Ready(_) => Poll::Ready(None),
                        Poll::Pending => Poll::Pending,
                    })
                    .await;
                let got = informational == Some(StatusCode::CONTINUE);
                assert_eq!(got, wanted, "{path}: {informational:?}");
                if wanted {
                    stream.send_data("body".into(), true).expect("sent");
                }
                response.await.expect("a response");
            }
        })
    });
}

fn unread_body_stops_the_peer(backend: Backend) {
    for &driver in Drivers::all() {
        let server = TestServer::start(backend.acceptor(), driver, |_| {
            service_fn(async |request: Request<Body>| {
                let _held = request;
                std::future::pending::<Result<Response<String>, Infallible>>().await
            })
        });
        deadline(async {
            let client = H2Client::connect(backend, server.addr).await;
            client
                .run(|requests| async move {
                    let mut ready = requests.ready().await.expect("ready");
                    let request = post("/", "").map(drop);
                    let (_response, mut stream) = ready.send_request(request, false).expect("sent");
                    let mut sent = 0;
                    const WINDOW: usize = 1024 * 1024;
                    while sent < WINDOW {
                        stream.reserve_capacity(WINDOW);
                        let granted = match stream.capacity() {
                            0 => std::future::poll_fn(|cx| stream.poll_capacity(cx))
                                .await
                                .expect("open")
                                .expect("capacity"),
                            granted => granted,
                        };
                        let piece = vec![0; granted.min(WINDOW - sent)];
                        sent += piece.len();
                        stream.send_data(piece.into(), false).expect("sent");
                    }
                    stream.reserve_capacity(1);
                    let more = std::future::poll_fn(|cx| stream.poll_capacity(cx));
                    let waited = tokio::time::timeout(Duration::from_millis(200), more).await;
                    assert!(
                        waited.is_err(),
                        "more than the window was granted: {waited:?}"
                    );
                })
                .await;
        });
    }
}

fn idle_connection_is_closed(backend: Backend) {
    for &driver in Drivers::all() {
        let limits = corelane::Limits::default().idle(Duration::from_millis(100));
        let server = TestServer::with(
            backend.acceptor(),
            driver,
            |builder| builder.limits(limits),
            |_| service_fn(answer),
        );
        deadline(async {
            let client = H2Client::connect(backend, server.addr).await;
            let server = &server;
            client
                .run(|requests| async move {
                    let answer = send(&requests, get("/hello"), None).await;
                    assert_eq!(answer.expect("answered").body, b"hello");
                    // The client then sends nothing until the server's GOAWAY.
                    let mut requests = requests;
                    while let Ok(ready) = requests.ready().await {
                        requests = ready;
                        tokio::task::yield_now().await;
                        if server.counters()[0].connections_closed == 1 {
                            break;
                        }
                    }
                })
                .await;
            server.wait_for("closed", |counters| counters.connections_closed == 1);
            assert_eq!(server.counters()[0].connections_failed, 0, "a clean close");
        });
    }
}

fn stream_without_window_times_out(backend: Backend) {
    for &driver in Drivers::all() {
        let limits = corelane::Limits::default().write(Duration::from_millis(100));
        let server = TestServer::with(
            backend.acceptor(),
            driver,
            |builder| builder.limits(limits),
            |_| service_fn(answer),
        );
        deadline(async {
            let client = H2Client::connect(backend, server.addr).await;
            client
                .run(|requests| async move {
                    let mut ready = requests.ready().await.expect("ready");
                    let request = Request::get("https://localhost/endless")
                        .body(())
                        .expect("valid");
                    let (response, _) = ready.send_request(request, true).expect("sent");
                    let mut body = response.await.expect("a response").into_body();
                    let error = loop {
                        match body.data().await.expect("no end of the stream") {
                            Ok(_unreleased) => {}
                            Err(error) => break error,
                        }
                    };
                    assert_eq!(error.reason(), Some(Reason::CANCEL), "{error}");
                })
                .await;
            assert_eq!(server.counters()[0].streams_stalled, 1);
        });
    }
}

fn oversized_headers_are_rejected(backend: Backend) {
    with_client(backend, |client, _server| {
        client.run(|requests| async move {
            let mut request = get("/hello");
            let value = HeaderValue::from_str(&"x".repeat(17 * 1024)).expect("a value");
            request.headers_mut().insert("large", value);
            let answer = send(&requests, request, None).await.expect("answered");
            let too_large = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
            assert_eq!(answer.head.status, too_large);
            let answer = send(&requests, get("/hello"), None).await;
            assert_eq!(answer.expect("the connection lives").body, b"hello");
        })
    });
}

/// RFC 9113 section 8.2.3.
fn cookie_in_pieces_is_joined(backend: Backend) {
    with_client(backend, |client, _server| {
        client.run(|requests| async move {
            let long = "x".repeat(1000);
            let cases: [(&[&[u8]], &[u8]); 6] = [
                (&[], b""),
                (&[b"sid=1; lang=en"], b"sid=1; lang=en"),
                (
                    &[b"sid=1", b"lang=en", b"theme=dark"],
                    b"sid=1; lang=en; theme=dark",
                ),
                (&[b"b=2; a=1", b"b=2"], b"b=2; a=1; b=2"),
                (&[b"a=\xff\x80", b"b=2"], b"a=\xff\x80; b=2"),
                (
                    &[long.as_bytes(), b"a=1"],
                    &[long.as_bytes(), b"; a=1"].concat(),
                ),
            ];
            for (pieces, cookie) in cases {
                let mut request = get("/cookies");
                for piece in pieces {
                    let piece = HeaderValue::from_bytes(piece).expect("a value");
                    request.headers_mut().append(header::COOKIE, piece);
                }
                let answer = send(&requests, request, None).await.expect("answered");
                assert_eq!(
                    answer.body.escape_ascii().to_string(),
                    cookie.escape_ascii().to_string()
                );
            }
        })
    });
}
