//! Requests that try to become two on the upstream's connection, or another than the client's. Most of
//! them never pass the server's HTTP/2; the proxy relies on that, so they are tested here too.

use std::io;

use corelane::Driver;
use corelane_gateway::ProxyOptions;
use corelane_test_support::{
    backends::NONE,
    deadline,
    frames::{self, END_HEADERS, END_STREAM, WHOLE, kind},
    hpack,
    peer::Peer,
};

use crate::upstream::{Connection, Raw, proxy};

type Fields = &'static [(&'static str, &'static [u8])];

struct Case {
    name: &'static str,
    /// The whole block, pseudo-header fields included.
    fields: Fields,
    body: Option<&'static [u8]>,
    /// The request as the upstream sees it, with its body; `None`: it sees none.
    forwarded: Option<&'static str>,
}

const fn refused(name: &'static str, fields: Fields) -> Case {
    Case {
        name,
        fields,
        body: None,
        forwarded: None,
    }
}

const fn refused_with(name: &'static str, fields: Fields, body: &'static [u8]) -> Case {
    Case {
        name,
        fields,
        body: Some(body),
        forwarded: None,
    }
}

const fn forwarded(name: &'static str, fields: Fields, as_: &'static str) -> Case {
    Case {
        name,
        fields,
        body: None,
        forwarded: Some(as_),
    }
}

const fn forwarded_with(
    name: &'static str,
    fields: Fields,
    body: &'static [u8],
    as_: &'static str,
) -> Case {
    Case {
        name,
        fields,
        body: Some(body),
        forwarded: Some(as_),
    }
}

/// The pseudo-header fields of GET / or POST / and these.
macro_rules! get {
    ($($field:expr),* $(,)?) => {
        &[(":method", b"GET"), (":scheme", b"http"), (":authority", b"localhost"), (":path", b"/"), $($field),*]
    };
}
macro_rules! post {
    ($($field:expr),* $(,)?) => {
        &[(":method", b"POST"), (":scheme", b"http"), (":authority", b"localhost"), (":path", b"/"), $($field),*]
    };
}
/// A GET with another path, or another authority.
macro_rules! path {
    ($path:expr) => {
        &[
            (":method", b"GET"),
            (":scheme", b"http"),
            (":authority", b"localhost"),
            (":path", $path),
        ]
    };
}
macro_rules! authority {
    ($authority:expr $(, $field:expr)*) => {
        &[(":method", b"GET"), (":scheme", b"http"), (":authority", $authority), (":path", b"/"), $($field),*]
    };
}

#[rustfmt::skip]
const CASES: &[Case] = &[
    refused_with("RFC 9113 8.1.1, CVE-2021-33193: content-length below DATA (H2.CL)", post![("content-length", b"1")], b"xGET /admin"),
    refused_with("RFC 9113 8.1.1: content-length above DATA", post![("content-length", b"9")], b"abc"),
    refused("RFC 9113 8.1.1: content-length without DATA", post![("content-length", b"9")]),
    refused_with("RFC 9110 8.6: differing lengths", post![("content-length", b"3"), ("content-length", b"1")], b"abc"),
    refused_with("RFC 9110 8.6: a list of lengths", post![("content-length", b"3, 1")], b"abc"),
    refused_with("RFC 9110 8.6: no number", post![("content-length", b"abc")], b"abc"),
    refused_with("RFC 9113 8.2.2: transfer-encoding (H2.TE)", post![("transfer-encoding", b"chunked")], b"0\r\n\r\nGET /admin HTTP/1.1\r\n\r\n"),
    refused("RFC 9113 8.2.2: connection: content-length", get![("connection", b"content-length")]),
    refused("RFC 9113 8.2.2, CVE-2022-31813: connection: host", get![("connection", b"host, x-forwarded-for")]),
    refused("RFC 9113 8.2.2: keep-alive", get![("keep-alive", b"timeout=1")]),
    refused("RFC 9113 8.2.2: proxy-connection", get![("proxy-connection", b"keep-alive")]),
    refused("RFC 9113 8.2.2: upgrade", get![("upgrade", b"h2c")]),
    refused("RFC 9113 8.2.2: te", get![("te", b"gzip")]),
    refused("RFC 9113 8.2.1: CR LF in a value", get![("x", b"a\r\nTransfer-Encoding: chunked")]),
    refused("RFC 9113 8.2.1: LF in a value", get![("x", b"a\nhost: evil")]),
    refused("RFC 9113 8.2.1: CR in a value", get![("x", b"a\rb")]),
    refused("RFC 9113 8.2.1: NUL in a value", get![("x", b"a\0b")]),
    refused("RFC 9113 8.2.1: CR LF in a name", get![("x: y\r\nhost", b"evil")]),
    refused("RFC 9113 8.2.1: colon in a name", get![("transfer-encoding:", b"chunked")]),
    refused("RFC 9113 8.2.1: space in a name", get![("transfer-encoding ", b"chunked")]),
    refused("RFC 9113 8.2.1: upper case", get![("Transfer-Encoding", b"chunked")]),
    refused("RFC 9113 8.3: CR LF in the path", path![b"/ HTTP/1.1\r\nhost: evil\r\n\r\nGET /admin"]),
    refused("RFC 9113 8.3: space in the path", path![b"/ HTTP/1.1"]),
    refused("RFC 9113 8.3.1: an empty path", path![b""]),
    refused("RFC 9113 8.3.1: a path without a slash", path![b"admin"]),
    refused("RFC 9112 3.2.2: absolute-form", path![b"http://evil.example/"]),
    refused("RFC 9112 3.2.4: asterisk-form without OPTIONS", path![b"*"]),
    refused("RFC 9112 3.2.3: a path that continues the host", path![b"@evil.example/"]),
    refused("RFC 9110 9.1: CR LF in the method", &[(":method", b"GET / HTTP/1.1\r\nx: y"), (":scheme", b"http"), (":authority", b"localhost"), (":path", b"/")]),
    refused("RFC 9110 9.1: space in the method", &[(":method", b"GET /admin"), (":scheme", b"http"), (":authority", b"localhost"), (":path", b"/")]),
    refused("RFC 9110 9.3.6: CONNECT", &[(":method", b"CONNECT"), (":authority", b"internal:22")]),
    refused("RFC 9110 9.3.8: TRACE", &[(":method", b"TRACE"), (":scheme", b"http"), (":authority", b"localhost"), (":path", b"/")]),
    refused("RFC 9113 8.3.1: CR LF in the authority", authority![b"localhost\r\nx: y"]),
    refused("RFC 9113 8.3.1: user information", authority![b"me@localhost"]),
    refused("RFC 3986 3.2: a path in the authority", authority![b"localhost/admin"]),
    refused("RFC 9113 8.3.1: host differs from :authority", authority![b"localhost", ("host", b"evil.example")]),
    refused("RFC 9112 3.2: host twice", authority![b"localhost", ("host", b"localhost"), ("host", b"localhost")]),
    refused("RFC 9113 8.3.1: no host at all", &[(":method", b"GET"), (":scheme", b"http"), (":path", b"/")]),
    refused("RFC 9112 3.2: an invalid host", &[(":method", b"GET"), (":scheme", b"http"), (":path", b"/"), ("host", b"a b")]),
    refused("RFC 9113 8.3: a pseudo-header field after a field", &[(":method", b"GET"), (":scheme", b"http"), ("x", b"y"), (":path", b"/")]),
    forwarded("RFC 9113 8.3.1: host alone", &[(":method", b"GET"), (":scheme", b"http"), (":path", b"/"), ("host", b"LocalHost:1")], "GET / HTTP/1.1 LocalHost:1 \"\""),
    forwarded("RFC 9110 9.3.7: OPTIONS *", &[(":method", b"OPTIONS"), (":scheme", b"http"), (":authority", b"localhost"), (":path", b"*")], "OPTIONS * HTTP/1.1 localhost \"\""),
    forwarded("a path with dots and encoded slashes is the application's", path![b"/a/../b%2f..%2F%00?x=/../"], "GET /a/../b%2f..%2F%00?x=/../ HTTP/1.1 localhost \"\""),
    forwarded("RFC 3875 4.1.18: names with underscores", get![("transfer_encoding", b"chunked"), ("content_length", b"5")], "GET / HTTP/1.1 localhost \"\""),
    forwarded_with("RFC 9110 9.3.1: GET with a body of no declared length", get![], b"GET /admin HTTP/1.1\r\n\r\n", "GET / HTTP/1.1 localhost \"GET /admin HTTP/1.1\\r\\n\\r\\n\""),
    forwarded_with("RFC 9110 9.3.1: GET with a body", get![("content-length", b"3")], b"abc", "GET / HTTP/1.1 localhost \"abc\""),
    forwarded_with("a body of no declared length", post![], b"0\r\n\r\nGET /admin HTTP/1.1\r\n\r\n", "POST / HTTP/1.1 localhost \"0\\r\\n\\r\\nGET /admin HTTP/1.1\\r\\n\\r\\n\""),
    forwarded_with("a body", post![("content-length", b"3")], b"abc", "POST / HTTP/1.1 localhost \"abc\""),
    forwarded("RFC 9110 8.6: no body", post![("content-length", b"0")], "POST / HTTP/1.1 localhost \"\""),
];

#[test]
fn request_reaches_the_upstream_as_itself_or_not_at_all() {
    let upstream = Raw::start(|connection| {
        loop {
            let request = read_strictly(connection)?;
            (connection.tell)(request);
            connection.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")?;
        }
    });
    let driver = Driver::Epoll;
    let server = proxy(NONE, driver, vec![upstream.http()], ProxyOptions::default());
    for case in CASES {
        let got_200 = deadline(async {
            let mut peer = Peer::open(NONE, &server, &[]).await;
            let block = hpack::block(case.fields);
            let request = match case.body {
                None => frames::headers(1, WHOLE, &block),
                Some(body) => [
                    frames::headers(1, END_HEADERS, &block),
                    frames::data(1, END_STREAM, body),
                ]
                .concat(),
            };
            peer.send(&request).await.expect("sent");
            loop {
                match peer.next().await {
                    None => return false,
                    Some(frame) if frame.is(kind::RST_STREAM, 1) => return false,
                    Some(frame) if frame.kind == kind::GOAWAY => return false,
                    // The static table of RFC 7541 has 200 at 8.
                    Some(frame) if frame.is(kind::HEADERS, 1) => {
                        return block_is_200(&frame.payload);
                    }
                    Some(_) => {}
                }
            }
        });
        assert_eq!(got_200, case.forwarded.is_some(), "{}", case.name);
        if let Some(expected) = case.forwarded {
            assert_eq!(upstream.next(), expected, "{}", case.name);
        }
        // Nothing more: the next request is the next thing that the upstream sees.
        deadline(async {
            let mut peer = Peer::open(NONE, &server, &[]).await;
            let marker = frames::headers(1, WHOLE, &hpack::block(path![b"/marker"]));
            peer.send(&marker).await.expect("sent");
            peer.until(|frame| frame.is(kind::HEADERS, 1)).await;
        });
        let marker = "GET /marker HTTP/1.1 localhost \"\"";
        assert_eq!(upstream.next(), marker, "after {}", case.name);
    }
}

fn block_is_200(block: &[u8]) -> bool {
    let size_updates = block.iter().take_while(|byte| **byte >> 5 == 1).count();
    block.get(size_updates) == Some(&0x88)
}

/// Reads a request as a server that takes nothing doubtful: method, target, version, host and body.
fn read_strictly(connection: &mut Connection) -> io::Result<String> {
    let head = connection.head()?;
    let mut lines = head.trim_end().split("\r\n");
    let request = lines.next().unwrap_or_default().to_owned();
    let (mut host, mut length, mut chunked) = (None, None, false);
    for line in lines {
        let Some((name, value)) = line.split_once(": ") else {
            return Ok(format!("malformed: {head:?}"));
        };
        let doubtful = match name {
            "host" => host.replace(value.to_owned()).is_some(),
            "content-length" => length
                .replace(value.parse().unwrap_or(usize::MAX))
                .is_some(),
            "transfer-encoding" => std::mem::replace(&mut chunked, true) || value != "chunked",
            name => name.contains('_') || name == "connection",
        };
        if doubtful {
            return Ok(format!("doubtful: {head:?}"));
        }
    }
    let body = match (length, chunked) {
        (None, false) => Vec::new(),
        (Some(length), false) => connection.body(length)?,
        (None, true) => read_chunks(connection)?,
        (Some(_), true) => return Ok(format!("two lengths: {head:?}")),
    };
    let body = String::from_utf8_lossy(&body).into_owned();
    let host = host.unwrap_or_else(|| "no host".into());
    Ok(format!("{request} {host} {body:?}"))
}

fn read_chunks(connection: &mut Connection) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let size = connection.line()?;
        let size = usize::from_str_radix(size.trim_end(), 16).map_err(io::Error::other)?;
        body.extend(connection.body(size)?);
        assert_eq!(connection.line()?, "\r\n");
        if size == 0 {
            return Ok(body);
        }
    }
}
