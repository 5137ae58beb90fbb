//! Requests and responses.

use std::time::Duration;

use corelane_test_support::{
    Backend, Drivers, Http1Client, Pattern, TestServer, deadline, for_each_backend,
};
use sha2::{Digest, Sha256};

use crate::service::{LARGE, get, post, start};

for_each_backend!(
    requests_follow_one_another,
    pipelined_requests_are_answered_in_order,
    responses_are_framed_by_what_is_known,
    head_has_the_fields_of_get_and_no_body,
    http_1_0_gets_no_chunks,
    http_1_0_sees_that_a_response_is_cut_off,
    continue_is_sent_when_the_body_is_read,
    failures_get_500_or_no_end,
    handlers_decide_no_framing,
    large_bodies_pass_both_ways,
    counters_count_by_version,
);

fn on_all(backend: Backend, test: impl AsyncFn(&TestServer)) {
    for &driver in Drivers::all() {
        let server = start(backend, driver, |builder| builder);
        deadline(test(&server));
    }
}

fn requests_follow_one_another(backend: Backend) {
    on_all(backend, async |server| {
        let mut client = Http1Client::connect(backend, server).await;
        for _ in 0..2 {
            let answer = client.ask(get("/a")).await;
            assert_eq!(answer.text(), "GET /a HTTP/1.1 0 0");
            assert!(!answer.closes());
            assert!(answer.field("date").is_some(), "{}", answer.head);
            let answer = client.ask(post("/", "content-length: 5", "hello")).await;
            assert_eq!(answer.text(), "POST / HTTP/1.1 5 0");
        }
        client.end().await;
        assert!(client.is_closed().await);
    });
}

fn pipelined_requests_are_answered_in_order(backend: Backend) {
    on_all(backend, async |server| {
        let mut client = Http1Client::connect(backend, server).await;
        let one = |i: u32| match i % 2 {
            0 => get(&format!("/{i}")),
            _ => post(
                &format!("/{i}"),
                "transfer-encoding: chunked",
                "1\r\nx\r\n0\r\n\r\n",
            ),
        };
        client.send((0..100).map(one).collect::<String>()).await;
        for i in 0..100 {
            let answer = client.response(false).await.expect("a response");
            assert!(
                answer.text().contains(&format!(" /{i} ")),
                "{i}: {answer:?}"
            );
        }
    });
}

fn responses_are_framed_by_what_is_known(backend: Backend) {
    on_all(backend, async |server| {
        let mut client = Http1Client::connect(backend, server).await;
        let answer = client.ask(get("/")).await;
        assert_eq!(answer.field("content-length"), Some("18"));
        let answer = client.ask(get("/chunks")).await;
        assert_eq!(answer.field("transfer-encoding"), Some("chunked"));
        assert_eq!(answer.text(), "one, two");
        let request = "GET /trailers HTTP/1.1\r\nhost: localhost\r\nte: trailers\r\n\r\n";
        let answer = client.ask(request).await;
        assert_eq!(answer.text(), "text");
        assert_eq!(answer.trailers, "x-sum: 7\n");
        // RFC 9110 section 6.5.1.
        assert_eq!(client.ask(get("/trailers")).await.trailers, "");
        let answer = client.ask(get("/no-content")).await;
        assert_eq!(answer.status, 204);
        assert_eq!(answer.field("content-length"), None);
        let chunks = "5\r\nhello\r\n0\r\nx: y\r\n\r\n";
        let answer = client
            .ask(post("/", "transfer-encoding: chunked", chunks))
            .await;
        assert_eq!(answer.text(), "POST / HTTP/1.1 5 1");
        assert!(answer.closes(), "where trailers end is not certain");
        assert!(client.is_closed().await);
    });
}

fn head_has_the_fields_of_get_and_no_body(backend: Backend) {
    on_all(backend, async |server| {
        let mut client = Http1Client::connect(backend, server).await;
        let head = |path: &str| format!("HEAD {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
        let answer = client.ask(head("/")).await;
        assert_eq!(answer.field("content-length"), Some("19"));
        assert_eq!(client.ask(head("/chunks")).await.status, 200);
        assert_eq!(client.ask(get("/")).await.status, 200);
    });
}

fn http_1_0_gets_no_chunks(backend: Backend) {
    on_all(backend, async |server| {
        let mut client = Http1Client::connect(backend, server).await;
        let chunks = "GET /chunks HTTP/1.0\r\nconnection: keep-alive\r\n\r\n";
        let answer = client.ask(chunks).await;
        assert_eq!(answer.text(), "one, two");
        assert_eq!(answer.field("transfer-encoding"), None);
        assert_eq!(
            answer.field("connection"),
            Some("close"),
            "it ends the body"
        );
        assert!(client.is_closed().await);
        let mut client = Http1Client::connect(backend, server).await;
        let refused = "GET / HTTP/1.0\r\nhost: a b\r\nconnection: keep-alive\r\n\r\n";
        let answer = client.ask(refused).await;
        assert_eq!(answer.status, 400);
        assert_eq!(answer.field("connection"), Some("close"));
        assert!(client.is_closed().await);
        let mut client = Http1Client::connect(backend, server).await;
        let keep = "GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n";
        for _ in 0..2 {
            let answer = client.ask(keep).await;
            assert_eq!(answer.field("connection"), Some("keep-alive"));
            assert_eq!(answer.text(), "GET / HTTP/1.0 0 0");
        }
    });
}

/// Nothing but the end of the connection tells the end of these responses.
fn http_1_0_sees_that_a_response_is_cut_off(backend: Backend) {
    on_all(backend, async |server| {
        let get = |path| format!("GET {path} HTTP/1.0\r\n\r\n");
        let mut client = Http1Client::connect(backend, server).await;
        let answer = client.ask(get("/chunks")).await;
        assert!(answer.complete, "{answer:?}");
        for path in ["/late-panic", "/late-error", "/endless"] {
            let mut client = Http1Client::connect(backend, server).await;
            client.send(get(path)).await;
            if path == "/endless" {
                server.wait_for("its head", |it| it.responses_2xx == 4);
                server.handle().shutdown(Duration::ZERO);
            }
            let answer = client.response(false).await;
            // The handlers of the other paths may fail before the head has left.
            assert!(answer.is_some() || path != "/endless", "its head was sent");
            if let Some(answer) = answer
                && backend.tls
            {
                // Without close_notify; FIN alone is an end in order where there is no TLS.
                assert!(!answer.complete, "{path}: {answer:?}");
            }
        }
    });
}

fn continue_is_sent_when_the_body_is_read(backend: Backend) {
    on_all(backend, async |server| {
        let mut client = Http1Client::connect(backend, server).await;
        let expect = "expect: 100-continue\r\ncontent-length: 5";
        assert_eq!(client.ask(post("/", expect, "")).await.status, 100);
        assert_eq!(client.ask("hello").await.text(), "POST / HTTP/1.1 5 0");
        // One that is not told to continue may send the body, or leave it out.
        let answer = client.ask(post("/unread", expect, "")).await;
        assert_eq!(answer.text(), "unread");
        assert!(answer.closes());
        assert!(client.is_closed().await);
    });
}

fn failures_get_500_or_no_end(backend: Backend) {
    on_all(backend, async |server| {
        for path in ["/panic", "/error", "/short", "/long", "/early"] {
            let mut client = Http1Client::connect(backend, server).await;
            let answer = client.ask(get(path)).await;
            assert_eq!(answer.status, 500, "{path}");
            assert!(answer.closes() && client.is_closed().await, "{path}");
        }
        for path in ["/late-panic", "/late-error", "/unknown-short"] {
            let mut client = Http1Client::connect(backend, server).await;
            client.send(get(path)).await;
            if let Some(answer) = client.response(false).await {
                assert!(!answer.complete, "{path}: {answer:?}");
            }
            assert!(client.is_closed().await, "{path}");
        }
        server.wait_for("failures", |counters| {
            let failed = (counters.handler_panics, counters.handler_errors);
            failed == (2, 6) && counters.requests_in_flight() == 0
        });
    });
}

fn handlers_decide_no_framing(backend: Backend) {
    on_all(backend, async |server| {
        let mut client = Http1Client::connect(backend, server).await;
        let answer = client.ask(get("/framing")).await;
        assert_eq!(answer.field("transfer-encoding"), None);
        assert_eq!(answer.text(), "text");
        let answer = client.ask(get("/close")).await;
        assert!(answer.closes() && client.is_closed().await);
    });
}

fn large_bodies_pass_both_ways(backend: Backend) {
    on_all(backend, async |server| {
        let mut client = Http1Client::connect(backend, server).await;
        let answer = client.ask(get("/large")).await;
        let sum = Sha256::digest(&answer.body).to_vec();
        assert_eq!(sum, Pattern::of(LARGE).sha256());
        let length = format!("content-length: {LARGE}");
        client.send(post("/", &length, "")).await;
        for block in Pattern::of(LARGE) {
            client.send(block).await;
        }
        let answer = client.response(false).await.expect("a response");
        assert_eq!(answer.text(), format!("POST / HTTP/1.1 {LARGE} 0"));
    });
}

fn counters_count_by_version(backend: Backend) {
    on_all(backend, async |server| {
        let mut client = Http1Client::connect(backend, server).await;
        client.ask(get("/")).await;
        client.ask("GET / HTTP/1.1\r\n\r\n").await;
        let counters = server.counters()[0];
        assert_eq!((counters.requests, counters.requests_http1), (1, 1));
        assert_eq!(counters.requests_answered, 1);
        assert_eq!(counters.requests_malformed, 1);
        assert_eq!((counters.responses_2xx, counters.responses_4xx), (1, 1));
    });
}
