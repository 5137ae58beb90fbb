//! The event log on a pipe that nothing reads: it delays neither requests nor the end of the process.

mod support;

use std::{
    io::{BufRead, BufReader, PipeReader, Read, Write, pipe},
    net::{Shutdown, SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use http::StatusCode;
use support::{
    Corelane, DEADLINE,
    admin::{admin, metrics, sum},
    certificates::BACKENDS,
    client::{connect, get, run},
    command,
};

const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(10);

/// A server whose standard error is a full pipe, and the end of that pipe that nothing reads.
struct Stuck {
    server: Corelane,
    backend: &'static str,
    unread: PipeReader,
}

impl Stuck {
    fn start(backend: &'static str, driver: &str) -> Self {
        let (unread, stderr) = pipe().expect("a pipe");
        let timeout = SHUTDOWN_TIMEOUT.as_secs().to_string();
        let mut command = command(&["-v", "--tls", backend, "--driver", driver]);
        command
            .args(["--listen", "127.0.0.1:0", "--admin", "0", "--workers", "1"])
            .args(["--shutdown-timeout", &timeout])
            .stderr(stderr);
        let server = Corelane::start_by(command);
        let lost = || {
            let metrics = metrics(admin(&server));
            sum(&metrics, "corelane_log_lines_dropped_total", "events")
        };
        let started = Instant::now();
        // Each failed handshake is a line.
        while lost() == 0.0 {
            assert!(started.elapsed() < DEADLINE, "the pipe is never full");
            (0..500).for_each(|_| fail_handshake(server.addr()));
        }
        Self {
            server,
            backend,
            unread,
        }
    }

    fn assert_answers(&self) {
        let (addr, backend) = (self.server.addr(), self.backend);
        let status = run(async move {
            let requests = connect(addr, backend).await;
            get(&requests, "/").await.expect("answered").0
        });
        assert_eq!(status, StatusCode::OK);
    }
}

/// HTTP/1.x is refused with and without TLS.
fn fail_handshake(addr: SocketAddr) {
    let mut client = TcpStream::connect(addr).expect("connects");
    client.set_read_timeout(Some(DEADLINE)).expect("set");
    client.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("sent");
    client.shutdown(Shutdown::Write).expect("shut down");
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).expect("an answer");
    assert!(answer.starts_with(b"HTTP/1.1 "), "{answer:?}");
}

fn each(test: impl Fn(Stuck)) {
    for backend in BACKENDS.iter().copied().chain(["none"]) {
        for driver in ["epoll", "auto"] {
            test(Stuck::start(backend, driver));
        }
    }
}

#[test]
fn a_log_that_nothing_reads_delays_no_request_and_no_shutdown() {
    each(|mut stuck| {
        stuck.assert_answers();
        let signalled = Instant::now();
        stuck.server.signal("-TERM");
        assert!(stuck.server.wait().success());
        let took = signalled.elapsed();
        assert!(took < SHUTDOWN_TIMEOUT + Duration::from_secs(1), "{took:?}");
    });
}

#[test]
fn a_log_that_nothing_reads_does_not_delay_a_second_signal() {
    let mut stuck = Stuck::start("none", "auto");
    run(async {
        let requests = connect(stuck.server.addr(), "none").await;
        let mut requests = requests.ready().await.expect("ready");
        let request = http::Request::post("http://localhost/drain").body(());
        let request = request.expect("a request");
        let (_response, _body) = requests.send_request(request, false).expect("sent");
        // The first signal waits for this request, whose body does not end.
        let started = Instant::now();
        let in_flight = || {
            let metrics = metrics(admin(&stuck.server));
            sum(&metrics, "corelane_requests_in_flight", "")
        };
        while in_flight() < 1.0 {
            assert!(started.elapsed() < DEADLINE, "the request does not arrive");
            tokio::task::yield_now().await;
        }
        stuck.server.signal("-TERM");
        stuck.server.signal("-INT");
        let status = stuck.server.wait();
        let of_signal = [Some(128 + 2), Some(128 + 15)].contains(&status.code());
        assert!(of_signal, "{status:?}");
    });
}

#[test]
fn lost_lines_are_reported_when_the_log_is_read_again() {
    let stuck = Stuck::start("none", "auto");
    let lines = BufReader::new(&stuck.unread).lines();
    let mut lines = lines.map(|line| line.expect("text"));
    let reported = lines.find(|line| line.contains("log lines were lost"));
    let reported = reported.expect("the log goes on");
    assert!(reported.contains("log=\"events\""), "{reported}");
    let count = reported.split("lines=").nth(1).expect("a number");
    let count: u64 = count
        .split(' ')
        .next()
        .and_then(|count| count.parse().ok())
        .expect("a number");
    assert!(count > 0, "{reported}");
}
