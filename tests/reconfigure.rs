//! Tests that a running server takes over the options of another builder for new connections.

use std::{convert::Infallible, io::Read, net::TcpStream, time::Duration};

use corelane::{Body, Builder, Http2Config, Limits, Server, service_fn, tls::Cleartext};
use corelane_test_support::{
    Backend, Drivers, H2Client, TestServer,
    client::{DEADLINE, post, send},
    deadline, for_each_backend,
};
use h2::client::SendRequest;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;

for_each_backend!(
    reconfigure_affects_only_new_connections,
    failed_reconfigure_changes_nothing,
    reconfigure_changes_limits_of_workers,
);

/// Reads the body, so that its limit applies.
async fn read(request: Request<Body>) -> Result<Response<String>, Infallible> {
    let body = request.into_body().collect().await;
    let length = body.map_or(0, |body| body.to_bytes().len());
    Ok(Response::new(length.to_string()))
}

fn start(backend: Backend, driver: corelane::Driver) -> TestServer {
    TestServer::with(
        backend.acceptor(),
        driver,
        |b| b.workers(2),
        |_| service_fn(read),
    )
}

fn changed(backend: Backend, options: impl FnOnce(Builder) -> Builder) -> Builder {
    options(Server::builder(backend.acceptor()))
}

fn largest_body(backend: Backend, bytes: u64) -> Builder {
    let http2 = Http2Config::default().max_request_body_size(Some(bytes));
    changed(backend, |builder| builder.http2(http2))
}

async fn status(requests: &SendRequest<bytes::Bytes>) -> StatusCode {
    let answer = send(requests, post("/", "ten bytes!"), None).await;
    answer.expect("answered").head.status
}

async fn status_on_new_connection(backend: Backend, server: &TestServer) -> StatusCode {
    let client = H2Client::connect(backend, server.addr).await;
    client
        .run(|requests| async move { status(&requests).await })
        .await
}

fn reconfigure_affects_only_new_connections(backend: Backend) {
    for &driver in Drivers::all() {
        let server = start(backend, driver);
        let reloader = server.handle().reloader();
        deadline(async {
            let old = H2Client::connect(backend, server.addr).await;
            let server = &server;
            old.run(|requests| async move {
                assert_eq!(status(&requests).await, StatusCode::OK);
                let smaller = largest_body(backend, 9);
                reloader.reconfigure(smaller).expect("accepted");
                // Both workers, whichever gets the connection.
                for _ in 0..8 {
                    let got = status_on_new_connection(backend, server).await;
                    assert_eq!(got, StatusCode::PAYLOAD_TOO_LARGE);
                }
                assert_eq!(status(&requests).await, StatusCode::OK);
                let larger = largest_body(backend, 10);
                reloader.reconfigure(larger).expect("accepted");
                let got = status_on_new_connection(backend, server).await;
                assert_eq!(got, StatusCode::OK);
            })
            .await;
        });
    }
}

fn failed_reconfigure_changes_nothing(backend: Backend) {
    for &driver in Drivers::all() {
        let server = start(backend, driver);
        let reloader = server.handle().reloader();
        let before = largest_body(backend, 9);
        reloader.reconfigure(before).expect("accepted");
        let broken_limit =
            largest_body(backend, 100).limits(Limits::default().idle(Duration::ZERO));
        let no_workers_limit = largest_body(backend, 100).max_connections(0);
        let mut refused = vec![
            (broken_limit, "idle"),
            (no_workers_limit, "max_connections"),
        ];
        if backend.tls {
            let http2 = Http2Config::default();
            let cleartext = Server::builder(Cleartext).http2(http2);
            refused.push((cleartext, "speaks no TLS"));
        }
        for (builder, reason) in refused {
            let error = reloader.reconfigure(builder).expect_err(reason);
            assert!(error.is_config(), "{error}");
            assert!(error.to_string().contains(reason), "{error}");
        }
        deadline(async {
            let got = status_on_new_connection(backend, &server).await;
            assert_eq!(got, StatusCode::PAYLOAD_TOO_LARGE);
        });
    }
}

fn reconfigure_changes_limits_of_workers(backend: Backend) {
    for &driver in Drivers::all() {
        let server = TestServer::start(backend.acceptor(), driver, |_| service_fn(read));
        let reloader = server.handle().reloader();
        let one = changed(backend, |builder| builder.max_connections(1));
        reloader.reconfigure(one).expect("accepted");
        deadline(async {
            let first = H2Client::connect(backend, server.addr).await;
            let mut second = TcpStream::connect(server.addr).expect("the kernel's doing");
            second.set_read_timeout(Some(DEADLINE)).expect("a time-out");
            assert_eq!(second.read(&mut [0; 9]).expect("an end"), 0);
            server.wait_for("counted", |c| c.connections_refused == 1);
            let two = changed(backend, |builder| builder.max_connections(2));
            reloader.reconfigure(two).expect("accepted");
            let got = status_on_new_connection(backend, &server).await;
            assert_eq!(got, StatusCode::OK);
            drop(first);
        });
    }
}
