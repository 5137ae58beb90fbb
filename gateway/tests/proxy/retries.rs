//! Connections that end at the wrong time, upstreams that fail, and what is sent again.

use std::{
    net::Shutdown,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use corelane::Driver;
use corelane_gateway::{ProxyOptions, Upstream};
use corelane_test_support::{backends::NONE, client::get};
use http::Method;

use crate::upstream::{Connection, Raw, ask, impatient, on_both_drivers, proxy, upload};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// An upstream that refuses connections.
fn refusing() -> Upstream {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("loopback");
    let addr = listener.local_addr().expect("an address");
    format!("http://{addr}").parse().expect("an upstream")
}

fn status(server: &corelane_test_support::TestServer, method: Method) -> u16 {
    let mut request = match method {
        Method::POST => upload("/", "ping"),
        _ => get("/"),
    };
    *request.method_mut() = method;
    let answer = ask(NONE, server, request).expect("an answer");
    answer.head.status.as_u16()
}

/// RFC 9112 section 9.3.1: the upstream closes a kept connection just as the next request arrives.
#[test]
fn idempotent_request_on_a_connection_that_died_is_sent_again() {
    on_both_drivers(|driver| {
        let upstream = Raw::start(|connection| {
            connection.head()?;
            connection.write(OK)?;
            // Takes the second request and goes away without a word.
            let again = connection.head()?;
            (connection.tell)(again);
            Ok(())
        });
        for (method, expected) in [
            (Method::GET, 200),
            (Method::HEAD, 200),
            (Method::DELETE, 200),
            (Method::PATCH, 502),
            (Method::POST, 502),
        ] {
            let server = proxy(NONE, driver, vec![upstream.http()], ProxyOptions::default());
            assert_eq!(status(&server, Method::GET), 200);
            assert_eq!(status(&server, method.clone()), expected, "{method}");
            assert!(upstream.next().starts_with(method.as_str()));
        }
    });
}

/// It might have been processed: only the first byte of an answer proves that, but it does prove it.
#[test]
fn request_whose_answer_has_begun_is_not_sent_again() {
    on_both_drivers(|driver| {
        let upstream = Raw::start(|connection| {
            connection.head()?;
            (connection.tell)("a request".into());
            connection.write(OK)?;
            connection.head()?;
            (connection.tell)("another".into());
            connection.write("H")
        });
        let server = proxy(NONE, driver, vec![upstream.http()], ProxyOptions::default());
        assert_eq!(status(&server, Method::GET), 200);
        assert_eq!(status(&server, Method::GET), 502);
        assert_eq!([upstream.next(), upstream.next()], ["a request", "another"]);
        assert!(upstream.seen.try_recv().is_err());
    });
}

#[test]
fn connection_is_closed_before_the_upstream_closes_it() {
    on_both_drivers(|driver| {
        let upstream = Raw::start(|connection| {
            loop {
                connection.head()?;
                (connection.tell)(connection.number.to_string());
                connection.write(
                    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nKeep-Alive: timeout=1, max=5\r\n\r\nok",
                )?;
            }
        });
        let server = proxy(NONE, driver, vec![upstream.http()], ProxyOptions::default());
        for number in ["0", "1"] {
            assert_eq!(status(&server, Method::POST), 200);
            assert_eq!(upstream.next(), number);
        }
    });
}

/// It is not left half closed until the next look at the idle connections, ten seconds later.
#[test]
fn idle_connection_is_closed_when_the_upstream_closes_it() {
    on_both_drivers(|driver| {
        let upstream = Raw::start(|connection| {
            connection.head()?;
            connection.write(OK)?;
            (connection.tell)("answered".into());
            connection.stream.get_ref().shutdown(Shutdown::Write)?;
            let begun = Instant::now();
            connection.closed()?;
            let soon = begun.elapsed() < Duration::from_secs(5);
            (connection.tell)(format!("closed soon: {soon}"));
            Ok(())
        });
        let server = proxy(NONE, driver, vec![upstream.http()], ProxyOptions::default());
        for _ in 0..2 {
            assert_eq!(status(&server, Method::GET), 200);
            assert_eq!(upstream.next(), "answered");
            assert_eq!(upstream.next(), "closed soon: true");
        }
    });
}

/// RFC 9112 section 9.6.
#[test]
fn connection_with_close_is_not_kept() {
    on_both_drivers(|driver| {
        let upstream = Raw::start(|connection| {
            connection.head()?;
            connection
                .write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")?;
            connection.closed()?;
            (connection.tell)("closed".into());
            Ok(())
        });
        let server = proxy(NONE, driver, vec![upstream.http()], ProxyOptions::default());
        for _ in 0..2 {
            assert_eq!(status(&server, Method::GET), 200);
            assert_eq!(upstream.next(), "closed");
        }
    });
}

#[test]
fn upstreams_take_turns_and_one_that_is_down_is_left_out() {
    on_both_drivers(|driver| {
        let count = |connection: &mut Connection| {
            loop {
                let head = connection.head()?;
                (connection.tell)(head);
                connection.write(OK)?;
            }
        };
        let (one, two) = (Raw::start(count), Raw::start(count));
        let upstreams = vec![one.http(), refusing(), two.http()];
        let server = proxy(NONE, driver, upstreams, ProxyOptions::default());
        // A POST too: it was not sent.
        for i in 0..20 {
            let method = if i % 2 == 0 {
                Method::GET
            } else {
                Method::POST
            };
            assert_eq!(status(&server, method), 200);
        }
        let counts = [one, two].map(|it| it.seen.try_iter().count());
        assert_eq!(counts.iter().sum::<usize>(), 20);
        assert!(counts.iter().all(|count| *count >= 7), "{counts:?}");
    });
}

#[test]
fn upstreams_that_are_all_down_are_503_until_one_may_be_tried_again() {
    on_both_drivers(|driver| {
        let mut options = ProxyOptions::default();
        options.max_failures = 1;
        options.failure_timeout = Duration::from_secs(3600);
        let server = proxy(NONE, driver, vec![refusing(), refusing()], options.clone());
        assert_eq!(status(&server, Method::GET), 502);
        assert_eq!(status(&server, Method::GET), 503);

        options.failure_timeout = Duration::ZERO;
        let server = proxy(NONE, driver, vec![refusing(), refusing()], options.clone());
        assert_eq!(status(&server, Method::GET), 502);
        assert_eq!(status(&server, Method::GET), 502, "the time is over");

        options.failure_timeout = Duration::from_secs(3600);
        let server = proxy(NONE, driver, vec![refusing()], options);
        for _ in 0..3 {
            assert_eq!(
                status(&server, Method::GET),
                502,
                "a single upstream is tried"
            );
        }
    });
}

#[test]
fn upstream_that_breaks_connections_is_left_out() {
    on_both_drivers(|driver| {
        let broken = Raw::start(|connection| {
            connection.head()?;
            (connection.tell)(String::new());
            Ok(())
        });
        let good = Raw::start(|connection| {
            loop {
                connection.head()?;
                connection.write(OK)?;
            }
        });
        let mut options = ProxyOptions::default();
        options.max_failures = 2;
        let upstreams = vec![broken.http(), good.http()];
        let server = proxy(NONE, driver, upstreams, options);
        // A GET is sent again, to the other one.
        for _ in 0..10 {
            assert_eq!(status(&server, Method::GET), 200);
        }
        assert_eq!(broken.seen.try_iter().count(), 2);
    });
}

#[test]
fn time_limits_are_504_and_not_tried_again() {
    on_both_drivers(|driver| {
        let upstream = Raw::start(|connection| {
            connection.head()?;
            (connection.tell)("asked".into());
            connection.closed()?;
            (connection.tell)("closed".into());
            Ok(())
        });
        let upstreams = vec![upstream.http(), upstream.http()];
        let server = proxy(NONE, driver, upstreams, impatient());
        assert_eq!(status(&server, Method::GET), 504);
        assert_eq!([upstream.next(), upstream.next()], ["asked", "closed"]);
        assert!(upstream.seen.try_recv().is_err());
    });
}

/// A listener whose queue is full does not answer a SYN.
#[test]
fn connecting_has_a_time_limit() {
    on_both_drivers(|driver| {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
        let socket = socket.expect("a socket");
        let any = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
        socket.bind(&any.into()).expect("loopback");
        socket.listen(0).expect("listens");
        let addr = socket.local_addr().ok().and_then(|it| it.as_socket());
        let addr = addr.expect("an address");
        let _fills: Vec<_> = (0..2)
            .map_while(|_| {
                std::net::TcpStream::connect_timeout(&addr, Duration::from_millis(100)).ok()
            })
            .collect();
        let upstream = format!("http://{addr}").parse().expect("an upstream");
        let server = proxy(NONE, driver, vec![upstream], impatient());
        assert_eq!(status(&server, Method::GET), 504);
    });
}

/// A name is resolved, and its addresses are tried in turn: `localhost` often has two.
#[test]
fn host_name_is_resolved() {
    on_both_drivers(|driver| {
        let upstream = Raw::start(|connection| {
            connection.head()?;
            connection.write(OK)
        });
        let named = format!("http://localhost:{}", upstream.addr.port());
        let named = named.parse().expect("an upstream");
        let server = proxy(NONE, driver, vec![named], ProxyOptions::default());
        assert_eq!(status(&server, Method::GET), 200);

        let unknown = "http://name.invalid:80".parse().expect("an upstream");
        let server = proxy(NONE, driver, vec![unknown], ProxyOptions::default());
        assert_eq!(status(&server, Method::GET), 502);
    });
}

#[test]
fn unix_socket_is_an_upstream() {
    on_both_drivers(|driver| {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("app.sock");
        let listener = std::os::unix::net::UnixListener::bind(&path).expect("a socket");
        std::thread::spawn(move || {
            use std::io::{BufRead, BufReader, Write};
            for stream in listener.incoming().flatten() {
                let mut lines = BufReader::new(&stream).lines();
                while lines
                    .next()
                    .is_some_and(|line| line.is_ok_and(|line| !line.is_empty()))
                {}
                let _ = (&stream).write_all(OK.as_bytes());
            }
        });
        let upstream = format!("unix:{}", path.display())
            .parse()
            .expect("an upstream");
        let server = proxy(NONE, driver, vec![upstream], ProxyOptions::default());
        assert_eq!(status(&server, Method::GET), 200);
    });
}

/// Requests at the same time open a connection each, and no more than `max_idle_connections` are kept.
#[test]
fn idle_connections_are_limited() {
    let open = Arc::new(AtomicUsize::new(0));
    let barrier = Arc::new(std::sync::Barrier::new(4));
    let upstream = Raw::start({
        let (open, barrier) = (Arc::clone(&open), Arc::clone(&barrier));
        move |connection| {
            open.fetch_add(1, Ordering::SeqCst);
            connection.head()?;
            barrier.wait();
            connection.write(OK)?;
            let _ = connection.closed();
            open.fetch_sub(1, Ordering::SeqCst);
            (connection.tell)("closed".into());
            Ok(())
        }
    });
    let mut options = ProxyOptions::default();
    options.max_idle_connections = 1;
    let server = proxy(NONE, Driver::Epoll, vec![upstream.http()], options);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert_eq!(status(&server, Method::GET), 200));
        }
    });
    for _ in 0..3 {
        assert_eq!(upstream.next(), "closed");
    }
    assert_eq!(open.load(Ordering::SeqCst), 1);
}

#[test]
fn proxy_without_upstreams_or_time_is_an_error() {
    let proxy = corelane_gateway::Proxy::new(Vec::new(), ProxyOptions::default());
    assert!(proxy.expect_err("none").is_config());
    let mut options = ProxyOptions::default();
    options.response_timeout = Duration::ZERO;
    let proxy = corelane_gateway::Proxy::new(vec![refusing()], options);
    let error = proxy.expect_err("no time").to_string();
    assert_eq!(error, "response_timeout is zero");
}
