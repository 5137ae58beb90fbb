//! Tests how much memory a connection of HTTP/1.1 holds: idle ones little, and the others no more than
//! `docs/limits.md` says.
//!
//! The test counts what Rust allocates. OpenSSL's own buffers, two records per connection, are not
//! included.
#![cfg(feature = "http1")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    convert::Infallible,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicIsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use corelane::{
    Body, Driver, Http2Config, ProtocolName, service_fn,
    tls::{MAX_SEALED, TlsConfig},
};
use corelane_test_support::{
    Backend, Drivers, Http1Client, Pattern, TestServer, certs::identity, client::DEADLINE,
    deadline, for_each_backend,
};
use http::{Request, Response};
use http_body_util::{BodyExt, combinators::UnsyncBoxBody};

for_each_backend!(memory_stays_within_documented_bound);

/// Counts the bytes that the server's thread has allocated.
struct Counting;

static ALLOCATED: AtomicIsize = AtomicIsize::new(0);

thread_local! {
    static IS_WORKER: Cell<bool> = const { Cell::new(false) };
}

// SAFETY: forwards all calls unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if IS_WORKER.get() {
            ALLOCATED.fetch_add(layout.size().cast_signed(), Relaxed);
        }
        // SAFETY: the caller upholds the contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        if IS_WORKER.get() {
            ALLOCATED.fetch_sub(layout.size().cast_signed(), Relaxed);
        }
        // SAFETY: the caller upholds the contract.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// One test at a time, as they share the count.
static ALONE: Mutex<()> = Mutex::new(());

const CONNECTIONS: isize = 3;

const SHORT: Duration = Duration::from_millis(100);

/// Until an idle connection has dropped hyper's state.
const LONG: Duration = Duration::from_millis(1_200);

/// What an idle connection holds, bytes, without its TLS session.
const IDLE: usize = 9 * 1024;

/// rustls' session, which holds more than the others of Rust's memory, bytes.
const SESSION: usize = 7 * 1024;

/// The terms of `docs/limits.md` for HTTP/1.1: base, TLS, head, body, response.
fn bound(backend: Backend, piece: usize) -> usize {
    let tls = if backend.tls {
        6 * MAX_SEALED + 96 * 1024
    } else {
        0
    };
    let head = Http2Config::default().max_header_list_size as usize * 6;
    64 * 1024 + tls + head + 2 * 64 * 1024 + 64 * 1024 + piece
}

/// `/large` answers with an endless body, others hold the request.
async fn hold(
    request: Request<Body>,
) -> Result<Response<UnsyncBoxBody<Bytes, corelane::Error>>, Infallible> {
    Ok(Response::new(match request.uri().path() {
        "/" => UnsyncBoxBody::default(),
        "/large" => Pattern::of(u64::MAX).boxed_unsync(),
        _ => {
            let () = std::future::pending().await;
            drop(request);
            UnsyncBoxBody::default()
        }
    }))
}

/// Waits until the amount of allocated memory is stable for this time, and returns it.
fn settled(time: Duration) -> isize {
    let begun = Instant::now();
    let mut last = ALLOCATED.load(Relaxed);
    let mut since = Instant::now();
    while since.elapsed() < time {
        assert!(begun.elapsed() < DEADLINE, "it never settles");
        std::thread::yield_now();
        let now = ALLOCATED.load(Relaxed);
        if now.abs_diff(last) > 1024 {
            (last, since) = (now, Instant::now());
        }
    }
    last
}

/// The bytes that each connection holds after these bytes from its client, which are sent without
/// regard to answers.
fn held(backend: Backend, driver: Driver, bytes: &[u8], time: Duration) -> usize {
    let names = || [ProtocolName::HTTP_1_1];
    let config = TlsConfig::new(identity()).alpn_protocols(names());
    let acceptor = (backend.make)(&config).expect("an acceptor");
    let options = |builder: corelane::Builder| builder.protocols(names());
    let server = TestServer::with(acceptor, driver, options, |_| {
        IS_WORKER.set(true);
        service_fn(hold)
    });
    deadline(async {
        // The first connection allocates what the thread keeps for all of them.
        let mut open = Vec::new();
        let mut before = 0;
        for n in 0..=CONNECTIONS {
            let mut client = Http1Client::connect(backend, &server).await;
            // The client may find its socket full.
            let sent = tokio::time::timeout(Duration::from_millis(50), client.send(bytes));
            let _ = sent.await;
            open.push(client);
            if n == 0 {
                before = settled(time);
            }
        }
        let held = (settled(time) - before) / CONNECTIONS;
        assert_eq!(server.counters()[0].connections_closed, 0, "all are open");
        if time == LONG {
            // The connection has dropped hyper's state, and makes it anew.
            for client in &mut open[1..] {
                assert_eq!(
                    client.response(false).await.expect("a response").status,
                    200
                );
                assert_eq!(client.ask(bytes).await.status, 200);
            }
        }
        held.unsigned_abs()
    })
}

fn memory_stays_within_documented_bound(backend: Backend) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let head = |path: &str| format!("POST {path} HTTP/1.1\r\nhost: localhost\r\n");
    // Shorter fields cost more memory beyond their length.
    let fields: String = (0..95).map(|i| format!("{i}:\r\n")).collect();
    let upload = |fields: &str| {
        let body = "x".repeat(3_000_000);
        head("/held") + fields + "content-length: 3000000\r\n\r\n" + &body
    };
    let pipelined = (head("/") + &fields + "\r\n").repeat(20);
    let idle = IDLE + if backend.tls { SESSION } else { 0 };
    for (i, &driver) in Drivers::all().iter().enumerate() {
        let rows = [
            ("idle", head("/") + "\r\n", LONG, idle),
            ("without a request", String::new(), SHORT, idle),
            ("half a head", head("/") + &fields, SHORT, bound(backend, 0)),
            ("unread body", upload(&fields), SHORT, bound(backend, 0)),
            (
                "pipelined behind a held request",
                head("/held") + "\r\n" + &pipelined.repeat(100),
                SHORT,
                bound(backend, 0),
            ),
            (
                "unread response",
                head("/large") + "\r\n" + &pipelined,
                SHORT,
                bound(backend, 64 * 1024),
            ),
        ];
        // Drivers differ in what the socket of an idle connection holds.
        let rows = rows.into_iter().take(if i == 0 { usize::MAX } else { 1 });
        for (what, bytes, time, most) in rows {
            let held = held(backend, driver, bytes.as_bytes(), time);
            eprintln!(
                "{} {driver:?}: {what}: {held} bytes, at most {most}",
                backend.name
            );
            assert!(held <= most, "{what}: {held} bytes");
        }
    }
}
