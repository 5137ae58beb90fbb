//! Upstreams that misbehave: the client gets the right status or a reset stream, never a cut body that
//! looks complete, and the next request is answered as if nothing had happened.

use std::{io, net::Shutdown, time::Duration};

use bytes::Bytes;
use corelane::Driver;
use corelane_test_support::{
    H2Client, TestServer,
    backends::NONE,
    client::{Answer, get, send},
    deadline,
};
use http::Request;

use crate::upstream::{Connection, Raw, impatient, on_both_drivers, proxy};

/// What the upstream does after its bytes.
#[derive(Clone, Copy)]
enum Then {
    Close,
    Reset,
    /// Keeps the connection open and waits.
    Wait,
    /// Repeats its last bytes without end.
    Repeat(&'static str),
    /// Sends these bytes one by one, slowly.
    Trickle(&'static str),
}

#[derive(Clone, Copy, Debug)]
enum Expected {
    Status(u16),
    /// This whole body, with status 200.
    Body(&'static str),
    /// A head with status 200, and a reset stream.
    Cut,
}

use Expected::{Body, Cut, Status};
use Then::{Close, Repeat, Reset, Trickle, Wait};

#[rustfmt::skip]
const CASES: &[(&str, &str, Then, Expected)] = &[
    ("closed before the head", "", Close, Status(502)),
    ("reset before the head", "", Reset, Status(502)),
    ("another protocol", "SSH-2.0-OpenSSH_9.2\r\n", Wait, Status(502)),
    ("closed within the head", "HTTP/1.1 200 OK\r\nContent-Le", Close, Status(502)),
    ("RFC 9110 15.2.2: 101 without a request for it",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", Wait, Status(502)),
    ("RFC 9110 15.2: interim responses", 
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        Wait, Body("ok")),
    ("interim responses without end", "", Repeat("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"), Status(502)),
    ("a head without end", "HTTP/1.1 200 OK\r\n", Repeat("X-Field: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n"), Status(502)),
    ("a status line without end", "HTTP/1.1 200 ", Repeat("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"), Status(502)),
    ("a slow head", "HTTP/1.1 200 OK\r\n", Trickle("X-Field: aaaaaaaaaaaaaaaaaaaaaaa"), Status(504)),
    ("silence", "", Wait, Status(504)),
    ("RFC 9112 5: NUL in a value", "HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n", Close, Status(502)),
    ("RFC 9112 5.1: space before the colon", "HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok", Wait, Status(502)),
    ("RFC 9112 5.2: a folded line", "HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n", Close, Status(502)),
    ("RFC 9112 2.2: a bare CR", "HTTP/1.1 200 OK\r\nX: a\rY: b\r\n\r\n", Close, Status(502)),
    ("a version of the future", "HTTP/3.0 200 OK\r\n\r\n", Wait, Status(502)),
    ("a status of two digits", "HTTP/1.1 20 OK\r\n\r\n", Wait, Status(502)),
    ("RFC 9112 6.3: a short body", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nok", Close, Cut),
    ("a reset within the body", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nok", Reset, Cut),
    ("silence within the body", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nok", Wait, Cut),
    ("RFC 9112 6.3: a long body", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokay", Wait, Body("ok")),
    ("RFC 9112 11.1: two responses to one request",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", Wait, Body("ok")),
    ("RFC 9112 6.1: both lengths",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", Wait, Status(502)),
    ("RFC 9112 6.3: differing lengths", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\noky", Wait, Status(502)),
    ("RFC 9110 8.6: equal lengths", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok", Wait, Body("ok")),
    ("a length with a sign", "HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok", Wait, Status(502)),
    ("a negative length", "HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok", Wait, Status(502)),
    ("a length past 64 bits", "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nok", Wait, Status(502)),
    ("RFC 9112 6.1: a coding before chunked",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", Wait, Status(502)),
    ("RFC 9112 6.1: chunked is not the last", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, identity\r\n\r\nok", Close, Status(502)),
    ("RFC 9112 7.1: a chunk of garbage", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", Wait, Cut),
    ("RFC 9112 7.1: a chunk past 64 bits", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000002\r\nok", Wait, Cut),
    ("RFC 9112 7.1: a chunk without its CR LF", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nokay\r\n0\r\n\r\n", Wait, Cut),
    ("RFC 9112 8: closed within a chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nok", Close, Cut),
    ("RFC 9112 8: closed before the last chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", Close, Cut),
    ("RFC 9112 7.1.2: trailers without end",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n", Repeat("X-Field: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n"), Cut),
    ("chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1;x=y\r\nk\r\n0\r\n\r\n", Wait, Body("ok")),
    ("RFC 9112 6.3: the body ends with the connection", "HTTP/1.1 200 OK\r\n\r\nok", Close, Body("ok")),
    ("HTTP/1.0", "HTTP/1.0 200 OK\r\n\r\nok", Close, Body("ok")),
    ("HTTP/1.0 with chunks", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", Wait, Status(502)),
    ("RFC 9110 15.3.5: 204 with a body", "HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nok", Wait, Status(204)),
    ("RFC 9110 15.4.5: 304 with a length", "HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n", Wait, Status(304)),
    ("an error of the application", "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n", Wait, Status(500)),
];

#[test]
fn misbehaving_upstreams_are_told_apart_and_do_not_poison_the_pool() {
    on_both_drivers(|driver| {
        for (name, bytes, then, expected) in CASES {
            let upstream = Raw::start(move |connection| serve(connection, bytes, *then));
            let server = proxy(NONE, driver, vec![upstream.http()], impatient());
            let paths = ["/good", "/bad", "/good"];
            let [before, bad, after] = ask_in_turn(&server, paths);
            for good in [before, after] {
                let good = good.unwrap_or_else(|error| panic!("{name}: {error}"));
                assert_eq!(good.body, b"good", "{name}");
            }
            match (expected, bad) {
                (Cut, Err(error)) => assert!(error.is_reset(), "{name}: {error}"),
                (Status(status), Ok(answer)) => {
                    assert_eq!(answer.head.status, *status, "{name}");
                    if *status >= 502 {
                        let text = String::from_utf8_lossy(&answer.body).into_owned();
                        assert!(!text.contains("127.0.0.1"), "{name}: {text}");
                        assert!(text.starts_with(&status.to_string()), "{name}: {text}");
                    } else {
                        assert_eq!(answer.body, b"", "{name}");
                    }
                }
                (Body(body), Ok(answer)) => {
                    assert_eq!(answer.head.status, 200, "{name}");
                    assert_eq!(answer.body, body.as_bytes(), "{name}");
                }
                (expected, got) => panic!("{name}: expected {expected:?}, got {got:?}"),
            }
        }
    });
}

/// Answers well, but for `/bad`.
fn serve(connection: &mut Connection, bytes: &str, then: Then) -> io::Result<()> {
    loop {
        if !connection.head()?.starts_with("GET /bad ") {
            connection.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood")?;
            continue;
        }
        connection.write(bytes)?;
        match then {
            Close => return connection.stream.get_ref().shutdown(Shutdown::Both),
            Reset => {
                // Unread bytes would do as well; this needs no cooperation of the proxy.
                return connection.reset();
            }
            Wait => {}
            Repeat(more) => loop {
                connection.write(more.repeat(100))?;
            },
            Trickle(more) => {
                for byte in more.bytes().cycle() {
                    connection.write([byte])?;
                    std::thread::sleep(Duration::from_millis(20));
                }
            }
        }
    }
}

/// Sends requests on one connection, each after the answer to the one before.
fn ask_in_turn<const N: usize>(
    server: &TestServer,
    paths: [&str; N],
) -> [Result<Answer, h2::Error>; N] {
    deadline(async {
        let client = H2Client::connect(NONE, server.addr).await;
        let answers = client.run(|requests| async move {
            let mut answers = Vec::new();
            for path in paths {
                answers.push(send(&requests, get(path), None).await);
            }
            answers
        });
        let answers = answers.await;
        answers.try_into().expect("as many answers as requests")
    })
}

/// RFC 9110 section 9.3.2: a length without a body, and no wait for one.
#[test]
fn head_has_the_length_of_the_body_that_it_leaves_out() {
    on_both_drivers(|driver: Driver| {
        let upstream = Raw::start(|connection| {
            loop {
                connection.head()?;
                connection.write("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")?;
            }
        });
        let server = proxy(NONE, driver, vec![upstream.http()], impatient());
        for _ in 0..2 {
            let request = Request::head("https://localhost/").body(Bytes::new());
            let answer = crate::upstream::ask(NONE, &server, request.expect("a request"));
            let answer = answer.expect("an answer");
            assert_eq!(answer.head.headers["content-length"], "1000");
            assert_eq!(answer.body, b"");
        }
    });
}
