//! Bodies and trailers in both directions, and streams that last.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use corelane::{Body, Driver, service_fn};
use corelane_gateway::{ProxyOptions, Upstream};
use corelane_test_support::{
    Backend, H2Client, TestServer,
    backends::NONE,
    client::{get, post, receive, send},
    deadline,
};
use http::{HeaderMap, HeaderValue, Method, Request, Response};

use tokio::sync::Notify;

use crate::upstream::{Raw, ask, everywhere, on_both_drivers, proxy, upload};

/// An upstream of HTTP/2: it sends each request's body and trailers back as they come.
pub fn echo(driver: Driver) -> TestServer {
    TestServer::start(NONE.acceptor(), driver, |_worker| {
        service_fn(async |request: Request<Body>| {
            let mut response = Response::builder();
            for name in ["te", "x-forwarded-for", "content-length", ":authority"] {
                if let Some(value) = request.headers().get(name) {
                    response = response.header(format!("saw-{name}"), value);
                }
            }
            let authority = request.uri().authority().map_or("", |it| it.as_str());
            let response = response.header("saw-authority", authority);
            Ok::<_, Infallible>(response.body(request.into_body()).expect("a response"))
        })
    })
}

pub fn http2(server: &TestServer) -> Upstream {
    format!("http2://{}", server.addr)
        .parse()
        .expect("an upstream")
}

/// What gRPC needs: HTTP/2 to the upstream, `te`, and trailers in both directions.
#[test]
fn trailers_pass_both_ways_over_http2() {
    everywhere(|backend, driver| {
        let upstream = echo(driver);
        let server = proxy(
            backend,
            driver,
            vec![http2(&upstream)],
            ProxyOptions::default(),
        );
        for _ in 0..2 {
            let mut request = post("/", "ping");
            let te = HeaderValue::from_static("trailers");
            request.headers_mut().insert("te", te);
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", HeaderValue::from_static("0"));
            let answer = deadline(async {
                let client = H2Client::connect(backend, server.addr).await;
                let sent = trailers.clone();
                client
                    .run(|requests| async move { send(&requests, request, Some(sent)).await })
                    .await
            });
            let answer = answer.expect("an answer");
            assert_eq!(answer.body, b"ping");
            assert_eq!(answer.trailers, Some(trailers));
            assert_eq!(answer.head.headers["saw-te"], "trailers");
            assert_eq!(answer.head.headers["saw-authority"], "localhost");
            assert_eq!(answer.head.headers["saw-x-forwarded-for"], "127.0.0.1");
        }
    });
}

/// RFC 9110 section 6.5: HTTP/1.1 has trailers in chunked bodies.
#[test]
fn trailers_pass_both_ways_over_http1() {
    everywhere(|backend, driver| {
        let upstream = Raw::start(|connection| {
            let head = connection.head()?;
            assert!(head.contains("transfer-encoding: chunked\r\n"), "{head}");
            let mut body = String::new();
            while !body.ends_with("\r\n\r\n") {
                body.push_str(&connection.line()?);
            }
            (connection.tell)(body);
            connection.write(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n\
                 4\r\npong\r\n0\r\nX-Sum: 2\r\nContent-Length: 9\r\n\r\n",
            )
        });
        let server = proxy(
            backend,
            driver,
            vec![upstream.http()],
            ProxyOptions::default(),
        );
        let mut request = post("/", "ping");
        let names = HeaderValue::from_static("x-sum, transfer-encoding");
        request.headers_mut().insert("trailer", names);
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", HeaderValue::from_static("1"));
        let answer = deadline(async {
            let client = H2Client::connect(backend, server.addr).await;
            client
                .run(|requests| async move { send(&requests, request, Some(trailers)).await })
                .await
        });
        let answer = answer.expect("an answer");
        assert_eq!(upstream.next(), "4\r\nping\r\n0\r\nx-sum: 1\r\n\r\n");
        assert_eq!(answer.body, b"pong");
        let trailers = answer.trailers.expect("trailers");
        assert_eq!(trailers.len(), 1);
        assert_eq!(trailers["x-sum"], "2");
    });
}

/// RFC 9110 section 10.1.1: the proxy answers `expect` when it takes the body.
#[test]
fn expectation_is_met_by_the_proxy() {
    on_both_drivers(|driver| {
        let upstream = Raw::start(|connection| {
            let head = connection.head()?;
            assert!(!head.contains("expect"), "{head}");
            let body = connection.body(4)?;
            (connection.tell)(String::from_utf8_lossy(&body).into_owned());
            connection.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        });
        let server = proxy(NONE, driver, vec![upstream.http()], ProxyOptions::default());
        let mut request = upload("/", "ping");
        let expect = HeaderValue::from_static("100-continue");
        request.headers_mut().insert("expect", expect);
        let answer = ask(NONE, &server, request).expect("an answer");
        assert_eq!(answer.head.status, 200);
        assert_eq!(upstream.next(), "ping");
    });
}

/// The time limit is the upstream's: a client that thinks for longer between two messages is not cut
/// off, neither before the head of the response nor after it.
#[test]
fn time_in_which_the_client_sends_nothing_does_not_count() {
    on_both_drivers(|driver| {
        let echo = echo(driver);
        let raw = Raw::start(|connection| {
            connection.head()?;
            let mut chunk = connection.line()?;
            chunk.push_str(&connection.line()?);
            while chunk != "0\r\n\r\n" {
                chunk = connection.line()?;
                chunk.push_str(&connection.line()?);
            }
            connection.write("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nonetwo..")
        });
        let mut options = ProxyOptions::default();
        options.response_timeout = Duration::from_millis(200);
        let think = || tokio::time::sleep(Duration::from_millis(300));
        let ask = async |upstream| {
            let server = proxy(NONE, driver, vec![upstream], options.clone());
            let client = H2Client::connect(NONE, server.addr).await;
            let answer = client.run(|requests| async move {
                let mut requests = requests.ready().await.expect("ready");
                let request = Request::post("http://localhost/").body(());
                let (response, mut stream) = requests
                    .send_request(request.expect("a request"), false)
                    .expect("sent");
                let upload = async {
                    for (message, end) in [("one", false), ("two", false), ("..", true)] {
                        stream.send_data(message.into(), end).expect("sent");
                        think().await;
                    }
                };
                tokio::join!(receive(response), upload).0
            });
            assert_eq!(answer.await.expect("an answer").body, b"onetwo..");
        };
        deadline(async { tokio::join!(ask(http2(&echo)), ask(raw.http())) });
    });
}

/// The upstream has its whole time from the end of the upload on, though the response has waited for
/// longer than that.
#[test]
fn time_limit_counts_from_the_end_of_the_upload() {
    const LIMIT: Duration = Duration::from_millis(600);
    const UPLOAD: Duration = Duration::from_millis(900);
    const ANSWER: Duration = Duration::from_millis(450);
    on_both_drivers(|driver| {
        let upstream = Raw::start(|connection| {
            connection.head()?;
            connection.write("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\none")?;
            while connection.line()? != "0\r\n" {}
            std::thread::sleep(ANSWER);
            connection.write("two")
        });
        let mut options = ProxyOptions::default();
        options.response_timeout = LIMIT;
        let server = proxy(NONE, driver, vec![upstream.http()], options);
        let answer = deadline(async {
            let client = H2Client::connect(NONE, server.addr).await;
            let exchange = client.run(|requests| async move {
                let mut requests = requests.ready().await.expect("ready");
                let request = Request::post("http://localhost/").body(());
                let (response, mut stream) = requests
                    .send_request(request.expect("a request"), false)
                    .expect("sent");
                let upload = async {
                    stream.send_data("a".into(), false).expect("sent");
                    tokio::time::sleep(UPLOAD).await;
                    stream.send_data("b".into(), true).expect("sent");
                };
                tokio::join!(receive(response), upload).0
            });
            exchange.await
        });
        assert_eq!(answer.expect("an answer").body, b"onetwo");
    });
}

/// A stream that the upstream resets, and an upstream that goes away, over HTTP/2.
#[test]
fn reset_stream_of_an_http2_upstream_is_reset_for_the_client() {
    on_both_drivers(|driver| {
        let fail = Arc::new(Notify::new());
        let failing = Arc::clone(&fail);
        let upstream = TestServer::start(NONE.acceptor(), driver, move |_worker| {
            let fail = Arc::clone(&failing);
            service_fn(move |request: Request<Body>| {
                let fail = Arc::clone(&fail);
                async move {
                    match request.uri().path() {
                        "/before" => Err("failed"),
                        "/after" => Ok(Response::new(Part::until(fail))),
                        _ => Ok(Response::new(Part::empty())),
                    }
                }
            })
        });
        let server = proxy(
            NONE,
            driver,
            vec![http2(&upstream)],
            ProxyOptions::default(),
        );
        let answer = ask(NONE, &server, get("/before")).expect("an answer");
        assert_eq!(answer.head.status, 502);
        deadline(async {
            let client = H2Client::connect(NONE, server.addr).await;
            client
                .run(|requests| async move {
                    let mut requests = requests.ready().await.expect("ready");
                    let request = Request::get("http://localhost/after").body(());
                    let (response, _) = requests
                        .send_request(request.expect("a request"), true)
                        .expect("sent");
                    let mut body = response.await.expect("a head").into_body();
                    let data = body.data().await.expect("data").expect("a part");
                    assert_eq!(data, "part");
                    fail.notify_one();
                    let end = body.data().await.expect("not the end");
                    assert!(end.expect_err("a reset").is_reset());
                })
                .await;
        });
        let answer = ask(NONE, &server, get("/")).expect("an answer");
        assert_eq!(answer.head.status, 200);
        upstream.stop(Duration::ZERO);
        let answer = ask(NONE, &server, get("/")).expect("an answer");
        assert_eq!(answer.head.status, 502);
    });
}

/// A body that fails when it is told to; or an empty one.
struct Part {
    data: Option<Bytes>,
    failure: Option<Pin<Box<dyn Future<Output = ()>>>>,
}

impl Part {
    fn until(fail: Arc<Notify>) -> Self {
        Self {
            data: Some("part".into()),
            failure: Some(Box::pin(async move { fail.notified().await })),
        }
    }

    fn empty() -> Self {
        Self {
            data: None,
            failure: None,
        }
    }
}

impl http_body::Body for Part {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, &'static str>>> {
        if let Some(data) = self.data.take() {
            return Poll::Ready(Some(Ok(http_body::Frame::data(data))));
        }
        match &mut self.failure {
            None => Poll::Ready(None),
            Some(failure) => failure.as_mut().poll(cx).map(|()| Some(Err("failed"))),
        }
    }
}

/// More requests at once than one connection takes, and bodies of many sizes.
#[test]
fn many_requests_share_the_connections_of_http2() {
    everywhere(|backend: Backend, driver| {
        let upstream = echo(driver);
        let server = proxy(
            backend,
            driver,
            vec![http2(&upstream)],
            ProxyOptions::default(),
        );
        deadline(async {
            let client = H2Client::connect(backend, server.addr).await;
            client
                .run(|requests| async move {
                    let asks = (0..150_usize).map(|i| {
                        let requests = requests.clone();
                        async move {
                            let body = vec![i as u8; i * 500];
                            let mut request = post("/", body.clone());
                            *request.method_mut() = Method::PUT;
                            let answer = send(&requests, request, None).await;
                            assert_eq!(answer.expect("an answer").body, body);
                        }
                    });
                    futures_util::future::join_all(asks).await;
                })
                .await;
        });
    });
}
