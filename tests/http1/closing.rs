//! Connections that end: by the client, by the server's shutdown, because of a body.

use std::time::Duration;

use corelane_test_support::{Backend, Drivers, Http1Client, deadline, for_each_backend};

use crate::service::{get, post, start};

for_each_backend!(
    request_before_the_end_of_the_client_is_answered,
    client_that_is_gone_ends_its_request,
    idle_connections_close_at_shutdown,
    responses_after_shutdown_say_close,
    unread_body_is_drained,
    request_behind_unread_trailers_is_not_served,
);

fn request_before_the_end_of_the_client_is_answered(backend: Backend) {
    for &driver in Drivers::all() {
        let server = start(backend, driver, |builder| builder);
        deadline(async {
            let mut client = Http1Client::connect(backend, &server).await;
            client.send(get("/large") + &get("/chunks")).await;
            client.end().await;
            let answer = client.response(false).await.expect("a response");
            assert!(answer.complete);
            let answer = client.response(false).await.expect("a response");
            assert_eq!(answer.text(), "one, two");
            assert!(client.is_closed().await);
        });
        server.wait_for("the end", |it| it.connections_open() == 0);
        assert_eq!(server.counters()[0].connections_failed, 0);
    }
}

fn client_that_is_gone_ends_its_request(backend: Backend) {
    for &driver in Drivers::all() {
        let limits = corelane::Limits::default().write(Duration::from_millis(100));
        let server = start(backend, driver, |builder| builder.limits(limits));
        deadline(async {
            for request in [
                get("/held"),
                post("/held", "content-length: 5", ""),
                post("/", "content-length: 5", "hel"),
            ] {
                let mut client = Http1Client::connect(backend, &server).await;
                let before = server.counters()[0].requests;
                client.send(request).await;
                server.wait_for("a request", |it| it.requests > before);
                drop(client);
            }
        });
        server.wait_for("the end", |it| {
            it.requests_abandoned == 3 && it.connections_open() == 0
        });
    }
}

fn idle_connections_close_at_shutdown(backend: Backend) {
    for &driver in Drivers::all() {
        let server = start(backend, driver, |builder| builder);
        deadline(async {
            let mut client = Http1Client::connect(backend, &server).await;
            client.ask(get("/")).await;
            server.handle().shutdown(Duration::from_secs(60));
            assert!(client.is_closed().await);
        });
        server.stop(Duration::from_secs(60));
    }
}

fn responses_after_shutdown_say_close(backend: Backend) {
    for &driver in Drivers::all() {
        let server = start(backend, driver, |builder| builder);
        deadline(async {
            let mut idle = Http1Client::connect(backend, &server).await;
            idle.ask(get("/")).await;
            let mut waits = Http1Client::connect(backend, &server).await;
            waits.send(post("/", "content-length: 5", "hel")).await;
            // The head has begun, and more of it follows.
            let mut begun = Http1Client::connect(backend, &server).await;
            begun.ask(get("/")).await;
            let (first, rest) = ("GET / HTTP/1.1\r\n", "host: localhost\r\n\r\n");
            server.wait_for("a request", |it| it.requests == 3);
            let received = server.counters()[0].bytes_received;
            begun.send(first).await;
            server.wait_for("its bytes", |it| it.bytes_received > received);
            // A new connection may send its first request.
            let mut new = Http1Client::connect(backend, &server).await;
            if !backend.tls {
                // Without TLS its first bytes tell what it speaks.
                new.send("GET ").await;
            }
            server.wait_for("a connection", |it| it.handshakes_completed == 4);
            server.handle().shutdown(Duration::from_secs(60));
            // The worker knows of it when an idle connection ends.
            assert!(idle.is_closed().await);
            let sent = if backend.tls { "" } else { "GET " };
            let request = get("/").replacen(sent, "", 1);
            for (client, rest) in [
                (&mut new, &*request),
                (&mut waits, "lo"),
                (&mut begun, rest),
            ] {
                let answer = client.ask(rest).await;
                assert_eq!(answer.status, 200);
                assert!(answer.closes(), "{answer:?}");
                assert!(client.is_closed().await);
            }
        });
        server.stop(Duration::from_secs(60));
    }
}

/// The response does not wait for it, and the connection goes on behind it.
fn unread_body_is_drained(backend: Backend) {
    const UPLOAD: usize = 1_000_000;
    for &driver in Drivers::all() {
        let server = start(backend, driver, |builder| builder);
        deadline(async {
            let mut client = Http1Client::connect(backend, &server).await;
            let length = format!("content-length: {UPLOAD}");
            let answer = client.ask(post("/unread", &length, "")).await;
            assert_eq!(answer.text(), "unread");
            assert!(!answer.closes());
            client.send("x".repeat(UPLOAD)).await;
            assert_eq!(client.ask(get("/a")).await.text(), "GET /a HTTP/1.1 0 0");
            let chunk = format!("{:x}\r\n{}\r\n", UPLOAD, "x".repeat(UPLOAD));
            let body = chunk.repeat(2) + "0\r\n\r\n";
            let coded = "transfer-encoding: chunked";
            assert_eq!(
                client.ask(post("/unread", coded, &body)).await.text(),
                "unread"
            );
            assert_eq!(client.ask(get("/a")).await.status, 200);
        });
    }
}

/// hyper may have taken a part of it for trailers.
fn request_behind_unread_trailers_is_not_served(backend: Backend) {
    for &driver in Drivers::all() {
        let server = start(backend, driver, |builder| builder);
        deadline(async {
            for path in ["/unread", "/"] {
                for trailers in ["x: y\r\n\r\n", "x: y\n\n\r\n\r\n"] {
                    let mut client = Http1Client::connect(backend, &server).await;
                    let body = "5\r\nhello\r\n0\r\n".to_owned() + trailers;
                    let upload = post(path, "transfer-encoding: chunked", &body);
                    let answer = client.ask(upload + &get("/a")).await;
                    assert_eq!(answer.status, 200);
                    assert!(client.is_closed().await, "{path} {trailers:?}");
                }
            }
        });
        assert_eq!(server.counters()[0].requests, 4);
    }
}
