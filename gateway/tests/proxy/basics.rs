//! What is forwarded, and how it looks on the other side.

use std::net::TcpListener;

use corelane_gateway::ProxyOptions;
use corelane_test_support::{backends::NONE, client::get};

use crate::upstream::{Raw, ask, everywhere, on_both_drivers, proxy, upload};

#[test]
fn requests_are_forwarded_on_a_kept_connection() {
    everywhere(|backend, driver| {
        let upstream = Raw::start(|connection| {
            for _ in 0..2 {
                let head = connection.head()?;
                let body = connection.body(4)?;
                assert_eq!(body, b"ping");
                (connection.tell)(format!("{} {head}", connection.number));
                connection
                    .write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\nX-Kind: raw\r\n\r\npong")?;
            }
            Ok(())
        });
        let options = ProxyOptions::default();
        let server = proxy(backend, driver, vec![upstream.http()], options);
        let scheme = if backend.tls { "https" } else { "http" };
        for _ in 0..2 {
            let answer = ask(backend, &server, upload("/path?q=1", "ping")).expect("an answer");
            assert_eq!(answer.head.status, 200);
            assert_eq!(answer.head.headers["x-kind"], "raw");
            assert_eq!(answer.head.headers["content-length"], "4");
            assert_eq!(answer.body, b"pong");
            assert_eq!(
                upstream.next(),
                format!(
                    "0 POST /path?q=1 HTTP/1.1\r\ncontent-length: 4\r\n\
                     x-forwarded-for: 127.0.0.1\r\nx-forwarded-proto: {scheme}\r\n\
                     x-forwarded-host: localhost\r\n\
                     forwarded: for=127.0.0.1;host=\"localhost\";proto={scheme}\r\n\
                     host: localhost\r\n\r\n"
                )
            );
        }
    });
}

#[test]
fn upstream_that_is_down_is_502() {
    on_both_drivers(|driver| {
        let addr = TcpListener::bind(("127.0.0.1", 0)).and_then(|it| it.local_addr());
        let upstream = format!("http://{}", addr.expect("loopback"));
        let upstream = upstream.parse().expect("an upstream");
        let server = proxy(NONE, driver, vec![upstream], ProxyOptions::default());
        let answer = ask(NONE, &server, get("/")).expect("an answer");
        assert_eq!(answer.head.status, 502);
        assert_eq!(answer.body, b"502 Bad Gateway\n");
    });
}
