//! Tests `TlsStream` over a socket in memory: the records that it sends, and how it ends.

use std::{
    io::{self, ErrorKind, IoSlice},
    pin::Pin,
    task::{Context, Poll, Waker},
};

use corelane::{
    AlpnMissing, Error, TlsStream,
    tls::{self, AlertDescription, MAX_PLAINTEXT, MAX_SEALED, Start, TlsAcceptor},
};
use corelane_test_support::{
    Backend,
    client::{Tls, deadline, rustls_config, server_name},
    for_each_tls_backend,
};
use futures_util::{FutureExt, future::join};
use rustls::ClientConnection;
use tokio::io::{
    AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, duplex,
};
use tokio_rustls::{TlsConnector, client};

for_each_tls_backend!(
    small_writes_and_flush_make_one_record,
    large_writes_fill_records,
    empty_slices_are_skipped,
    received_data_equals_sent_data,
    shutdown_flushes_and_sends_close_notify,
    no_common_protocol_sends_alert,
    client_without_tls_gets_alert,
    failed_handshake_sends_alert,
    writes_wait_for_peer_that_does_not_read,
);

/// More than any test here has in transit.
const ROOM: usize = 1024 * 1024;

/// The client's end of the socket, which keeps the received data to inspect its records.
#[derive(Debug)]
struct Tap {
    io: DuplexStream,
    received: Vec<u8>,
}

impl Tap {
    /// The lengths of the records of application data since the last call.
    fn records(&mut self) -> Vec<usize> {
        let received = std::mem::take(&mut self.received);
        let (mut rest, mut lengths) = (&received[..], Vec::new());
        while let [kind, 3, 3, a, b, body @ ..] = rest {
            let length = usize::from(u16::from_be_bytes([*a, *b]));
            if *kind == 23 {
                lengths.push(length);
            }
            rest = &body[length..];
        }
        assert!(rest.is_empty(), "the last record is not complete");
        lengths
    }
}

impl AsyncRead for Tap {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = Pin::new(&mut self.io).poll_read(cx, buf);
        self.received.extend_from_slice(&buf.filled()[before..]);
        result
    }
}

impl AsyncWrite for Tap {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

type Server = TlsStream<DuplexStream>;
type Client = client::TlsStream<Tap>;

async fn accept(
    backend: Backend,
    tls: Tls,
    alpn: &[&[u8]],
    room: usize,
) -> (Result<Server, Error>, io::Result<Client>) {
    accept_by(&*backend.acceptor(), tls, alpn, room).await
}

async fn accept_by(
    acceptor: &dyn TlsAcceptor,
    tls: Tls,
    alpn: &[&[u8]],
    room: usize,
) -> (Result<Server, Error>, io::Result<Client>) {
    let (ours, theirs) = duplex(room);
    let tap = Tap {
        io: theirs,
        received: Vec::new(),
    };
    let connector = TlsConnector::from(rustls_config(tls, alpn));
    join(
        TlsStream::accept(ours, acceptor, AlpnMissing::Reject),
        connector.connect(server_name(), tap),
    )
    .await
}

/// Connects a server and a client for each TLS version of the backend.
fn with_each_version(backend: Backend, room: usize, test: impl AsyncFn(Server, Client)) {
    let versions: &[Tls] = match backend.tls_1_3 {
        true => &[Tls::V1_2, Tls::V1_3],
        false => &[Tls::V1_2],
    };
    for &tls in versions {
        deadline(async {
            let (server, client) = accept(backend, tls, &[b"h2"], room).await;
            let (mut server, mut client) = (server.expect("accepted"), client.expect("connected"));
            // When this arrives, the client has read everything of the handshake (session tickets).
            server.write_all(b"!").await.expect("room");
            server.flush().await.expect("room");
            assert_eq!(client.read_u8().await.expect("sent"), b'!');
            client.get_mut().0.received.clear();
            test(server, client).await;
        });
    }
}

async fn read(client: &mut Client, len: usize) -> Vec<u8> {
    let mut received = vec![0; len];
    client.read_exact(&mut received).await.expect("sent");
    received
}

fn small_writes_and_flush_make_one_record(backend: Backend) {
    with_each_version(backend, ROOM, async |mut server, mut client| {
        for _ in 0..100 {
            server.write_all(b"small").await.expect("taken");
        }
        let early = client.read_u8().now_or_never();
        assert!(early.is_none(), "it waits for the flush");
        server.flush().await.expect("room");
        assert_eq!(read(&mut client, 500).await, b"small".repeat(100));
        assert_eq!(client.get_mut().0.records().len(), 1);
    });
}

fn large_writes_fill_records(backend: Backend) {
    with_each_version(backend, ROOM, async |mut server, mut client| {
        let large = vec![7; 40_000];
        server.write_all(b"head").await.expect("taken");
        server.write_all(&large).await.expect("taken");
        server.write_all(&large).await.expect("taken");
        server.flush().await.expect("room");
        let received = read(&mut client, 80_004).await;
        assert!(received == [b"head", &large[..], &large].concat());
        let lengths = client.get_mut().0.records();
        let overhead = lengths[0] - MAX_PLAINTEXT;
        assert!((16..32).contains(&overhead), "{lengths:?}");
        let rest = 80_004 - 4 * MAX_PLAINTEXT + overhead;
        assert_eq!(lengths[1..], [lengths[0], lengths[0], lengths[0], rest]);
    });
}

fn empty_slices_are_skipped(backend: Backend) {
    with_each_version(backend, ROOM, async |mut server, mut client| {
        let mut slices = [IoSlice::new(b""); 20];
        slices[19] = IoSlice::new(b"the last");
        let taken = server.write_vectored(&slices).await.expect("taken");
        assert_eq!(taken, 8);
        server.flush().await.expect("room");
        assert_eq!(read(&mut client, 8).await, b"the last");
    });
}

fn received_data_equals_sent_data(backend: Backend) {
    // Far less room than the data needs: both sides wait for each other many times.
    with_each_version(backend, 700, async |server, client| {
        let sent: Vec<u8> = (0..300_000_u32).map(|i| (i % 251) as u8).collect();
        let (mut server_read, mut server_write) = tokio::io::split(server);
        let (mut client_read, mut client_write) = tokio::io::split(client);
        let up = async {
            client_write.write_all(&sent).await.expect("taken");
            client_write.flush().await.expect("taken");
        };
        let down = async {
            server_write.write_all(&sent).await.expect("taken");
            server_write.flush().await.expect("taken");
        };
        let (mut at_server, mut at_client) = (vec![0; sent.len()], vec![0; sent.len()]);
        let read = join(
            server_read.read_exact(&mut at_server),
            client_read.read_exact(&mut at_client),
        );
        let (_, (one, two)) = join(join(up, down), read).await;
        one.and(two).expect("all arrives");
        assert!(at_server == sent && at_client == sent);
    });
}

fn shutdown_flushes_and_sends_close_notify(backend: Backend) {
    with_each_version(backend, ROOM, async |mut server, mut client| {
        server.write_all(b"last words").await.expect("taken");
        server.shutdown().await.expect("room");
        let late = server.write(b"x").await.expect_err("closed");
        assert_eq!(late.kind(), ErrorKind::BrokenPipe);
        let mut received = Vec::new();
        let ended = client.read_to_end(&mut received).await;
        ended.expect("close_notify, not a truncation");
        assert_eq!(received, b"last words");
        client.write_all(b"answer").await.expect("open this way");
        client.shutdown().await.expect("room");
        let mut answer = Vec::new();
        server.read_to_end(&mut answer).await.expect("closed well");
        assert_eq!(answer, b"answer");
    });
}

fn no_common_protocol_sends_alert(backend: Backend) {
    for (tls, alpn) in [
        (Tls::Any, &[b"http/1.1" as &[u8]][..]),
        (Tls::V1_2, &[b"h3", b"h2c"]),
        (Tls::V1_2, &[]),
    ] {
        deadline(async {
            let (server, client) = accept(backend, tls, alpn, ROOM).await;
            let error = server.expect_err("nothing in common");
            assert!(error.is_alpn_mismatch() && error.is_handshake());
            assert_alert(client, rustls::AlertDescription::NoApplicationProtocol);
        });
    }
}

fn assert_alert(client: io::Result<Client>, alert: rustls::AlertDescription) {
    let error = client.expect_err("refused");
    let error = error.get_ref().and_then(|error| error.downcast_ref());
    assert_eq!(error, Some(&rustls::Error::AlertReceived(alert)));
}

/// Rejects every session.
struct Refusing(fn() -> Error);

impl TlsAcceptor for Refusing {
    fn backend(&self) -> &'static str {
        "refusing"
    }

    fn start(&self, client: &tls::Client<'_>) -> Result<Start, Error> {
        let name = client
            .client_hello
            .and_then(|hello| hello.server_name.as_deref());
        assert_eq!(name, Some("localhost"));
        Err(self.0())
    }
}

#[test]
fn rejecting_acceptor_sends_its_alert() {
    let unknown = || Error::refused(AlertDescription::UnrecognizedName, "no such name here");
    let broken = || Error::config("no certificate");
    for (refusing, alert) in [
        (
            Refusing(unknown),
            rustls::AlertDescription::UnrecognisedName,
        ),
        (Refusing(broken), rustls::AlertDescription::InternalError),
    ] {
        deadline(async {
            let (server, client) = accept_by(&refusing, Tls::Any, &[b"h2"], ROOM).await;
            let error = server.expect_err("refused");
            assert_eq!(error.to_string(), refusing.0().to_string());
            assert_alert(client, alert);
        });
    }
}

fn client_without_tls_gets_alert(backend: Backend) {
    deadline(async {
        let (ours, mut theirs) = duplex(ROOM);
        theirs
            .write_all(b"SSH-2.0-OpenSSH_9.2\r\n")
            .await
            .expect("room");
        let acceptor = backend.acceptor();
        let error = TlsStream::accept(ours, &*acceptor, AlpnMissing::Allow).await;
        assert!(error.expect_err("no TLS").is_handshake());
        let mut answer = Vec::new();
        theirs.read_to_end(&mut answer).await.expect("an end");
        assert_eq!(answer, [21, 3, 3, 0, 2, 2, 10]);
    });
}

fn failed_handshake_sends_alert(backend: Backend) {
    deadline(async {
        let (ours, mut theirs) = duplex(ROOM);
        let config = rustls_config(Tls::V1_2, &[b"h2"]);
        let mut client = ClientConnection::new(config, server_name()).expect("a client");
        let mut flight = Vec::new();
        client.write_tls(&mut flight).expect("memory");
        flight.extend_from_slice(&[23, 3, 3, 0, 1, 0]);
        theirs.write_all(&flight).await.expect("room");
        let acceptor = backend.acceptor();
        let failed = TlsStream::accept(ours, &*acceptor, AlpnMissing::Reject).await;
        let error = failed.expect_err("application data in the handshake");
        assert!(error.is_handshake() && !error.is_alpn_mismatch());
        let mut answer = Vec::new();
        theirs.read_to_end(&mut answer).await.expect("an end");
        // Follows the server's first flight, unencrypted under TLS 1.2.
        assert!(answer.ends_with(&[21, 3, 3, 0, 2, 2, 10]), "{answer:?}");
    });
}

fn writes_wait_for_peer_that_does_not_read(backend: Backend) {
    const SOCKET: usize = 10_000;
    with_each_version(backend, SOCKET, async |mut server, mut client| {
        for piece in [vec![7; 100], vec![7; 9000], vec![7; 1024 * 1024]] {
            let mut taken = 0;
            let mut cx = Context::from_waker(Waker::noop());
            while let Poll::Ready(result) = Pin::new(&mut server).poll_write(&mut cx, &piece) {
                taken += result.expect("no failure");
                // The documented buffers of the stream, and one call more.
                let most = MAX_PLAINTEXT + MAX_SEALED + SOCKET + MAX_SEALED;
                assert!(taken <= most, "{taken} bytes taken");
            }
            assert!(taken > SOCKET);
            let (received, flushed) = join(read(&mut client, taken), server.flush()).await;
            flushed.expect("all is read");
            assert!(received == vec![7; taken]);
        }
    });
}
