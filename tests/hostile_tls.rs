//! Tests peers that misuse TLS or omit it: the server sends an alert or closes, and continues to
//! serve others.
//!
//! Other files test related cases. `hostile.rs` has garbage before, during and after the handshake,
//! and the full-duplex cases. `alpn.rs` has a ClientHello in single bytes. `backends.rs` has the same
//! for later bytes, floods of records, and truncation of a session. `memory/` has the memory under
//! floods.

use std::{
    convert::Infallible,
    io::{self, Read, Write},
    net::{Shutdown, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use corelane::{Body, Builder, Limits, service_fn};
use corelane_test_support::{
    Backend, Drivers, H2Client, TestServer, backend_tests,
    client::{DEADLINE, Tls, get, never, rustls_config, send, server_name},
    deadline, for_each_tls_backend,
    raw_tls::HANDSHAKE,
};
use http::{Request, Response};
use http_body_util::BodyExt;

for_each_tls_backend!(
    stalled_handshakes_time_out,
    byte_by_byte_handshake_times_out,
    http_1_request_gets_plain_text_error,
    request_truncated_at_any_byte_is_incomplete,
    client_hello_of_64_kib_is_rejected,
);

// The cases that apply without TLS.
backend_tests!(
    on_none,
    NONE,
    stalled_handshakes_time_out,
    byte_by_byte_handshake_times_out,
    http_1_request_gets_plain_text_error,
    request_truncated_at_any_byte_is_incomplete
);

fn with_handshake_limit(limit: Duration) -> impl Fn(Builder) -> Builder {
    move |builder| {
        let limits = Limits::default().handshake(limit);
        builder.limits(limits)
    }
}

fn assert_serves(backend: Backend, server: &TestServer) {
    deadline(async {
        let client = H2Client::connect(backend, server.addr).await;
        client
            .run(|requests| async move {
                let answer = send(&requests, get("/"), None).await;
                assert!(answer.expect("another client is served").body.is_empty());
            })
            .await;
    });
}

fn connected(server: &TestServer) -> TcpStream {
    let tcp = TcpStream::connect(server.addr).expect("connects");
    tcp.set_nodelay(true).expect("nodelay");
    tcp.set_read_timeout(Some(DEADLINE)).expect("a time-out");
    tcp
}

fn client_hello(tls: Tls) -> Vec<u8> {
    let config = rustls_config(tls, &[b"h2"]);
    let mut client = rustls::ClientConnection::new(config, server_name()).expect("a client");
    let mut hello = Vec::new();
    client.write_tls(&mut hello).expect("memory");
    hello
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];

/// Slowloris on the handshake: 2,000 connections that have sent a ClientHello, or half a preface
/// without TLS, and then nothing. Takes over 10 s: the limit of 5 s has to leave time to open all of
/// them, and passes once for each driver.
fn stalled_handshakes_time_out(backend: Backend) {
    const CONNECTIONS: u64 = 2_000;
    let opening = match backend.tls {
        true => client_hello(Tls::Any),
        false => PREFACE[..10].to_vec(),
    };
    for &driver in Drivers::all() {
        let options = with_handshake_limit(Duration::from_secs(5));
        let server = TestServer::with(backend.acceptor(), driver, options, |_| service_fn(never));
        let mut silent = Vec::new();
        for _ in 0..CONNECTIONS {
            let mut tcp = connected(&server);
            tcp.write_all(&opening).expect("sent");
            silent.push(tcp);
        }
        assert_serves(backend, &server);
        let counters = server.counters()[0];
        assert!(counters.connections_closed < CONNECTIONS, "{counters:?}");
        for tcp in &mut silent {
            tcp.read_to_end(&mut Vec::new()).expect("closed");
        }
        server.wait_for("all closed", |c| c.connections_closed == CONNECTIONS + 1);
        let counters = server.counters()[0];
        let ended = match backend.tls {
            // More than a worker accepts at once: it displaced the oldest.
            true => counters.handshakes_timed_out + counters.handshakes_displaced,
            false => counters.connections_failed,
        };
        assert_eq!(ended, CONNECTIONS, "{counters:?}");
    }
}

/// The limit covers the whole handshake, so a byte now and then does not extend it.
fn byte_by_byte_handshake_times_out(backend: Backend) {
    let hello = match backend.tls {
        true => client_hello(Tls::Any),
        false => PREFACE.to_vec(),
    };
    for &driver in Drivers::all() {
        let options = with_handshake_limit(Duration::from_millis(300));
        let server = TestServer::with(backend.acceptor(), driver, options, |_| service_fn(never));
        let mut tcp = connected(&server);
        // Each pause is within the limit, all of them together far above it.
        let between = Duration::from_secs(6) / u32::try_from(hello.len()).expect("short");
        tcp.set_read_timeout(Some(between)).expect("a time-out");
        let mut closed = false;
        for byte in &hello[..hello.len() - 1] {
            let _ = tcp.write_all(&[*byte]);
            match tcp.read(&mut [0; 512]) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Ok(0) | Err(_) => {
                    closed = true;
                    break;
                }
                // SETTINGS, without TLS.
                Ok(_) => assert!(!backend.tls),
            }
        }
        assert!(closed, "each byte puts it off");
        server.wait_for("closed", |c| c.connections_closed == 1);
        assert_serves(backend, &server);
    }
}

/// CVE-2011-1473 and similar attacks cost work per byte. This test is about memory: the server
/// rejects a ClientHello above 16 KiB (`MAX_CLIENT_HELLO`) by its length alone.
fn client_hello_of_64_kib_is_rejected(backend: Backend) {
    let hello = client_hello(Tls::Any);
    // The padding extension (RFC 7685), with consistent lengths.
    let mut message = hello[5..].to_vec();
    let padding = 64 * 1024 - 1 - message.len();
    let session_id = 4 + 2 + 32;
    let suites = session_id + 1 + usize::from(message[session_id]);
    let compression =
        suites + 2 + usize::from(u16::from_be_bytes([message[suites], message[suites + 1]]));
    let extensions = compression + 1 + usize::from(message[compression]);
    message.extend([0, 21]);
    message.extend(u16::try_from(padding).expect("fits").to_be_bytes());
    message.resize(message.len() + padding, 0);
    let length = u16::try_from(message.len() - extensions - 2).unwrap_or(u16::MAX);
    message[extensions..extensions + 2].copy_from_slice(&length.to_be_bytes());
    let length = u32::try_from(message.len() - 4)
        .expect("fits")
        .to_be_bytes();
    message[1..4].copy_from_slice(&length[1..]);
    let mut records = Vec::new();
    for fragment in message.chunks(16 * 1024) {
        records.extend([HANDSHAKE, 3, 1]);
        records.extend(u16::try_from(fragment.len()).expect("fits").to_be_bytes());
        records.extend(fragment);
    }
    for &driver in Drivers::all() {
        let server = TestServer::start(backend.acceptor(), driver, |_| service_fn(never));
        let mut tcp = connected(&server);
        // The server may have closed before everything is written.
        let _ = tcp.write_all(&records);
        let mut answer = Vec::new();
        let _ = tcp.read_to_end(&mut answer);
        assert_eq!(answer, [21, 3, 3, 0, 2, 2, 50], "decode_error");
        server.wait_for("counted", |c| c.handshakes_failed == 1);
        assert_serves(backend, &server);
    }
}

/// RFC 9110 sections 15.5.1 and 15.6.6: a client that uses `http://` gets a plain text response.
fn http_1_request_gets_plain_text_error(backend: Backend) {
    let (status, advice) = match backend.tls {
        true => ("400 Bad Request", "https://"),
        false => ("505 HTTP Version Not Supported", "HTTP/2"),
    };
    let requests: [&[&[u8]]; 4] = [
        &[b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n"],
        &[
            b"P",
            b"O",
            b"ST / HTTP/1.1\r\ncontent-length: 9\r\n\r\n",
            // More than the server reads before its response: if it closed at once, the client
            // would get a reset.
            &[b'x'; 64 * 1024],
        ],
        &[b"OPTIONS * HTTP/1.1\r\nconnection: upgrade, http2-settings\r\nupgrade: h2c\r\n\r\n"],
        &[b"GET /index.html HTTP/1.0\r\n\r\n"],
    ];
    for &driver in Drivers::all() {
        let server = TestServer::start(backend.acceptor(), driver, |_| service_fn(never));
        for (i, request) in requests.iter().enumerate() {
            let mut tcp = connected(&server);
            for part in *request {
                tcp.write_all(part).expect("sent");
            }
            let mut answer = String::new();
            tcp.read_to_string(&mut answer)
                .expect("text, and an end without a reset");
            let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
            assert!(
                head.starts_with(&format!("HTTP/1.1 {status}\r\n")),
                "{head}"
            );
            assert!(body.contains(advice), "{body}");
            assert!(
                head.contains(&format!("content-length: {}\r\n", body.len())),
                "{head}"
            );
            drop(tcp);
            server.wait_for("counted", |c| c.plain_http_refused == i as u64 + 1);
        }
        assert_eq!(
            server.counters()[0].handshakes_failed,
            requests.len() as u64
        );
        assert_serves(backend, &server);
    }
}

fn versions(backend: Backend) -> &'static [Tls] {
    match backend.tls_1_3 {
        true => &[Tls::V1_2, Tls::V1_3],
        false => &[Tls::V1_2],
    }
}

/// The requests that the handlers of [`request_truncated_at_any_byte_is_incomplete`] saw.
#[derive(Default)]
struct Seen {
    begun: AtomicUsize,
    complete: AtomicUsize,
}

const BODY: &[u8] = b"a body in two frames";

/// RFC 8446 section 6.1 and RFC 9113 section 8.1: a connection that ends early, at any byte, never
/// delivers an incomplete request as complete.
fn request_truncated_at_any_byte_is_incomplete(backend: Backend) {
    let versions = match backend.tls {
        true => versions(backend),
        false => &[Tls::Any],
    };
    for &driver in Drivers::all() {
        for &tls in versions {
            let seen = Arc::new(Seen::default());
            let handler = Arc::clone(&seen);
            let server = TestServer::start(backend.acceptor(), driver, move |_| {
                let seen = Arc::clone(&handler);
                service_fn(move |request: Request<Body>| read_whole(request, Arc::clone(&seen)))
            });
            let mut uncut = send_cut(backend, &server, tls, usize::MAX);
            uncut.end();
            let whole = uncut.sent;
            server.wait_for("closed", |c| c.connections_closed == 1);
            for counter in [&seen.begun, &seen.complete] {
                counter.store(0, Ordering::SeqCst);
            }
            let (mut begun, mut complete) = (0, 0);
            // Without TLS, nothing follows the request.
            for cut in 0..whole.total + usize::from(!backend.tls) {
                let mut cut_off = send_cut(backend, &server, tls, cut);
                begun += usize::from(cut >= whole.head);
                complete += usize::from(cut >= whole.request);
                // The server reports the end after everything before it took effect.
                wait_for(&seen.begun, begun);
                wait_for(&seen.complete, complete);
                cut_off.end();
                server.wait_for("closed", |c| c.connections_closed == cut as u64 + 2);
                let seen = seen.complete.load(Ordering::SeqCst);
                assert_eq!(seen, complete, "{tls:?}, cut at {cut} of {whole:?}");
                // Without TLS, an end is a clean close.
                if backend.tls {
                    let counters = server.counters()[0];
                    let reported = counters.connections_truncated + counters.handshakes_failed;
                    assert_eq!(
                        reported,
                        cut as u64 + 1,
                        "{tls:?}, cut at {cut} of {whole:?}"
                    );
                }
            }
            assert!(0 < complete && complete < begun);
            assert_eq!(server.counters()[0].handler_panics, 0, "another body");
        }
    }
}

fn wait_for(counter: &AtomicUsize, wanted: usize) {
    let begun = Instant::now();
    while counter.load(Ordering::SeqCst) < wanted {
        assert!(begun.elapsed() < DEADLINE, "a handler is not called");
        std::thread::yield_now();
    }
}

async fn read_whole(
    request: Request<Body>,
    seen: Arc<Seen>,
) -> Result<Response<String>, Infallible> {
    seen.begun.fetch_add(1, Ordering::SeqCst);
    if let Ok(body) = request.into_body().collect().await {
        seen.complete.fetch_add(1, Ordering::SeqCst);
        assert_eq!(body.to_bytes(), BODY);
    }
    Ok(Response::new(String::new()))
}

/// Positions on the wire at which each part is complete.
#[derive(Clone, Copy, Debug, Default)]
struct Sent {
    head: usize,
    request: usize,
    total: usize,
}

/// Sends an HTTP/2 request and close_notify, of which only `cut` bytes reach the wire.
fn send_cut(backend: Backend, server: &TestServer, tls: Tls, cut: usize) -> Cut {
    let mut head = [PREFACE, &SETTINGS].concat();
    // HEADERS: POST, https, /, and no content-length, which would reveal the truncation.
    head.extend([0, 0, 6, 1, 4, 0, 0, 0, 1, 0x83, 0x87, 0x84, 0x41, 1, b'l']);
    let mut body = Vec::new();
    for (flags, part) in [(0, &BODY[..7]), (1, &BODY[7..])] {
        let length = u8::try_from(part.len()).expect("a short frame");
        body.extend([0, 0, length, 0, flags, 0, 0, 0, 1]);
        body.extend(part);
    }
    let mut wire = Cut {
        tcp: connected(server),
        left: cut,
        sent: Sent::default(),
    };
    if !backend.tls {
        let _ = wire.write_all(&head);
        wire.sent.head = wire.sent.total;
        let _ = wire.write_all(&body);
        wire.sent.request = wire.sent.total;
        return wire;
    }
    let config = rustls_config(tls, &[b"h2"]);
    let mut client = rustls::ClientConnection::new(config, server_name()).expect("a client");
    while client.is_handshaking() {
        wire.take_from(&mut client);
        if client.read_tls(&mut wire).is_err() || client.process_new_packets().is_err() {
            return wire;
        }
    }
    client.writer().write_all(&head).expect("memory");
    let head = wire.take_from(&mut client);
    client.writer().write_all(&body).expect("memory");
    let request = wire.take_from(&mut client);
    client.send_close_notify();
    let total = wire.take_from(&mut client);
    wire.sent = Sent {
        head,
        request,
        total,
    };
    wire
}

/// Writes only as many bytes as it may, and discards the rest.
struct Cut {
    tcp: TcpStream,
    left: usize,
    sent: Sent,
}

impl Cut {
    fn take_from(&mut self, client: &mut rustls::ClientConnection) -> usize {
        while client.wants_write() && client.write_tls(self).is_ok() {}
        self.sent.total
    }

    /// Ends the socket, and reads what remains, since unread data would cause a reset.
    fn end(&mut self) {
        let _ = self.tcp.shutdown(Shutdown::Write);
        let _ = self.tcp.read_to_end(&mut Vec::new());
    }
}

impl Read for Cut {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        self.tcp.read(buf)
    }
}

impl Write for Cut {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let n = buf.len().min(self.left);
        self.tcp.write_all(&buf[..n])?;
        self.left -= n;
        self.sent.total += buf.len();
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
