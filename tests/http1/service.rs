//! The service of these tests, and servers with it.

use std::{convert::Infallible, io, time::Duration};

use bytes::Bytes;
use corelane::{Body, Builder, Driver, Error, ProtocolName, service_fn, tls::TlsConfig};
use corelane_test_support::{Backend, Pattern, TestServer, certs::identity};
use futures_util::{StreamExt, stream};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header::CONTENT_LENGTH};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};

pub type AnyBody = UnsyncBoxBody<Bytes, io::Error>;

pub const LARGE: u64 = 3_000_000;

/// A server of `h2` and `http/1.1`.
pub fn start(
    backend: Backend,
    driver: Driver,
    options: impl FnOnce(Builder) -> Builder,
) -> TestServer {
    let names = || [ProtocolName::H2, ProtocolName::HTTP_1_1];
    let config = TlsConfig::new(identity()).alpn_protocols(names());
    TestServer::with(
        (backend.make)(&config).expect("an acceptor"),
        driver,
        |builder| options(builder.protocols(names())),
        |_| service_fn(answer),
    )
}

pub fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n")
}

pub fn post(path: &str, lines: &str, body: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nhost: localhost\r\n{lines}\r\n\r\n{body}")
}

fn full(text: impl Into<Bytes>) -> AnyBody {
    let body = Full::new(text.into());
    body.map_err(|never: Infallible| match never {})
        .boxed_unsync()
}

/// A body whose length the server does not know.
fn frames(frames: Vec<Result<Frame<Bytes>, io::Error>>) -> AnyBody {
    StreamBody::new(stream::iter(frames)).boxed_unsync()
}

fn data(text: &'static str) -> Result<Frame<Bytes>, io::Error> {
    Ok(Frame::data(Bytes::from_static(text.as_bytes())))
}

async fn answer(request: Request<Body>) -> Result<Response<AnyBody>, io::Error> {
    let (head, body) = request.into_parts();
    let mut response = Response::new(AnyBody::default());
    match head.uri.path() {
        "/large" => {
            let pattern = Pattern::of(LARGE).map_err(|error: Error| io::Error::other(error));
            *response.body_mut() = pattern.boxed_unsync();
        }
        "/chunks" => *response.body_mut() = frames(vec![data("one, "), data(""), data("two")]),
        "/trailers" => {
            let trailers = HeaderMap::from_iter([
                (
                    "x-sum".parse().expect("a name"),
                    HeaderValue::from_static("7"),
                ),
                (CONTENT_LENGTH, HeaderValue::from_static("7")),
            ]);
            *response.body_mut() = frames(vec![data("text"), Ok(Frame::trailers(trailers))]);
            let names = HeaderValue::from_static("x-sum, content-length");
            response.headers_mut().insert("trailer", names);
        }
        "/no-content" => *response.status_mut() = StatusCode::NO_CONTENT,
        "/unread" => *response.body_mut() = full("unread"),
        "/held" => {
            // Until the connection ends.
            let body = body.boxed_unsync();
            let _held: UnsyncBoxBody<Bytes, Error> = body;
            std::future::pending::<()>().await;
        }
        "/panic" => panic!("as wanted"),
        "/error" => return Err(io::Error::other("as wanted")),
        "/endless" => {
            let body = stream::iter([data("text")]).chain(stream::pending());
            *response.body_mut() = StreamBody::new(body).boxed_unsync();
        }
        "/late-panic" => {
            let body = stream::iter([data("text")]).chain(stream::poll_fn(|_| panic!("as wanted")));
            *response.body_mut() = StreamBody::new(body).boxed_unsync();
        }
        "/late-error" => {
            *response.body_mut() = frames(vec![data("text"), Err(io::Error::other("as wanted"))])
        }
        "/short" => declare(&mut response, "5", "four"),
        "/long" => declare(&mut response, "3", "four"),
        "/unknown-short" => {
            *response.body_mut() = frames(vec![data("four")]);
            response
                .headers_mut()
                .insert(CONTENT_LENGTH, HeaderValue::from_static("5"));
        }
        "/early" => *response.status_mut() = StatusCode::EARLY_HINTS,
        "/close" => {
            response
                .headers_mut()
                .insert("connection", HeaderValue::from_static("close"));
        }
        "/framing" => {
            *response.body_mut() = full("text");
            let gzip = HeaderValue::from_static("gzip");
            response.headers_mut().insert("transfer-encoding", gzip);
        }
        _ => {
            let body = body.collect().await.map_err(io::Error::other)?;
            let trailers = body.trailers().map_or(0, HeaderMap::len);
            let length = body.to_bytes().len();
            let line = format!("{} {} {:?}", head.method, head.uri, head.version);
            *response.body_mut() = full(format!("{line} {length} {trailers}"));
        }
    }
    Ok(response)
}

fn declare(response: &mut Response<AnyBody>, length: &'static str, text: &'static str) {
    let length = HeaderValue::from_static(length);
    response.headers_mut().insert(CONTENT_LENGTH, length);
    *response.body_mut() = full(text);
}

/// Times that are short enough to wait for.
pub fn short() -> corelane::Limits {
    const SHORT: Duration = Duration::from_millis(200);
    corelane::Limits::default()
        .head(SHORT)
        .body(SHORT)
        .idle(SHORT)
        .write(SHORT)
}
