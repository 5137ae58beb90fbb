//! Tests the documented maximum memory of a connection, `docs/limits.md`.
//!
//! The test counts what Rust allocates. OpenSSL's own buffers, two records per connection, are not
//! included.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    convert::Infallible,
    io::{self, Write},
    net::TcpStream,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use corelane::{
    Body, Http2Config, service_fn,
    tls::{MAX_PLAINTEXT, MAX_SEALED},
};
use corelane_test_support::{
    Backend, Drivers, Pattern, TestServer, backend_tests,
    client::{DEADLINE, Tls, rustls_config, server_name},
    for_each_tls_backend,
    raw_tls::{APPLICATION_DATA, HANDSHAKE, RawTls, connect_with_small_buffer},
};
use http::{Request, Response};
use http_body_util::{BodyExt, combinators::UnsyncBoxBody};

for_each_tls_backend!(
    request_memory_stays_within_documented_bound,
    renegotiation_memory_stays_within_documented_bound,
);
backend_tests!(on_none, NONE, request_memory_stays_within_documented_bound);

/// Counts the allocated bytes.
struct Counting;

static ALLOCATED: AtomicUsize = AtomicUsize::new(0);

// SAFETY: forwards all calls unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.fetch_add(layout.size(), Relaxed);
        // SAFETY: the caller upholds the contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        ALLOCATED.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller upholds the contract.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// One test at a time, as they share the count. Each takes about 25 s, most of it waiting: each of 11
/// connections for each driver sends until a write makes no progress for a second.
static ALONE: Mutex<()> = Mutex::new(());

const CONNECTIONS: usize = 10;

/// A raw connection, encrypted or not.
enum Raw {
    Tls(Box<RawTls>),
    Plain(TcpStream),
}

impl Raw {
    fn connect(backend: Backend, server: &TestServer) -> Self {
        match backend.tls {
            true => Self::Tls(Box::new(RawTls::connect(server.addr, Tls::Any))),
            false => Self::Plain(connect_with_small_buffer(server.addr)),
        }
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Tls(raw) => bytes
                .chunks(MAX_PLAINTEXT)
                .try_for_each(|chunk| raw.send(APPLICATION_DATA, chunk)),
            Self::Plain(tcp) => tcp.write_all(bytes),
        }
    }

    fn set_write_timeout(&self, limit: Duration) {
        let tcp = match self {
            Self::Tls(raw) => &raw.tcp,
            Self::Plain(tcp) => tcp,
        };
        tcp.set_write_timeout(Some(limit)).expect("a time-out");
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let [_, a, b, c] = u32::try_from(payload.len()).expect("short").to_be_bytes();
    let mut frame = vec![a, b, c, kind, flags];
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// The largest windows for the server's data.
fn preface() -> Vec<u8> {
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend(frame(4, 0, 0, &[0, 4, 0x7f, 0xff, 0xff, 0xff]));
    bytes.extend(frame(8, 0, 0, &[0x7f, 0xff, 0, 0]));
    bytes
}

/// A request with as many header fields as the limit permits. Shorter fields cost more memory
/// beyond their counted size.
fn head(stream: u32, end: bool, path: u8, fields: usize) -> Vec<u8> {
    let mut block = vec![0x83, 0x87, 0x04, 2, b'/', path, 0x41, 1, b'l'];
    for i in 0..fields {
        // Literal without indexing: a name of two letters, an empty value.
        let (a, b) = (i / 26, i % 26);
        let letter = |n: usize| b'a' + u8::try_from(n % 26).expect("a letter");
        block.extend([0, 2, letter(a), letter(b), 0]);
    }
    frame(1, if end { 5 } else { 4 }, stream, &block)
}

/// `/r` answers with an endless body. Other paths keep the request and its body, and never read it.
async fn hold(
    request: Request<Body>,
) -> Result<Response<UnsyncBoxBody<Bytes, corelane::Error>>, Infallible> {
    if request.uri().path() != "/r" {
        let () = std::future::pending().await;
        drop(request);
    }
    Ok(Response::new(Pattern::of(u64::MAX).boxed_unsync()))
}

/// Waits until the amount of allocated memory is stable, and returns it.
fn settled() -> usize {
    let begun = Instant::now();
    let mut last = ALLOCATED.load(Relaxed);
    let mut since = Instant::now();
    while since.elapsed() < Duration::from_millis(300) {
        assert!(begun.elapsed() < DEADLINE, "it never settles");
        std::thread::yield_now();
        let now = ALLOCATED.load(Relaxed);
        if now.abs_diff(last) > 1024 {
            (last, since) = (now, Instant::now());
        }
    }
    last
}

/// The bytes that `attack` makes each connection hold.
fn held(backend: Backend, attack: impl Fn(&mut Raw, &dyn Fn()), requests: usize) -> Vec<usize> {
    let _alone = ALONE
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    let mut held = Vec::new();
    for &driver in Drivers::all() {
        let server = TestServer::start(backend.acceptor(), driver, |_| service_fn(hold));
        // Allocates the memory that a thread keeps for all of its connections.
        let mut first = Raw::connect(backend, &server);
        first.send(&preface()).expect("sent");
        attack(&mut first, &|| {
            server.wait_for("asked", |c| c.requests >= requests as u64)
        });
        settled();
        drop(first);
        server.wait_for("closed", |c| c.connections_closed == 1);
        let before = settled();
        let mut open = Vec::new();
        for n in 2..CONNECTIONS + 2 {
            let mut raw = Raw::connect(backend, &server);
            raw.set_write_timeout(Duration::from_secs(1));
            raw.send(&preface()).expect("sent");
            let asked = (n * requests) as u64;
            attack(&mut raw, &|| {
                server.wait_for("asked", |c| c.requests >= asked)
            });
            open.push(raw);
        }
        let all = (CONNECTIONS + 1) * requests;
        server.wait_for("all arrived", |c| c.requests >= all as u64);
        held.push(settled().saturating_sub(before) / CONNECTIONS);
        let counters = server.counters()[0];
        assert_eq!(
            counters.connections_closed, 1,
            "they are all open: {counters:?}"
        );
    }
    held
}

/// The terms of `docs/limits.md`, one by one.
struct Bound {
    base: usize,
    tls: usize,
    streams: usize,
    heads: usize,
    received: usize,
    sent: usize,
}

impl Bound {
    fn of(backend: Backend, config: &Http2Config) -> Self {
        let streams = config.max_concurrent_streams as usize;
        Self {
            base: 64 * 1024,
            tls: if backend.tls {
                6 * MAX_SEALED + 96 * 1024
            } else {
                0
            },
            streams: streams * 4 * 1024,
            heads: streams * config.max_header_list_size as usize * 6,
            received: 2 * config.initial_connection_window_size as usize,
            sent: config.max_send_buffer_size + (64 + 64) * 1024 + streams * 64 * 1024,
        }
    }

    fn sum(&self) -> usize {
        self.base + self.tls + self.streams + self.heads + self.received + self.sent
    }
}

fn request_memory_stays_within_documented_bound(backend: Backend) {
    let config = Http2Config::default();
    let bound = Bound::of(backend, &config);
    let streams = config.max_concurrent_streams;
    let ids = || (0..streams).map(|i| 2 * i + 1);
    let check = |what: &str, least: usize, most: usize, held: Vec<usize>| {
        eprintln!("{}: {what}: {held:?} bytes, at most {most}", backend.name);
        for held in held {
            assert!(held <= most, "{what}: {held} bytes");
            assert!(
                held >= least,
                "{what}: the attack does not work: {held} bytes"
            );
        }
    };

    let idle = held(backend, |_, _| {}, 0);
    check("nothing", 1024, bound.base + bound.tls, idle);

    let heads = held(
        backend,
        |raw, _| {
            for stream in ids() {
                raw.send(&head(stream, false, b'h', 450)).expect("sent");
            }
        },
        streams as usize,
    );
    let most = bound.base + bound.tls + bound.streams + bound.heads;
    check("header lists", 1024 * 1024, most, heads);

    let bodies = held(
        backend,
        |raw, asked| {
            for stream in ids() {
                raw.send(&head(stream, false, b'h', 0)).expect("sent");
            }
            // The connection's window is 1 MiB after the server started.
            asked();
            for stream in ids().take(64) {
                raw.send(&frame(0, 0, stream, &[0; 16 * 1024]))
                    .expect("sent");
            }
        },
        streams as usize,
    );
    let most = bound.base + bound.tls + bound.streams + bound.received;
    check("unread bodies", 1000 * 1024, most, bodies);

    let responses = held(
        backend,
        |raw, _| {
            for stream in ids() {
                raw.send(&head(stream, true, b'r', 0)).expect("sent");
            }
        },
        streams as usize,
    );
    let most = bound.base + bound.tls + bound.streams + bound.sent;
    check("unread responses", 1000 * 1024, most, responses);

    let all = held(
        backend,
        |raw, _| {
            let (bodies, responses): (Vec<_>, Vec<_>) = ids().partition(|id| *id < 100);
            for stream in &bodies {
                raw.send(&head(*stream, false, b'h', 450)).expect("sent");
            }
            for stream in bodies.iter().cycle().take(3) {
                raw.send(&frame(0, 0, *stream, &[0; 16 * 1024]))
                    .expect("sent");
            }
            // After these, the server may stop reading.
            for stream in responses {
                if raw.send(&head(stream, true, b'r', 450)).is_err() {
                    break;
                }
            }
        },
        0,
    );
    check("all at once", 1024 * 1024, bound.sum(), all);
}

/// CVE-2011-1473 with unread refusals: the answers queue up, within a bound.
fn renegotiation_memory_stays_within_documented_bound(backend: Backend) {
    let config = rustls_config(Tls::V1_2, &[b"h2"]);
    let mut client = rustls::ClientConnection::new(config, server_name()).expect("a client");
    let mut hello = Vec::new();
    client.write_tls(&mut hello).expect("memory");
    let hello = &hello[5..];
    let _alone = ALONE
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    for &driver in Drivers::all() {
        let server = TestServer::start(backend.acceptor(), driver, |_| service_fn(hold));
        let mut raw = RawTls::connect(server.addr, Tls::V1_2);
        raw.send(APPLICATION_DATA, &preface()).expect("sent");
        raw.tcp
            .set_write_timeout(Some(Duration::from_secs(1)))
            .expect("a time-out");
        let before = settled();
        let mut most = before;
        let mut sent = 0;
        // Until the server closes, or stops reading because its answers are not read.
        for _ in 0..400_000 {
            if raw.send(HANDSHAKE, hello).is_err() {
                break;
            }
            sent += hello.len();
            most = most.max(ALLOCATED.load(Relaxed));
        }
        let held = most.saturating_sub(before);
        eprintln!(
            "{}: {sent} bytes of renegotiation: {held} held",
            backend.name
        );
        let most = Bound::of(backend, &Http2Config::default()).tls;
        assert!(held <= most, "{held} bytes");
    }
}
