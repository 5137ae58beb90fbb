//! Limits: of time, and of the size of bodies.

use std::time::Duration;

use corelane::Http2Config;
use corelane_test_support::{Backend, Drivers, Http1Client, deadline, for_each_backend};

use crate::service::{get, post, short, start};

for_each_backend!(
    slow_heads_get_408,
    slow_bodies_get_408,
    one_byte_bodies_get_408,
    idle_connections_are_closed,
    oversized_bodies_get_413,
    silent_unread_bodies_end_the_connection,
    endless_unread_bodies_end_the_connection,
    responses_that_are_not_read_end_the_connection,
    slowly_read_responses_end_the_connection,
);

/// Bytes a second that no client here reaches.
const TOO_FAST: u32 = u32::MAX;

fn slow_heads_get_408(backend: Backend) {
    for &driver in Drivers::all() {
        let limits = short().idle(Duration::from_secs(60));
        let server = start(backend, driver, |builder| builder.limits(limits));
        deadline(async {
            // A byte now and then does not help.
            let mut client = Http1Client::connect(backend, &server).await;
            client.ask(get("/")).await;
            let mut often = tokio::time::interval(Duration::from_millis(10));
            while server.counters()[0].heads_timed_out == 0 {
                often.tick().await;
                client.send(b"G").await;
            }
            let mut client = Http1Client::connect(backend, &server).await;
            let answer = client.ask("GET / HTTP/1.1\r\nhost: localhost\r\n").await;
            assert_eq!(answer.status, 408);
            assert!(answer.closes() && client.is_closed().await);
            // Behind a request, in one piece with it.
            let mut client = Http1Client::connect(backend, &server).await;
            client.ask(get("/") + "GET /").await;
            let answer = client.response(false).await.expect("a response");
            assert_eq!(answer.status, 408);
        });
        server.wait_for("408", |it| it.heads_timed_out == 3);
    }
}

fn slow_bodies_get_408(backend: Backend) {
    for &driver in Drivers::all() {
        let server = start(backend, driver, |builder| builder.limits(short()));
        deadline(async {
            for lines in ["content-length: 5", "transfer-encoding: chunked"] {
                let mut client = Http1Client::connect(backend, &server).await;
                let answer = client.ask(post("/", lines, "3")).await;
                assert_eq!(answer.status, 408);
                assert!(answer.closes() && client.is_closed().await);
            }
        });
        server.wait_for("408", |it| it.bodies_timed_out == 2);
    }
}

/// The client never pauses.
fn one_byte_bodies_get_408(backend: Backend) {
    for &driver in Drivers::all() {
        let limits = short().min_rate(TOO_FAST);
        let server = start(backend, driver, |builder| builder.limits(limits));
        deadline(async {
            let mut client = Http1Client::connect(backend, &server).await;
            let request = post("/", "transfer-encoding: chunked", "");
            client.send(request).await;
            let mut often = tokio::time::interval(Duration::from_millis(10));
            while server.counters()[0].bodies_timed_out == 0 {
                often.tick().await;
                client.send("1\r\nx\r\n").await;
            }
            let answer = client.response(false).await.expect("a response");
            assert_eq!(answer.status, 408);
        });
    }
}

fn idle_connections_are_closed(backend: Backend) {
    for &driver in Drivers::all() {
        let server = start(backend, driver, |builder| builder.limits(short()));
        deadline(async {
            let mut client = Http1Client::connect(backend, &server).await;
            if !backend.tls {
                // Otherwise the first bytes are those of a handshake.
                client.ask(get("/")).await;
            }
            assert!(client.is_closed().await, "without a request");
            let mut client = Http1Client::connect(backend, &server).await;
            client.ask(get("/")).await;
            assert!(client.is_closed().await, "after a request");
        });
        server.wait_for("the end", |it| it.connections_closed == 2);
        assert_eq!(server.counters()[0].connections_failed, 0);
    }
}

fn oversized_bodies_get_413(backend: Backend) {
    for &driver in Drivers::all() {
        let http2 = Http2Config::default().max_request_body_size(4);
        let server = start(backend, driver, |builder| builder.http2(http2));
        deadline(async {
            for request in [
                post("/", "content-length: 5", "hello"),
                post("/", "content-length: 5\r\nexpect: 100-continue", ""),
                post("/", "transfer-encoding: chunked", "5\r\nhello\r\n"),
            ] {
                let mut client = Http1Client::connect(backend, &server).await;
                let answer = client.ask(request).await;
                assert_eq!(answer.status, 413);
                assert!(answer.closes());
            }
            let mut client = Http1Client::connect(backend, &server).await;
            let answer = client.ask(post("/", "content-length: 4", "four")).await;
            assert_eq!(answer.status, 200);
            // All of the upload is taken, so that the client sees the response.
            let mut client = Http1Client::connect(backend, &server).await;
            let body = "x".repeat(3_000_000);
            let answer = client
                .ask(post("/", "content-length: 3000000", &body))
                .await;
            assert_eq!(answer.status, 413);
        });
        server.wait_for("413", |it| it.request_bodies_too_large == 4);
    }
}

fn silent_unread_bodies_end_the_connection(backend: Backend) {
    for &driver in Drivers::all() {
        let server = start(backend, driver, |builder| builder.limits(short()));
        deadline(async {
            let mut client = Http1Client::connect(backend, &server).await;
            let answer = client.ask(post("/unread", "content-length: 5", "")).await;
            assert_eq!(answer.text(), "unread");
            assert!(client.is_closed().await);
        });
    }
}

/// The handler has answered and does not read it.
fn endless_unread_bodies_end_the_connection(backend: Backend) {
    for &driver in Drivers::all() {
        let server = start(backend, driver, |builder| builder.limits(short()));
        deadline(async {
            let mut client = Http1Client::connect(backend, &server).await;
            let request = post("/unread", "transfer-encoding: chunked", "");
            assert_eq!(client.ask(request).await.text(), "unread");
            let mut often = tokio::time::interval(Duration::from_millis(10));
            while server.counters()[0].connections_closed == 0 {
                often.tick().await;
                client.send("1\r\nx\r\n").await;
            }
        });
    }
}

fn responses_that_are_not_read_end_the_connection(backend: Backend) {
    for &driver in Drivers::all() {
        let server = start(backend, driver, |builder| builder.limits(short()));
        deadline(async {
            let mut client = Http1Client::connect(backend, &server).await;
            client.send(get("/large").repeat(20)).await;
            server.wait_for("the end", |it| it.connections_closed == 1);
            assert_eq!(server.counters()[0].connections_failed, 1);
        });
    }
}

/// The client never pauses.
fn slowly_read_responses_end_the_connection(backend: Backend) {
    for &driver in Drivers::all() {
        let limits = short().min_rate(TOO_FAST);
        let server = start(backend, driver, |builder| builder.limits(limits));
        deadline(async {
            let mut client = Http1Client::connect(backend, &server).await;
            client.send(get("/large").repeat(100)).await;
            let mut often = tokio::time::interval(Duration::from_millis(10));
            while server.counters()[0].connections_failed == 0 {
                often.tick().await;
                // Enough for the kernel to take more from the server each time.
                if !client.read_some(64 * 1024).await {
                    break;
                }
            }
        });
        server.wait_for("the end", |it| it.connections_failed == 1);
    }
}
