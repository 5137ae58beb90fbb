//! Which fields are forwarded.

use std::collections::BTreeMap;

use bytes::Bytes;
use corelane_gateway::ProxyOptions;
use corelane_test_support::{Backend, TestServer, backends::NONE, client::get};
use http::Request;

use crate::upstream::{Raw, ask, everywhere, proxy};

/// An upstream of HTTP/1.1 that tells the heads of its requests.
fn recorder() -> Raw {
    Raw::start(|connection| {
        loop {
            let head = connection.head()?;
            (connection.tell)(head);
            connection.write("HTTP/1.1 204 No Content\r\n\r\n")?;
        }
    })
}

/// A request with these fields.
fn with(fields: &[(&'static str, &'static str)]) -> Request<Bytes> {
    let mut request = get("/");
    for (name, value) in fields {
        let value = value.parse().expect("a value");
        request.headers_mut().append(*name, value);
    }
    request
}

/// The fields of a head that the upstream saw.
fn fields(head: &str) -> BTreeMap<&str, &str> {
    let lines = head.trim_end().split("\r\n").skip(1);
    let fields: Vec<_> = lines
        .map(|line| line.split_once(": ").expect("a field"))
        .collect();
    let map: BTreeMap<_, _> = fields.iter().copied().collect();
    assert_eq!(map.len(), fields.len(), "a field twice: {head}");
    map
}

fn seen(backend: Backend, server: &TestServer, upstream: &Raw, request: Request<Bytes>) -> String {
    let answer = ask(backend, server, request).expect("an answer");
    assert_eq!(answer.head.status, 204);
    upstream.next()
}

#[test]
fn peer_that_is_not_trusted_is_not_believed() {
    everywhere(|backend, driver| {
        let upstream = recorder();
        let mut options = ProxyOptions::default();
        options.trusted_proxies = vec!["10.0.0.0/8".parse().expect("a network")];
        let server = proxy(backend, driver, vec![upstream.http()], options);
        let request = with(&[
            ("forwarded", "for=1.2.3.4;proto=https"),
            ("x-forwarded-for", "1.2.3.4"),
            ("x-forwarded-for", "5.6.7.8"),
            ("x-forwarded-proto", "ftp"),
            ("x-forwarded-host", "bank.example"),
            ("x-forwarded-port", "1"),
            ("x-forwarded-prefix", "/admin"),
            ("x-real-ip", "1.2.3.4"),
            ("x_forwarded_for", "1.2.3.4"),
        ]);
        let head = seen(backend, &server, &upstream, request);
        let scheme = if backend.tls { "https" } else { "http" };
        let forwarded = format!("for=127.0.0.1;host=\"localhost\";proto={scheme}");
        let expected = [
            ("forwarded", &*forwarded),
            ("host", "localhost"),
            ("x-forwarded-for", "127.0.0.1"),
            ("x-forwarded-host", "localhost"),
            ("x-forwarded-proto", scheme),
        ];
        assert_eq!(fields(&head), BTreeMap::from(expected));
    });
}

#[test]
fn list_of_a_trusted_proxy_is_extended() {
    everywhere(|backend, driver| {
        let upstream = recorder();
        let mut options = ProxyOptions::default();
        options.trusted_proxies = vec!["127.0.0.0/8".parse().expect("a network")];
        let server = proxy(backend, driver, vec![upstream.http()], options);
        let scheme = if backend.tls { "https" } else { "http" };

        let both = with(&[
            ("forwarded", "for=1.2.3.4;proto=https"),
            ("x-forwarded-for", "1.2.3.4"),
            ("x-forwarded-for", "5.6.7.8"),
            ("x-forwarded-proto", "ftp"),
            ("x-forwarded-host", "shop.example"),
        ]);
        let head = seen(backend, &server, &upstream, both);
        let own = format!("for=127.0.0.1;host=\"localhost\";proto={scheme}");
        let forwarded = format!("for=1.2.3.4;proto=https, {own}");
        let expected = [
            ("forwarded", &*forwarded),
            ("host", "localhost"),
            ("x-forwarded-for", "1.2.3.4, 5.6.7.8, 127.0.0.1"),
            ("x-forwarded-host", "shop.example"),
            ("x-forwarded-proto", "ftp"),
        ];
        assert_eq!(fields(&head), BTreeMap::from(expected));

        let one = with(&[("x-forwarded-for", "1.2.3.4")]);
        let head = seen(backend, &server, &upstream, one);
        let fields_of_one = fields(&head);
        assert_eq!(fields_of_one["x-forwarded-for"], "1.2.3.4, 127.0.0.1");
        assert_eq!(fields_of_one["x-forwarded-proto"], scheme);
        assert!(!fields_of_one.contains_key("forwarded"), "{head}");

        let other = with(&[("forwarded", "for=1.2.3.4")]);
        let head = seen(backend, &server, &upstream, other);
        let fields_of_other = fields(&head);
        assert_eq!(fields_of_other["forwarded"], format!("for=1.2.3.4, {own}"));
        assert!(!fields_of_other.contains_key("x-forwarded-for"), "{head}");
    });
}

/// RFC 9110 sections 7.6.1 and 10.1.1; RFC 9113 section 8.2.3.
#[test]
fn fields_of_one_connection_stay_on_it() {
    everywhere(|backend, driver| {
        let upstream = recorder();
        let server = proxy(
            backend,
            driver,
            vec![upstream.http()],
            ProxyOptions::default(),
        );
        let request = with(&[
            ("te", "trailers"),
            ("expect", "100-continue"),
            ("proxy", "http://evil.example"),
            ("proxy-authorization", "Basic eDp5"),
            ("http2-settings", "AAMAAABkAAQAAP__"),
            ("content_length", "5"),
            ("cookie", "a=1"),
            ("cookie", "b=2"),
            ("via", "2 edge"),
            ("accept", "text/html"),
            ("accept", "text/plain"),
        ]);
        let head = seen(backend, &server, &upstream, request);
        assert_eq!(head.matches("accept: ").count(), 2, "{head}");
        let head = head.replacen("accept: text/html\r\n", "", 1);
        let mut fields = fields(&head);
        for ours in [
            "forwarded",
            "x-forwarded-for",
            "x-forwarded-host",
            "x-forwarded-proto",
        ] {
            fields.remove(ours).expect(ours);
        }
        let expected = [
            ("accept", "text/plain"),
            ("connection", "te"),
            ("cookie", "a=1; b=2"),
            ("host", "localhost"),
            ("te", "trailers"),
            ("via", "2 edge"),
        ];
        assert_eq!(fields, BTreeMap::from(expected));
    });
}

#[test]
fn fields_of_the_upstreams_connection_stay_on_it() {
    everywhere(|backend, driver| {
        let upstream = Raw::start(|connection| {
            loop {
                connection.head()?;
                connection.write(
                    "HTTP/1.1 200 Fine\r\nConnection: X-Named, keep-alive, content-length\r\n\
                     X-Named: 1\r\nKeep-Alive: timeout=5\r\nProxy-Authenticate: Basic\r\n\
                     Upgrade: h2c\r\nContent-Length: 2\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\
                     Server: app\r\nDate: Mon, 30 Nov 2026 10:00:00 GMT\r\n\r\nok",
                )?;
            }
        });
        let server = proxy(
            backend,
            driver,
            vec![upstream.http()],
            ProxyOptions::default(),
        );
        let answer = ask(backend, &server, get("/")).expect("an answer");
        assert_eq!(answer.body, b"ok");
        let fields = answer.head.headers.iter();
        let mut fields: Vec<_> = fields
            .map(|(name, value)| (name.as_str(), value.to_str().expect("text")))
            .collect();
        // The order of different names means nothing (RFC 9110 section 5.3).
        fields.sort();
        assert_eq!(
            fields,
            [
                ("content-length", "2"),
                ("date", "Mon, 30 Nov 2026 10:00:00 GMT"),
                ("server", "app"),
                ("set-cookie", "a=1"),
                ("set-cookie", "b=2"),
            ]
        );
    });
}

#[test]
fn host_is_the_clients_or_the_upstreams() {
    for preserve_host in [true, false] {
        let upstream = recorder();
        let mut options = ProxyOptions::default();
        options.preserve_host = preserve_host;
        let driver = corelane::Driver::Epoll;
        let server = proxy(NONE, driver, vec![upstream.http()], options);
        let head = seen(NONE, &server, &upstream, get("/"));
        let fields = fields(&head);
        let own = upstream.addr.to_string();
        let expected = if preserve_host { "localhost" } else { &own };
        assert_eq!(fields["host"], expected);
        assert_eq!(fields["x-forwarded-host"], "localhost");
    }
}

#[test]
fn underscores_are_forwarded_if_asked_for() {
    let upstream = recorder();
    let mut options = ProxyOptions::default();
    options.underscores_in_headers = true;
    let server = proxy(
        NONE,
        corelane::Driver::Epoll,
        vec![upstream.http()],
        options,
    );
    let head = seen(NONE, &server, &upstream, with(&[("my_field", "1")]));
    assert_eq!(fields(&head)["my_field"], "1");
}
