//! HTTP/1.1: requests and responses, connections that are kept or closed, time limits.
#![cfg(feature = "http1")]

use std::{convert::Infallible, time::Duration};

use corelane::{Body, Builder, ProtocolName, service_fn, tls::TlsConfig};
use corelane_test_support::{
    Backend, Drivers, Http1Client, Pattern, TestServer, certs::identity, deadline, for_each_backend,
};
use http::{Request, Response};
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};

for_each_backend!(requests_follow_one_another);

type Answer = Response<UnsyncBoxBody<bytes::Bytes, corelane::Error>>;

fn full(text: String) -> Answer {
    Response::new(
        Full::from(text)
            .map_err(|never| match never {})
            .boxed_unsync(),
    )
}

/// Answers with the method, the target, the version and the length of the body.
async fn echo(request: Request<Body>) -> Result<Answer, corelane::Error> {
    let (head, body) = request.into_parts();
    let length = body.collect().await?.to_bytes().len();
    let line = format!("{} {} {:?} {length}", head.method, head.uri, head.version);
    Ok(full(line))
}

fn start(
    backend: Backend,
    driver: corelane::Driver,
    options: fn(Builder) -> Builder,
) -> TestServer {
    let names = || [ProtocolName::H2, ProtocolName::HTTP_1_1];
    let config = TlsConfig::new(identity()).alpn_protocols(names());
    TestServer::with(
        (backend.make)(&config).expect("an acceptor"),
        driver,
        |builder| options(builder.protocols(names())),
        |_| service_fn(echo),
    )
}

fn requests_follow_one_another(backend: Backend) {
    for &driver in Drivers::all() {
        let server = start(backend, driver, |builder| builder);
        deadline(async {
            let mut client = Http1Client::connect(backend, &server).await;
            for _ in 0..2 {
                let answer = client
                    .ask("GET /a HTTP/1.1\r\nhost: localhost\r\n\r\n")
                    .await;
                assert_eq!(answer.text(), "GET /a HTTP/1.1 0");
                assert!(!answer.closes());
                let answer = client
                    .ask("POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5\r\n\r\nhello")
                    .await;
                assert_eq!(answer.text(), "POST / HTTP/1.1 5");
            }
            client.end().await;
            assert!(client.is_closed().await);
        });
    }
}
