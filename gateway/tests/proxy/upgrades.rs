//! WebSockets and other upgrades, from clients of both versions to an upstream of HTTP/1.1.

use std::{
    convert::Infallible,
    io::{self, ErrorKind, Read, Write},
    net::Shutdown,
    time::{Duration, Instant},
};

use corelane::{Body, Driver, ProtocolName, service_fn, tls::TlsConfig};
use corelane_gateway::{Proxy, ProxyOptions, Upstream};
use corelane_test_support::{
    Backend, Http1Client, TestServer,
    backends::{FIRST, NONE},
    certs::identity,
    client::{DEADLINE, get},
    deadline,
    upgrade::{Upgrading, Version, upgrade},
};
use data_encoding::BASE64;
use http::Request;
use sha1::{Digest, Sha1};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{
    streams,
    upstream::{Connection, Raw, ask, everywhere, impatient, on_both_drivers},
};

/// The example of RFC 6455 section 1.3.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

const FIELDS: &[(&str, &str)] = &[
    ("sec-websocket-key", KEY),
    ("sec-websocket-version", "13"),
    ("sec-websocket-protocol", "chat"),
    ("origin", "https://localhost"),
];

/// What a client of each version sends: RFC 8441 section 5.1.
fn fields(version: Version) -> &'static [(&'static str, &'static str)] {
    match version {
        Version::Http1 => FIELDS,
        Version::Http2 => &FIELDS[1..],
    }
}

fn start(
    backend: Backend,
    driver: Driver,
    upstream: Upstream,
    options: ProxyOptions,
) -> TestServer {
    serve(backend, driver, vec![upstream], options)
}

fn serve(
    backend: Backend,
    driver: Driver,
    upstreams: Vec<Upstream>,
    options: ProxyOptions,
) -> TestServer {
    let names = || [ProtocolName::H2, ProtocolName::HTTP_1_1];
    let config = TlsConfig::new(identity()).alpn_protocols(names());
    let proxy = Proxy::new(upstreams, options).expect("a proxy");
    TestServer::with(
        (backend.make)(&config).expect("an acceptor"),
        driver,
        |builder| builder.protocols(names()).upgrades(true),
        move |_worker| {
            let proxy = proxy.on_worker();
            service_fn(move |request: Request<Body>| {
                let proxy = proxy.clone();
                async move { Ok::<_, Infallible>(proxy.respond(request).await) }
            })
        },
    )
}

async fn websocket(version: Version, backend: Backend, server: &TestServer) -> Upgrading {
    let fields = fields(version);
    upgrade(
        version,
        backend,
        server.addr,
        "/chat?room=1",
        "websocket",
        fields,
    )
    .await
}

/// The value of a field in a head.
fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut fields = head.lines().filter_map(|line| line.split_once(": "));
    fields
        .find(|(field, _)| *field == name)
        .map(|(_, value)| value)
}

/// The upstream's side of the opening handshake, with `more` in the same packet. Returns the head.
fn accept(connection: &mut Connection, more: &str) -> io::Result<String> {
    let head = connection.head()?;
    let key = field(&head, "sec-websocket-key").unwrap_or_default();
    let hash = Sha1::digest(format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11"));
    connection.write(format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: Upgrade, X-Hop\r\n\
         X-Hop: 1\r\nSec-WebSocket-Accept: {}\r\nSec-WebSocket-Protocol: chat\r\n\r\n{more}",
        BASE64.encode(&hash)
    ))?;
    Ok(head)
}

async fn read(stream: &mut (impl AsyncReadExt + Unpin), length: usize) -> String {
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).await.expect("bytes");
    String::from_utf8(bytes).expect("text")
}

#[test]
fn websockets_pass_from_each_version_to_an_upstream_of_http1() {
    everywhere(|backend, driver| {
        let upstream = Raw::start(|connection| {
            let head = accept(connection, "first")?;
            (connection.tell)(format!("{} {head}", connection.number));
            let ping = connection.body(4)?;
            connection.write(ping)?;
            connection.closed()?;
            // The other side has ended, this one has not.
            connection.write("last")
        });
        let server = start(backend, driver, upstream.http(), ProxyOptions::default());
        for (number, version) in Version::ALL.into_iter().enumerate() {
            deadline(async {
                let answer = websocket(version, backend, &server).await;
                let headers = &answer.headers;
                assert_eq!(headers["sec-websocket-protocol"], "chat");
                assert!(!headers.contains_key("x-hop"), "{headers:?}");
                match version {
                    Version::Http1 => {
                        assert_eq!(answer.status, 101);
                        assert_eq!(headers["upgrade"], "websocket");
                        assert_eq!(headers["connection"], "upgrade");
                        assert_eq!(
                            headers["sec-websocket-accept"],
                            "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
                        );
                    }
                    Version::Http2 => {
                        assert_eq!(answer.status, 200);
                        assert!(!headers.contains_key("sec-websocket-accept"));
                    }
                }
                let mut stream = answer.accepted();
                assert_eq!(read(&mut stream, 5).await, "first");
                stream.write_all(b"ping").await.expect("sent");
                stream.flush().await.expect("sent");
                assert_eq!(read(&mut stream, 4).await, "ping");
                stream.shutdown().await.expect("ended");
                let mut last = String::new();
                stream.read_to_string(&mut last).await.expect("the end");
                assert_eq!(last, "last");
            });
            let head = upstream.next();
            let begin = format!("{number} GET /chat?room=1 HTTP/1.1\r\n");
            assert!(head.starts_with(&begin), "a connection of its own: {head}");
            let expected = fields(version).iter().copied();
            let expected = expected.chain([
                ("upgrade", "websocket"),
                ("connection", "upgrade"),
                ("host", "localhost"),
                ("x-forwarded-for", "127.0.0.1"),
            ]);
            for (name, value) in expected {
                assert_eq!(field(&head, name), Some(value), "{head}");
            }
            let key = field(&head, "sec-websocket-key").expect("a key");
            let key = BASE64.decode(key.as_bytes()).expect("base64");
            assert_eq!(key.len(), 16);
        }
    });
}

/// What a client of each version gets for an upstream's answer.
struct Row {
    upstream: &'static str,
    http1: u16,
    http2: u16,
}

const ANSWERS: &[Row] = &[
    Row {
        upstream: "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno",
        http1: 403,
        http2: 403,
    },
    // A client of HTTP/2 would take it for the other protocol.
    Row {
        upstream: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno",
        http1: 200,
        http2: 502,
    },
    // A client of HTTP/1.1 checks its own key.
    Row {
        upstream: "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\
                   Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
        http1: 101,
        http2: 502,
    },
    Row {
        upstream: "HTTP/1.1 101 Switching Protocols\r\nUpgrade: other\r\nConnection: upgrade\r\n\r\n",
        http1: 502,
        http2: 502,
    },
    Row {
        upstream: "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n\r\n",
        http1: 502,
        http2: 502,
    },
    Row {
        upstream: "",
        http1: 502,
        http2: 502,
    },
];

#[test]
fn other_answers_are_forwarded_unless_the_client_would_misunderstand_them() {
    on_both_drivers(|driver| {
        for row in ANSWERS {
            let upstream = Raw::start(|connection| {
                connection.head()?;
                connection.write(row.upstream)
            });
            let server = start(NONE, driver, upstream.http(), ProxyOptions::default());
            for version in Version::ALL {
                let expected = match version {
                    Version::Http1 => row.http1,
                    Version::Http2 => row.http2,
                };
                deadline(async {
                    let mut answer = websocket(version, NONE, &server).await;
                    let status = answer.status.as_u16();
                    assert_eq!(status, expected, "{version:?}: {}", row.upstream);
                    if [200, 403].contains(&status) {
                        assert_eq!(read(&mut answer.stream, 2).await, "no");
                    }
                });
            }
        }
    });
}

/// A client must not be able to take the upstreams away from others.
#[test]
fn upstreams_without_the_protocol_stay_in_use() {
    on_both_drivers(|driver| {
        let upstream = Raw::start(|connection| {
            connection.head()?;
            connection.write("HTTP/1.1 204 No Content\r\n\r\n")
        });
        let options = ProxyOptions::default();
        let more = options.max_failures * 2 + 2;
        let upstreams = vec![upstream.http(), upstream.http()];
        let server = serve(NONE, driver, upstreams, options);
        for _ in 0..more {
            deadline(async {
                let answer = websocket(Version::Http2, NONE, &server).await;
                assert_eq!(answer.status, 502);
            });
        }
    });
}

/// The connection of a refused upgrade is one like all others: it is not used after its end.
#[test]
fn refused_upgrades_leave_no_dead_connection() {
    on_both_drivers(|driver| {
        let upstream = Raw::start(|connection| {
            let head = connection.head()?;
            if field(&head, "upgrade").is_none() {
                return connection.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
            }
            connection.write("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")?;
            connection.stream.get_ref().shutdown(Shutdown::Both)?;
            (connection.tell)("closed".into());
            Ok(())
        });
        let server = start(NONE, driver, upstream.http(), impatient());
        for version in Version::ALL {
            deadline(async {
                let mut answer = websocket(version, NONE, &server).await;
                assert_eq!(answer.status, 403, "{version:?}");
                assert_eq!(read(&mut answer.stream, 2).await, "no");
            });
            assert_eq!(upstream.next(), "closed");
            let answer = ask(NONE, &server, get("/")).expect("an answer");
            assert_eq!(answer.head.status, 200, "{version:?}");
        }
    });
}

/// "h2c smuggling": requests that the proxy would not see.
#[test]
fn other_versions_of_http_are_not_asked_for() {
    on_both_drivers(|driver| {
        let upstream = Raw::start(|connection| {
            loop {
                let head = connection.head()?;
                (connection.tell)(head);
                connection.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")?;
            }
        });
        let server = start(NONE, driver, upstream.http(), ProxyOptions::default());
        deadline(async {
            for protocol in ["h2c", "HTTP/2.0", "TLS/1.0", "h2c, h2"] {
                let settings = [("http2-settings", "AAMAAABkAAQAAP__")];
                let version = Version::Http1;
                let answer = upgrade(version, NONE, server.addr, "/", protocol, &settings).await;
                assert_eq!(answer.status, 200, "{protocol}");
                let head = upstream.next();
                for name in ["upgrade", "connection", "http2-settings"] {
                    assert_eq!(field(&head, name), None, "{head}");
                }
            }
            let answer = upgrade(Version::Http2, NONE, server.addr, "/", "h2c", &[]).await;
            assert_eq!(answer.status, 501);
        });
    });
}

/// Any protocol by the field, others than WebSocket without a key.
#[test]
fn protocols_that_the_proxy_does_not_know_pass() {
    on_both_drivers(|driver| {
        let upstream = Raw::start(|connection| {
            let head = connection.head()?;
            (connection.tell)(head);
            connection.write(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x-own/2\r\nConnection: upgrade\r\n\r\nhello",
            )
        });
        let server = start(NONE, driver, upstream.http(), ProxyOptions::default());
        for version in Version::ALL {
            let hello = deadline(async {
                let answer = upgrade(version, NONE, server.addr, "/", "x-own/2", &[]).await;
                let mut hello = String::new();
                let mut stream = answer.accepted();
                stream.read_to_string(&mut hello).await.expect("the end");
                hello
            });
            assert_eq!(hello, "hello");
            assert_eq!(field(&upstream.next(), "sec-websocket-key"), None);
        }
    });
}

#[test]
fn upstreams_of_http2_get_no_upgrade() {
    on_both_drivers(|driver| {
        let upstream = streams::echo(driver);
        let options = ProxyOptions::default();
        let server = start(NONE, driver, streams::http2(&upstream), options);
        deadline(async {
            for (version, status) in [(Version::Http1, 200), (Version::Http2, 501)] {
                let answer = websocket(version, NONE, &server).await;
                assert_eq!(answer.status, status, "{version:?}");
            }
        });
    });
}

/// RFC 9110 section 7.8: the body comes before the other protocol; the field may be ignored.
#[test]
fn request_with_a_body_is_forwarded_without_the_upgrade() {
    let upstream = Raw::start(|connection| {
        let head = connection.head()?;
        assert_eq!(connection.body(4)?, b"ping");
        (connection.tell)(head);
        connection.write("HTTP/1.1 204 No Content\r\n\r\n")
    });
    let driver = corelane_test_support::Drivers::all()[0];
    let server = start(NONE, driver, upstream.http(), ProxyOptions::default());
    deadline(async {
        let mut client = Http1Client::connect(NONE, &server).await;
        let answer = client
            .ask("POST / HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: x\r\ncontent-length: 4\r\n\r\nping")
            .await;
        assert_eq!(answer.status, 204);
    });
    assert_eq!(field(&upstream.next(), "upgrade"), None);
}

/// More than all buffers between the two ends have.
const MUCH: usize = 64 << 20;

#[test]
fn a_reader_that_stops_holds_back_the_other_end() {
    for (version, backend) in [(Version::Http1, FIRST), (Version::Http2, NONE)] {
        on_both_drivers(|driver| {
            let upstream = Raw::start(|connection| {
                accept(connection, "")?;
                let socket = connection.stream.get_mut();
                socket.set_write_timeout(Some(Duration::from_millis(200)))?;
                let mut sent = 0;
                let block = [0; 1 << 16];
                let blocked = loop {
                    match socket.write(&block) {
                        Ok(n) if sent < MUCH => sent += n,
                        Ok(_) => break false,
                        Err(error) => break error.kind() == ErrorKind::WouldBlock,
                    }
                };
                (connection.tell)(format!("{blocked} {sent}"));
                let mut all = Vec::new();
                connection.stream.read_to_end(&mut all)?;
                connection.write(all.len().to_string())
            });
            let server = start(backend, driver, upstream.http(), ProxyOptions::default());
            deadline(async {
                let mut stream = websocket(version, backend, &server).await.accepted();
                // The client reads nothing meanwhile.
                let told = upstream.next();
                let (blocked, sent) = told.split_once(' ').expect("two words");
                assert_eq!(blocked, "true", "{sent} bytes");
                let mut received = vec![0; sent.parse().expect("a number")];
                stream.read_exact(&mut received).await.expect("all");
                let upload = vec![1; 3 << 20];
                stream.write_all(&upload).await.expect("sent");
                stream.shutdown().await.expect("ended");
                let mut count = String::new();
                stream.read_to_string(&mut count).await.expect("the end");
                assert_eq!(count, upload.len().to_string());
            });
        });
    }
}

/// The time limits of responses end with the head.
#[test]
fn silence_lasts_as_long_as_it_wants() {
    on_both_drivers(|driver| {
        let upstream = Raw::start(|connection| {
            accept(connection, "")?;
            let socket = connection.stream.get_ref();
            socket.set_read_timeout(Some(impatient().response_timeout * 2))?;
            assert!(connection.closed().is_err(), "no byte and no end");
            connection.write("later")
        });
        let server = start(NONE, driver, upstream.http(), impatient());
        for version in Version::ALL {
            let later = deadline(async {
                let mut stream = websocket(version, NONE, &server).await.accepted();
                let mut later = String::new();
                stream.read_to_string(&mut later).await.expect("the end");
                later
            });
            assert_eq!(later, "later");
        }
    });
}

#[test]
fn shutdown_ends_idle_streams() {
    everywhere(|backend, driver| {
        let upstream = Raw::start(|connection| {
            accept(connection, "")?;
            connection.closed()?;
            connection.write("bye")
        });
        let server = start(backend, driver, upstream.http(), ProxyOptions::default());
        deadline(async {
            let mut streams = Vec::new();
            for version in Version::ALL {
                streams.push(websocket(version, backend, &server).await.accepted());
            }
            server.handle().shutdown(DEADLINE);
            for mut stream in streams {
                let mut bye = String::new();
                stream.read_to_string(&mut bye).await.expect("the end");
                assert_eq!(bye, "bye");
            }
        });
        let begun = Instant::now();
        server.stop(DEADLINE);
        assert!(begun.elapsed() < DEADLINE / 2, "not by the deadline");
    });
}

#[test]
fn an_end_that_fails_ends_the_other() {
    on_both_drivers(|driver| {
        let upstream = Raw::start(|connection| {
            accept(connection, "")?;
            match connection.line()?.as_str() {
                "reset\n" => connection.reset(),
                _ => {
                    let ended = connection.closed();
                    (connection.tell)(format!("{:?}", ended.is_ok()));
                    Ok(())
                }
            }
        });
        let server = start(NONE, driver, upstream.http(), ProxyOptions::default());
        for version in Version::ALL {
            deadline(async {
                let mut stream = websocket(version, NONE, &server).await.accepted();
                stream.write_all(b"reset\n").await.expect("sent");
                let mut rest = Vec::new();
                let _ = stream.read_to_end(&mut rest).await;
                assert!(rest.is_empty());
                let mut stream = websocket(version, NONE, &server).await.accepted();
                stream.write_all(b"wait\n").await.expect("sent");
                stream.flush().await.expect("sent");
                drop(stream);
                assert_eq!(upstream.next(), "true", "a clean end, {version:?}");
            });
        }
        server.wait_for("all streams have ended", |counters| {
            (counters.upgrades, counters.upgrades_ended) == (4, 4)
        });
    });
}
