//! The access log of the command.

mod support;

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderValue, Request, header::USER_AGENT};

use support::{
    Corelane, DEADLINE,
    access_log::{Dir, lines},
    admin::{admin, metrics, sum},
    command,
    http2::{ask, with_client},
    refusal,
};

fn get(path: &str, user_agent: &[u8]) -> Request<()> {
    let mut request = Request::get(format!("http://localhost{path}")).body(());
    let headers = request.as_mut().expect("a request").headers_mut();
    let user_agent = HeaderValue::from_bytes(user_agent).expect("a value");
    headers.insert(USER_AGENT, user_agent);
    request.expect("a request")
}

#[test]
fn combined_lines_escape_text_of_clients() {
    let dir = Dir::new("combined");
    let (server, log) = dir.start(&[]);
    with_client(server.addr(), |mut requests| async move {
        ask(&requests, "/bytes/70000", Bytes::new(), None).await;
        let evil = b"a\" 200 1 \"-\" \"\x80\x9b\\";
        let (response, _) = requests
            .send_request(get("/nowhere?a=%22", evil), true)
            .expect("sent");
        response.await.expect("a response");
    });
    let lines = lines(&log, 2);
    let (peer, rest) = lines[0].split_once(" - - [").expect("combined");
    assert_eq!(peer, "127.0.0.1");
    let (time, rest) = rest.split_once("] ").expect("a time");
    assert!(time.ends_with(" +0000"), "{time}");
    assert_eq!(rest, "\"POST /bytes/70000 HTTP/2.0\" 200 70000 \"-\" \"-\"");
    let evil = "\"GET /nowhere?a=%22 HTTP/2.0\" 404 ";
    assert!(lines[1].contains(evil), "{}", lines[1]);
    let quoted = "\"-\" \"a\\x22 200 1 \\x22-\\x22 \\x22\\x80\\x9B\\x5C\"";
    assert!(lines[1].ends_with(quoted), "{}", lines[1]);
}

#[test]
fn json_lines_mark_incomplete_responses() {
    let dir = Dir::new("json");
    let (server, log) = dir.start(&["--access-log-format", "json"]);
    with_client(server.addr(), |mut requests| async move {
        let (response, _) = requests
            .send_request(get("/", "\u{9b}31m\u{2028}x".as_bytes()), true)
            .expect("sent");
        response.await.expect("a response");

        let endless = get("/bytes/1000000000", b"x");
        let (response, mut stream) = requests.send_request(endless, true).expect("sent");
        let mut body = response.await.expect("a response").into_body();
        body.data().await.expect("some").expect("of it");
        stream.send_reset(h2::Reason::CANCEL);
        ask(&requests, "/", Bytes::new(), None).await;

        // A request whose body does not end.
        let request = Request::post("http://localhost/drain").body(());
        let (response, mut stream) = requests
            .send_request(request.expect("a request"), false)
            .expect("sent");
        stream.send_data("a beginning".into(), false).expect("sent");
        ask(&requests, "/", Bytes::new(), None).await;
        stream.send_reset(h2::Reason::CANCEL);
        drop(response);
        ask(&requests, "/", Bytes::new(), None).await;
    });
    let lines = lines(&log, 6);
    assert!(lines[0].is_ascii(), "{}", lines[0]);
    let parsed: Vec<serde_json::Value> = lines
        .iter()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let first = &parsed[0];
    assert_eq!(first["user_agent"], "\u{9b}31m\u{2028}x");
    assert_eq!(
        (&first["method"], &first["path"]),
        (&"GET".into(), &"/".into())
    );
    assert_eq!(first["status"], 200);
    assert_eq!(first["complete"], true);
    assert_eq!(first["authority"], "localhost");
    assert_eq!(first["protocol"], "HTTP/2.0");
    assert!(first["tls_version"].is_null() && first["proxy"].is_null());
    assert!(first["bytes_sent"].as_u64() > Some(50));
    assert!(first["duration"].as_f64() < Some(60.0));

    let of = |path: &str| {
        let found = parsed.iter().find(|line| {
            line["path"]
                .as_str()
                .is_some_and(|found| found.starts_with(path))
        });
        found.unwrap_or_else(|| panic!("{path} in {lines:#?}"))
    };
    let cut = of("/bytes/");
    assert_eq!(
        (&cut["status"], &cut["complete"]),
        (&200.into(), &false.into())
    );
    assert!(cut["bytes_sent"].as_u64() > Some(0));
    assert_eq!(of("/drain")["complete"], false);
}

/// The handler is dropped or not called.
#[test]
fn responses_of_the_server_itself_are_logged() {
    let dir = Dir::new("refused");
    let (server, log) = dir.start(&["--max-request-body", "10"]);
    with_client(server.addr(), |requests| async move {
        ask(&requests, "/drain", Bytes::from_static(&[0; 11]), None).await;
    });
    let line = &lines(&log, 1)[0];
    assert!(line.contains("\"POST /drain HTTP/2.0\" 413 0 "), "{line}");
}

/// With the bytes of the body, without its framing. What is no request has no line.
#[test]
fn requests_of_http_1_are_logged() {
    let dir = Dir::new("http1");
    let (server, log) = dir.start(&["--http1", "on", "--max-request-body", "10"]);
    let head = |line: &str| format!("{line}\r\nhost: localhost\r\nconnection: close\r\n");
    for (request, status) in [
        (head("GET /bytes/7 HTTP/1.1") + "\r\n", "200"),
        (head("GET /bytes/7 HTTP/1.0") + "\r\n", "200"),
        (head("HEAD /bytes/7 HTTP/1.1") + "\r\n", "200"),
        (
            head("POST /echo HTTP/1.1")
                + "transfer-encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\n\r\n",
            "200",
        ),
        (
            head("POST /drain HTTP/1.1")
                + "transfer-encoding: chunked\r\n\r\nb\r\nhello world\r\n0\r\n\r\n",
            "413",
        ),
        (
            head("POST /drain HTTP/1.1") + "transfer-encoding: chunked\r\n\r\nx\r\n",
            "400",
        ),
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), "400"),
        (head("GET / HTTP/1.1") + "x y\r\n\r\n", "400"),
        (head("GET /nowhere HTTP/1.1") + "\r\n", "404"),
    ] {
        let mut client = TcpStream::connect(server.addr()).expect("connects");
        client
            .set_read_timeout(Some(DEADLINE))
            .expect("a time limit");
        client.write_all(request.as_bytes()).expect("sent");
        let mut answer = String::new();
        client.read_to_string(&mut answer).expect("answered");
        assert_eq!(answer.get(9..12), Some(status), "{request}: {answer}");
    }
    let lines = lines(&log, 7);
    let logged = lines
        .iter()
        .map(|line| line.split('"').nth(1).zip(line.split('"').nth(2)));
    let logged: Vec<_> = logged.map(|it| it.expect("combined")).collect();
    let expected = [
        ("GET /bytes/7 HTTP/1.1", " 200 7 "),
        ("GET /bytes/7 HTTP/1.0", " 200 7 "),
        ("HEAD /bytes/7 HTTP/1.1", " 200 0 "),
        ("POST /echo HTTP/1.1", " 200 5 "),
        ("POST /drain HTTP/1.1", " 413 0 "),
        ("POST /drain HTTP/1.1", " 400 0 "),
    ];
    assert_eq!(logged[..6], expected);
    assert!(
        lines[6].contains("\"GET /nowhere HTTP/1.1\" 404 "),
        "{}",
        lines[6]
    );
}

#[test]
fn a_renamed_file_is_reopened_on_a_signal() {
    for signal in ["-USR1", "-HUP"] {
        let dir = Dir::new(&format!("reopen{signal}"));
        let (mut server, log) = dir.start(&[]);
        let moved = dir.0.join("access.log.1");
        let once = || {
            with_client(server.addr(), |requests| async move {
                ask(&requests, "/", Bytes::new(), None).await;
            });
        };
        once();
        lines(&log, 1);
        fs::rename(&log, &moved).expect("moved");
        server.signal(signal);
        let started = Instant::now();
        while !log.exists() {
            assert!(
                started.elapsed() < DEADLINE,
                "{signal} does not reopen the log"
            );
            std::thread::sleep(Duration::from_millis(5));
        }
        once();
        server.signal("-TERM");
        assert!(server.wait().success());
        assert_eq!(lines(&log, 1).len(), 1, "written before the process ends");
        assert_eq!(lines(&moved, 1).len(), 1);
    }
}

#[test]
fn standard_output_holds_only_the_log() {
    let mut server = command(&[
        "--tls",
        "none",
        "--listen",
        "127.0.0.1:0",
        "--access-log",
        "-",
    ])
    .stdout(Stdio::piped())
    .stderr(Stdio::piped())
    .spawn()
    .expect("the command starts");
    let introduction = BufReader::new(server.stderr.take().expect("piped")).lines();
    let addr = introduction
        .map(|line| line.expect("text"))
        .find_map(|line| line.strip_prefix("listening on http://")?.parse().ok());
    with_client(addr.expect("an address"), |requests| async move {
        ask(&requests, "/", Bytes::new(), None).await;
    });
    let mut out = BufReader::new(server.stdout.take().expect("piped")).lines();
    let first = out.next().expect("a line").expect("text");
    assert!(first.contains("\"POST / HTTP/2.0\" 200 "), "{first}");
    server.kill().expect("it runs");
    server.wait().expect("a child");
}

#[test]
fn sigusr1_without_a_log_is_ignored() {
    let mut server = Corelane::start(&["--tls", "none", "--listen", "127.0.0.1:0"]);
    server.signal("-USR1");
    with_client(server.addr(), |requests| async move {
        ask(&requests, "/", Bytes::new(), None).await;
    });
    server.signal("-TERM");
    assert!(server.wait().success());
}

#[test]
fn a_log_that_cannot_be_written_stops_the_start() {
    for command in [&[][..], &["check"]] {
        let log = ["--tls", "none", "--access-log", "/nonexistent/access.log"];
        let message = refusal(&[command, &log].concat());
        assert!(message.contains("/nonexistent/access.log"), "{message}");
    }
}

#[test]
fn a_full_disk_costs_lines_which_are_counted_and_reported() {
    let dir = Dir::new("full");
    let events = dir.0.join("events");
    let mut command = command(&["--tls", "none", "--listen", "127.0.0.1:0", "--admin", "0"]);
    command
        .args(["--access-log", "/dev/full"])
        .stderr(fs::File::create(&events).expect("a file"));
    let server = Corelane::start_by(command);
    with_client(server.addr(), |requests| async move {
        for _ in 0..3 {
            ask(&requests, "/", Bytes::new(), None).await;
        }
    });
    let count = |lines: &[String]| -> u64 {
        let reports = lines.iter().filter(|line| line.contains("were lost"));
        let counts = reports.filter_map(|line| line.split("lines=").nth(1)?.split(' ').next());
        counts
            .map(|count| count.parse::<u64>().expect("a number"))
            .sum()
    };
    let mut reported = lines(&events, 2);
    let started = Instant::now();
    // No further request is needed for the report.
    while count(&reported) < 3 {
        assert!(started.elapsed() < DEADLINE, "{reported:?}");
        std::thread::sleep(Duration::from_millis(5));
        reported = lines(&events, 2);
    }
    let reported = reported.join("\n");
    assert_eq!(
        reported.matches("No space left on device").count(),
        1,
        "{reported}"
    );
    assert!(reported.contains("log=\"access\""), "{reported}");
    let metrics = metrics(admin(&server));
    let lost = sum(&metrics, "corelane_log_lines_dropped_total", "access");
    assert_eq!(lost, 3.0);
}

/// Above a limit on the size of files the kernel takes a part of a line, as a disk does that fills up.
#[test]
fn a_log_that_was_full_has_whole_lines_of_json_only() {
    let dir = Dir::new("half");
    let log = dir.0.join("access.log");
    let mut command = Command::new("prlimit");
    command
        .args(["--fsize=1000:unlimited", env!("CARGO_BIN_EXE_corelane")])
        .args(["--tls", "none", "--listen", "127.0.0.1:0", "--admin", "0"])
        .args(["--access-log-format", "json", "--access-log"])
        .arg(&log)
        .stderr(Stdio::null());
    let server = Corelane::start_by(command);
    let lost = || {
        let metrics = metrics(admin(&server));
        sum(&metrics, "corelane_log_lines_dropped_total", "access")
    };
    let ask_for = |path: &str| {
        with_client(server.addr(), |requests| async move {
            ask(&requests, path, Bytes::new(), None).await;
        });
    };
    let mut asked = 0;
    while lost() < 2.0 {
        assert!(asked < 1000, "no line is lost");
        ask_for("/");
        asked += 1;
    }
    let half = fs::read_to_string(&log).expect("text");
    assert_eq!(half.len(), 1000, "{half}");
    let id = server.id().to_string();
    let raised = Command::new("prlimit")
        .args(["--pid", &id, "--fsize=unlimited:unlimited"])
        .status();
    assert!(raised.expect("prlimit").success());
    ask_for("/last");
    let started = Instant::now();
    let mut text = half;
    while !text.contains("/last") || !text.ends_with('\n') {
        assert!(started.elapsed() < DEADLINE, "{text}");
        text = fs::read_to_string(&log).expect("text");
    }
    for line in text.lines() {
        serde_json::from_str::<serde_json::Value>(line).expect("JSON");
    }
    // The request after the limit was raised has a line. Metrics may be 100 ms old.
    let lines = text.lines().count() as f64;
    while lines + lost() != f64::from(asked + 1) {
        assert!(started.elapsed() < DEADLINE, "{text}");
    }
}
