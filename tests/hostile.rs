//! Tests misbehaving peers: the connection ends or continues, and the worker always survives.
//!
//! The full-duplex cases block the server's writes while the peer sends something that needs an
//! answer. Stream types that wrap each other panicked in these cases.

use std::{
    convert::Infallible,
    io::{self, Read, Write},
    net::TcpStream,
    sync::mpsc::{Receiver, channel},
    time::Duration,
};

use corelane::{Body, Builder, Driver, Limits, service_fn};
use corelane_test_support::{
    Backend, Drivers, H2Client, Pattern, TestServer,
    client::{DEADLINE, Tls, get, rustls_config, send, server_name},
    deadline, for_each_tls_backend,
};
use http::{Request, Response};
use http_body::Frame;
use http_body_util::StreamBody;

for_each_tls_backend!(
    garbage_while_writes_are_blocked,
    key_updates_while_writes_are_blocked,
    partial_key_update_while_writes_are_blocked,
    renegotiation_while_writes_are_blocked,
    truncation_while_writes_are_blocked,
    garbage_on_idle_connection_gets_alert,
    garbage_instead_of_handshake,
    garbage_during_handshake,
);

/// A server with one worker that sends without end, and reports each block of its body.
fn endless(backend: Backend, driver: Driver) -> (TestServer, Receiver<()>) {
    let (asked, blocks) = channel();
    // The peer's input ends the connection here, not the time limit on writes.
    let limits = Limits::default().write(10 * DEADLINE);
    let options = |builder: Builder| builder.limits(limits);
    let server = TestServer::with(backend.acceptor(), driver, options, move |_| {
        let asked = asked.clone();
        service_fn(move |request: Request<Body>| {
            let asked = asked.clone();
            let endless = request.uri().path() == "/";
            let mut pattern = Pattern::of(if endless { u64::MAX } else { 0 });
            let frames = std::iter::from_fn(move || {
                let _ = asked.send(());
                pattern
                    .next()
                    .map(|block| Ok::<_, Infallible>(Frame::data(block)))
            });
            let body = StreamBody::new(futures_util::stream::iter(frames));
            std::future::ready(Ok::<_, Infallible>(Response::new(body)))
        })
    });
    (server, blocks)
}

/// Waits until the server stops polling the body, because every buffer up to the client is full.
fn wait_until_blocked(blocks: &Receiver<()>) {
    blocks
        .recv_timeout(DEADLINE)
        .expect("the body is asked for");
    while blocks.recv_timeout(Duration::from_millis(300)).is_ok() {}
}

fn assert_serves(backend: Backend, server: &TestServer) {
    deadline(async {
        let client = H2Client::connect(backend, server.addr).await;
        client
            .run(|requests| async move {
                let answer = send(&requests, get("/other"), None).await;
                assert!(answer.expect("another client is served").body.is_empty());
            })
            .await;
    });
}

/// Hand-made HTTP/2: the largest windows, and GET / on stream 1.
fn request() -> Vec<u8> {
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    let mut frame = |kind: u8, flags: u8, stream: u8, payload: &[u8]| {
        let length = u8::try_from(payload.len()).expect("a short frame");
        bytes.extend_from_slice(&[0, 0, length, kind, flags, 0, 0, 0, stream]);
        bytes.extend_from_slice(payload);
    };
    // SETTINGS_INITIAL_WINDOW_SIZE and WINDOW_UPDATE: 2^31-1.
    frame(4, 0, 0, &[0, 4, 0x7f, 0xff, 0xff, 0xff]);
    frame(8, 0, 0, &[0x7f, 0xff, 0, 0]);
    // HEADERS with END_STREAM and END_HEADERS: GET, https, /.
    frame(1, 5, 1, &[0x82, 0x87, 0x84, 0x41, 1, b'l']);
    bytes
}

/// A rustls client that reads only on request.
struct Client {
    tls: rustls::ClientConnection,
    tcp: TcpStream,
}

impl Client {
    fn connect(server: &TestServer, tls: Tls) -> Self {
        let tcp = TcpStream::connect(server.addr).expect("connects");
        tcp.set_nodelay(true).expect("nodelay");
        tcp.set_read_timeout(Some(DEADLINE)).expect("a time-out");
        let config = rustls_config(tls, &[b"h2"]);
        let tls = rustls::ClientConnection::new(config, server_name()).expect("a client");
        let mut client = Self { tls, tcp };
        while client.tls.is_handshaking() {
            client
                .tls
                .complete_io(&mut client.tcp)
                .expect("a handshake");
        }
        client
    }

    fn send(&mut self, plaintext: &[u8]) {
        self.tls.writer().write_all(plaintext).expect("memory");
        let sealed = self.sealed();
        self.tcp.write_all(&sealed).expect("sent");
    }

    fn sealed(&mut self) -> Vec<u8> {
        let mut sealed = Vec::new();
        while self.tls.wants_write() {
            self.tls.write_tls(&mut sealed).expect("memory");
        }
        sealed
    }

    /// Reads this much plaintext, or returns the reason why it cannot.
    fn receive(&mut self, wanted: usize) -> io::Result<()> {
        let mut stream = rustls::Stream::new(&mut self.tls, &mut self.tcp);
        let mut buf = vec![0; 64 * 1024];
        let mut received = 0;
        while received < wanted {
            match stream.read(&mut buf)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                n => received += n,
            }
        }
        Ok(())
    }
}

/// More than the socket buffers between the two can hold: to read it all, the client needs the
/// server to continue.
const MORE_THAN_BUFFERED: usize = 32 * 1024 * 1024;

const GARBAGE: [u8; 37] = {
    let mut record = [0xff; 37];
    [record[0], record[1], record[2], record[3], record[4]] = [23, 3, 3, 0, 32];
    record
};

fn versions(backend: Backend) -> &'static [Tls] {
    match backend.tls_1_3 {
        true => &[Tls::V1_2, Tls::V1_3],
        false => &[Tls::V1_2],
    }
}

/// Blocks a connection's writes, then runs `hostile` on it.
fn while_blocked(backend: Backend, tls: Tls, hostile: impl Fn(Client, &TestServer)) {
    for &driver in Drivers::all() {
        let (server, blocks) = endless(backend, driver);
        let mut client = Client::connect(&server, tls);
        client.send(&request());
        wait_until_blocked(&blocks);
        hostile(client, &server);
        assert_serves(backend, &server);
    }
}

fn garbage_while_writes_are_blocked(backend: Backend) {
    for &tls in versions(backend) {
        while_blocked(backend, tls, |mut client, server| {
            client.tcp.write_all(&GARBAGE).expect("sent");
            server.wait_for("the connection ends", |c| c.connections_closed == 1);
            assert_eq!(server.counters()[0].connections_failed, 1);
        });
    }
}

fn key_updates_while_writes_are_blocked(backend: Backend) {
    if !backend.tls_1_3 {
        return;
    }
    while_blocked(backend, Tls::V1_3, |mut client, _server| {
        for _ in 0..2 {
            client.tls.refresh_traffic_keys().expect("TLS 1.3");
            let sealed = client.sealed();
            client.tcp.write_all(&sealed).expect("sent");
        }
        client
            .receive(MORE_THAN_BUFFERED)
            .expect("the connection goes on");
    });
}

fn partial_key_update_while_writes_are_blocked(backend: Backend) {
    if !backend.tls_1_3 {
        return;
    }
    while_blocked(backend, Tls::V1_3, |mut client, server| {
        client.tls.refresh_traffic_keys().expect("TLS 1.3");
        let sealed = client.sealed();
        let (half, rest) = sealed.split_at(sealed.len() / 2);
        client.tcp.write_all(half).expect("sent");
        assert_serves(backend, server);
        client.tcp.write_all(rest).expect("sent");
        client
            .receive(MORE_THAN_BUFFERED)
            .expect("the connection goes on");
    });
}

fn truncation_while_writes_are_blocked(backend: Backend) {
    for &tls in versions(backend) {
        while_blocked(backend, tls, |client, server| {
            client
                .tcp
                .shutdown(std::net::Shutdown::Write)
                .expect("shut");
            drop(client);
            server.wait_for("the connection ends", |c| c.connections_closed == 1);
        });
    }
}

fn garbage_on_idle_connection_gets_alert(backend: Backend) {
    for &driver in Drivers::all() {
        for &tls in versions(backend) {
            let (server, _blocks) = endless(backend, driver);
            let mut client = Client::connect(&server, tls);
            client.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0");
            client.receive(9).expect("SETTINGS");
            client.tcp.write_all(&GARBAGE).expect("sent");
            let error = client.receive(usize::MAX).expect_err("the connection ends");
            let error = error.downcast::<rustls::Error>().expect("an alert");
            let rustls::Error::AlertReceived(alert) = error else {
                panic!("{error}");
            };
            assert_eq!(alert, rustls::AlertDescription::BadRecordMac, "{tls:?}");
            assert_serves(backend, &server);
        }
    }
}

fn garbage_instead_of_handshake(backend: Backend) {
    let mut zeros = vec![0; 100_000];
    zeros[0] = 22;
    let openings: [&[u8]; 5] = [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        &GARBAGE,
        &[22, 3, 1, 0, 0],
        &zeros,
        b"",
    ];
    for &driver in Drivers::all() {
        let (server, _blocks) = endless(backend, driver);
        for (i, opening) in openings.iter().enumerate() {
            let mut tcp = TcpStream::connect(server.addr).expect("connects");
            tcp.set_read_timeout(Some(DEADLINE)).expect("a time-out");
            // The server may have closed before everything is written.
            let _ = tcp.write_all(opening);
            let _ = tcp.shutdown(std::net::Shutdown::Write);
            let mut answer = Vec::new();
            let _ = tcp.read_to_end(&mut answer);
            server.wait_for("counted", |c| c.handshakes_failed == i as u64 + 1);
            if !opening.is_empty() {
                assert_eq!(
                    &answer[..6],
                    &[21, 3, 3, 0, 2, 2],
                    "a fatal alert: {answer:?}"
                );
            }
        }
        assert_serves(backend, &server);
    }
}

fn garbage_during_handshake(backend: Backend) {
    for &driver in Drivers::all() {
        let (server, _blocks) = endless(backend, driver);
        for &tls in versions(backend) {
            let config = rustls_config(tls, &[b"h2"]);
            let mut client =
                rustls::ClientConnection::new(config, server_name()).expect("a client");
            let mut tcp = TcpStream::connect(server.addr).expect("connects");
            tcp.set_read_timeout(Some(DEADLINE)).expect("a time-out");
            client.write_tls(&mut tcp).expect("a ClientHello");
            let mut first = [0; 1];
            tcp.read_exact(&mut first).expect("the server's flight");
            tcp.write_all(&GARBAGE).expect("sent");
            let mut rest = Vec::new();
            tcp.read_to_end(&mut rest).expect("the server closes");
            assert!(rest.len() > 7, "its flight and an alert");
        }
        let failed = versions(backend).len() as u64;
        server.wait_for("counted", |c| c.handshakes_failed == failed);
        assert_serves(backend, &server);
    }
}

/// A socket that can be read only while a flag permits it.
#[derive(Debug)]
struct Deaf {
    tcp: TcpStream,
    deaf: bool,
}

impl Read for Deaf {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self.deaf {
            false => self.tcp.read(buf),
            true => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}

impl Write for Deaf {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.tcp.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn renegotiation_while_writes_are_blocked(backend: Backend) {
    use foreign_types::ForeignTypeRef;
    use openssl::ssl::{SslConnector, SslMethod, SslVerifyMode, SslVersion};

    unsafe extern "C" {
        fn SSL_renegotiate(ssl: *mut openssl_sys::SSL) -> std::ffi::c_int;
    }

    for &driver in Drivers::all() {
        let (server, blocks) = endless(backend, driver);
        let mut connector = SslConnector::builder(SslMethod::tls()).expect("a client");
        connector.set_verify(SslVerifyMode::NONE);
        let version = Some(SslVersion::TLS1_2);
        connector.set_max_proto_version(version).expect("a version");
        connector.set_alpn_protos(b"\x02h2").expect("protocols");
        let tcp = TcpStream::connect(server.addr).expect("connects");
        let mut stream = connector
            .build()
            .connect("localhost", Deaf { tcp, deaf: false })
            .expect("a handshake");
        stream.write_all(&request()).expect("sent");
        stream.get_mut().deaf = true;
        wait_until_blocked(&blocks);
        // SAFETY: the pointer belongs to a live SSL that nothing else uses meanwhile.
        let asked = unsafe { SSL_renegotiate(stream.ssl().as_ptr()) };
        assert_eq!(asked, 1, "the client is willing");
        // The client sends its ClientHello and waits for an answer, which this socket does not
        // read.
        let error = stream.do_handshake().expect_err("it has to wait");
        assert_eq!(error.code(), openssl::ssl::ErrorCode::WANT_READ, "{error}");
        assert_serves(backend, &server);
        assert_eq!(server.counters()[0].connection_panics, 0);
    }
}
