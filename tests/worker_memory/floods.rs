//! Attacks of one connection: the worker lives, others are served, and the connection never holds more than
//! `docs/limits.md` says.

use std::time::Duration;

use corelane::{Driver, Limits, WorkerCounters};
use corelane_test_support::{
    Backend, Drivers, Http1Client, TestServer, deadline, for_each_backend,
};
use tokio::time::timeout;

use crate::{
    counting::{alone, begin, most, settled},
    http1::{bound, start},
};

for_each_backend!(
    floods_stay_within_documented_bound,
    connections_leave_no_memory
);

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n")
}

/// An attack sends 4 of these at most, several times the bound, or until the server reads no more. It sends
/// a quarter where the server serves what takes much of its time.
const MIB: usize = 1 << 20;

const BLOCK: usize = 16 << 10;

/// How long the server may take to read more before it counts as one that does not.
const STUCK: Duration = Duration::from_millis(50);

/// The largest piece of a response body here.
const PIECE: usize = 64 * 1024;

enum End {
    /// The server refuses it, and closes the connection.
    Refused(fn(&WorkerCounters) -> u64),
    /// The server reads no more until its responses are read.
    Waits,
    /// It is a request, which this completes.
    Served(&'static str),
}

struct Attack {
    what: &'static str,
    begin: String,
    over_and_over: String,
    end: End,
}

fn attack(what: &'static str, begin: &str, over_and_over: &str, end: End) -> Attack {
    Attack {
        what,
        begin: begin.to_owned(),
        over_and_over: over_and_over.to_owned(),
        end,
    }
}

fn upload(path: &str, begin: &str) -> String {
    let head = format!("POST {path} HTTP/1.1\r\nhost: localhost\r\n");
    head + "transfer-encoding: chunked\r\n\r\n" + begin
}

/// What only the time for the body ends.
fn attacks_on_time() -> [Attack; 2] {
    let times_out = || End::Refused(|it| it.bodies_timed_out);
    [
        attack("endless size", &upload("/", ""), "0", times_out()),
        attack(
            "endless space behind a size",
            &upload("/", "5"),
            " ",
            times_out(),
        ),
    ]
}

fn attacks() -> Vec<Attack> {
    let head = "GET / HTTP/1.1\r\nhost: localhost\r\n";
    let malformed = || End::Refused(|it| it.requests_malformed);
    vec![
        attack("pipelined requests", "", &get("/page"), End::Waits),
        attack("endless response", &get("/large"), &get("/"), End::Waits),
        attack("endless fields", head, "x:\r\n", malformed()),
        attack("endless field", &format!("{head}x: "), "x", malformed()),
        attack("endless request line", "GET /", "x", malformed()),
        attack("endless empty lines", "", "\r\n", malformed()),
        attack("endless extension", &upload("/", "5;"), "a", malformed()),
        attack(
            "extensions of chunks",
            &upload("/", ""),
            "1;aaaaaaaaaaaaaaa\r\nx\r\n",
            malformed(),
        ),
        attack(
            "endless trailers",
            &upload("/", "0\r\n"),
            "x: y\r\n",
            malformed(),
        ),
        attack(
            "endless trailer",
            &upload("/", "0\r\nx: "),
            "y",
            malformed(),
        ),
        attack(
            "chunks of a byte",
            &upload("/", ""),
            "1\r\nx\r\n",
            End::Served("0\r\n\r\n"),
        ),
        attack(
            "unread chunks of a byte",
            &upload("/held", ""),
            "1\r\nx\r\n",
            End::Waits,
        ),
    ]
}

impl Attack {
    /// Sends it, and returns the connection.
    async fn run(&self, backend: Backend, server: &TestServer) -> Http1Client {
        let mut client = Http1Client::connect(backend, server).await;
        client.send(&self.begin).await;
        let block = self
            .over_and_over
            .repeat(BLOCK / self.over_and_over.len())
            .into_bytes();
        let blocks = match self.end {
            End::Refused(_) => 4 * MIB / BLOCK,
            End::Waits => 16 * MIB / BLOCK,
            End::Served(_) => MIB / 4 / BLOCK,
        };
        for _ in 0..blocks {
            let sent = match self.end {
                End::Waits => timeout(STUCK, client.try_send(&block)).await,
                _ => Ok(client.try_send(&block).await),
            };
            if !matches!(sent, Ok(Ok(()))) {
                return client;
            }
        }
        assert!(
            !matches!(self.end, End::Waits),
            "{}: the server reads all of it",
            self.what
        );
        client
    }

    /// Asserts how it ends, where `before` counted what came before it.
    async fn assert_ended(
        &self,
        client: &mut Http1Client,
        server: &TestServer,
        before: &WorkerCounters,
    ) {
        match self.end {
            End::Refused(count) => server.wait_for(self.what, |now| {
                count(now) > count(before) && now.responses_4xx > before.responses_4xx
            }),
            End::Waits => assert_eq!(server.counters()[0].connections_open(), 2),
            End::Served(rest) => assert_eq!(client.ask(rest).await.status, 200),
        }
    }
}

fn floods_stay_within_documented_bound(backend: Backend) {
    let _alone = alone();
    for &driver in Drivers::all() {
        assert_bounded(backend, driver, Limits::default(), &attacks());
        let limits = Limits::default().body(2 * STUCK);
        assert_bounded(backend, driver, limits, &attacks_on_time());
    }
}

fn assert_bounded(backend: Backend, driver: Driver, limits: Limits, attacks: &[Attack]) {
    let server = start(backend, driver, limits);
    deadline(async {
        let mut other = Http1Client::connect(backend, &server).await;
        // The first one allocates what the thread keeps for all of them.
        attacks[0].run(backend, &server).await;
        for attack in attacks {
            server.wait_for("the end", |it| it.connections_open() == 1);
            settled(STUCK / 5).await;
            let counters = server.counters()[0];
            let before = begin();
            let mut client = attack.run(backend, &server).await;
            let answer = other.ask(get("/")).await;
            assert_eq!(answer.status, 200, "{}", attack.what);
            attack.assert_ended(&mut client, &server, &counters).await;
            let held = (most() - before).unsigned_abs();
            let what = attack.what;
            eprintln!("{} {driver:?}: {what}: {held} bytes", backend.name);
            assert!(held <= bound(backend, PIECE), "{what}: {held} bytes");
            assert!(held > 1024, "{what}: {held} bytes, so they are not counted");
        }
    });
}

/// Clients that connect, send a part of a request or a wrong one, and leave.
fn connections_leave_no_memory(backend: Backend) {
    const CLIENTS: usize = 60;
    let _alone = alone();
    for &driver in Drivers::all() {
        let server = start(backend, driver, Limits::default());
        let request = get("/");
        let parts = [&*request, &request[..20], "GET / HTTP/1.1\r\n\r\n"];
        let flood = async || {
            for i in 0..CLIENTS {
                let mut client = Http1Client::connect(backend, &server).await;
                client.send(parts[i % 3]).await;
            }
        };
        deadline(async {
            let mut other = Http1Client::connect(backend, &server).await;
            flood().await;
            assert_eq!(other.ask(get("/")).await.status, 200);
            server.wait_for("the end", |it| it.connections_open() == 1);
            let before = settled(STUCK).await;
            flood().await;
            assert_eq!(other.ask(get("/")).await.status, 200);
            server.wait_for("the end", |it| it.connections_open() == 1);
            let grown = settled(STUCK).await - before;
            assert!(grown < 16 * 1024, "{grown} bytes are left");
        });
    }
}
