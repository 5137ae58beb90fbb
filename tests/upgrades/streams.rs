//! What the two ends of an upgraded stream see of each other.

use std::{io, net::TcpStream as StdTcpStream, time::Duration};

use corelane::{Limits, Upgraded};
use corelane_test_support::{
    Backend, Drivers, H2Client, Http1Client, TestServer,
    client::{deadline, get, send as send_request},
    for_each_backend,
    upgrade::{Version, upgrade, upgrade_over},
};
use h2::{Reason, ext::Protocol};
use http::{Method, Request};
use socket2::SockRef;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::service::{Reports, echo, reporting, runtime, serve, start};

for_each_backend!(
    bytes_go_both_ways,
    large_data_goes_both_ways_at_once,
    each_side_ends_by_itself,
    what_is_written_before_the_drop_is_sent,
    reset_is_an_error_of_the_reader,
    reset_of_the_stream_alone_is_an_error_of_the_reader,
    end_without_a_clean_close_is_an_error_of_the_reader,
    peer_that_does_not_read_is_reset,
    reader_that_stops_holds_the_peer_back,
    peer_that_is_gone_is_found_by_ping,
    worker_can_have_the_stream,
);

type Client = Box<dyn corelane_test_support::client::Stream>;

async fn ask(version: Version, backend: Backend, server: &TestServer) -> Client {
    let answer = upgrade(version, backend, server.addr, "/", "echo", &[]).await;
    answer.accepted()
}

/// The same, with another handle of the client's socket.
async fn ask_with_socket(
    version: Version,
    backend: Backend,
    server: &TestServer,
) -> (Client, StdTcpStream) {
    let socket = StdTcpStream::connect(server.addr).expect("connects");
    let other = socket.try_clone().expect("a handle");
    socket.set_nonblocking(true).expect("non-blocking");
    let tcp = TcpStream::from_std(socket).expect("a runtime");
    let answer = upgrade_over(version, backend, tcp, "/", "echo", &[]).await;
    (answer.accepted(), other)
}

async fn send(client: &mut Client, bytes: &[u8]) {
    client.write_all(bytes).await.expect("sent");
    client.flush().await.expect("sent");
}

async fn rest(client: &mut Client) -> Vec<u8> {
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).await.expect("a clean end");
    rest
}

/// Runs a test over each version, with the handlers' streams on a thread of their own.
fn over_versions(mut test: impl FnMut(Version)) {
    let runtime = runtime();
    let _entered = runtime.enter();
    Version::ALL.into_iter().for_each(&mut test);
}

fn bytes_go_both_ways(backend: Backend) {
    over_versions(|version| {
        for &driver in Drivers::all() {
            let server = start(backend, driver, |builder| builder, echo);
            deadline(async {
                let mut client = ask(version, backend, &server).await;
                for text in ["one", "two"] {
                    send(&mut client, text.as_bytes()).await;
                    let mut answer = [0; 3];
                    client.read_exact(&mut answer).await.expect("echoed");
                    assert_eq!(answer, text.as_bytes());
                }
                assert_eq!(server.counters()[0].upgrades_open(), 1);
                client.write_all(b"end").await.expect("sent");
                client.shutdown().await.expect("ended");
                assert_eq!(rest(&mut client).await, b"end");
            });
            server.wait_for("it is counted", |counters| {
                let ended = (counters.upgrades, counters.upgrades_ended) == (1, 1);
                ended && (counters.requests_answered, counters.requests_in_flight()) == (1, 0)
            });
        }
    });
}

fn large_data_goes_both_ways_at_once(backend: Backend) {
    const LENGTH: usize = 3_000_000;
    over_versions(|version| {
        let server = start(backend, Drivers::all()[0], |builder| builder, echo);
        deadline(async {
            let client = ask(version, backend, &server).await;
            let (mut reader, mut writer) = tokio::io::split(client);
            let sent: Vec<u8> = (0..LENGTH).map(|at| (at / 7) as u8).collect();
            let send = async {
                writer.write_all(&sent).await.expect("sent");
                writer.shutdown().await.expect("ended");
            };
            let mut received = Vec::new();
            let receive = reader.read_to_end(&mut received);
            let ((), received_all) = tokio::join!(send, receive);
            received_all.expect("a clean end");
            assert!(received == sent, "{version:?}: {} bytes", received.len());
        });
    });
}

fn each_side_ends_by_itself(backend: Backend) {
    over_versions(|version| {
        // The client first.
        let (handler, reports) = reporting(|mut stream: Upgraded| async move {
            let mut received = Vec::new();
            let result = stream.read_to_end(&mut received).await;
            stream.write_all(&received).await.expect("open");
            result.map_err(|error| error.kind())
        });
        let server = start(backend, Drivers::all()[0], |builder| builder, handler);
        deadline(async {
            let mut client = ask(version, backend, &server).await;
            client.write_all(b"first").await.expect("sent");
            client.shutdown().await.expect("ended");
            assert_eq!(rest(&mut client).await, b"first");
        });
        assert_eq!(reports.next(), Ok(5));
        // The server first.
        let (handler, reports) = reporting(|mut stream: Upgraded| async move {
            stream.write_all(b"bye").await.expect("open");
            stream.shutdown().await.expect("open");
            let late = stream.write_all(b"late").await;
            assert_eq!(late.expect_err("ended").kind(), io::ErrorKind::BrokenPipe);
            let mut received = Vec::new();
            let result = stream.read_to_end(&mut received).await;
            result.map(|_| received).map_err(|error| error.kind())
        });
        let server = start(backend, Drivers::all()[0], |builder| builder, handler);
        deadline(async {
            let mut client = ask(version, backend, &server).await;
            assert_eq!(rest(&mut client).await, b"bye");
            client.write_all(b"still here").await.expect("sent");
            client.shutdown().await.expect("ended");
        });
        assert_eq!(reports.next(), Ok(b"still here".to_vec()));
        server.wait_for("the stream ends", |counters| {
            counters.upgrades_ended == 1 && counters.connections_failed == 0
        });
    });
}

fn what_is_written_before_the_drop_is_sent(backend: Backend) {
    const LENGTH: usize = 300_000;
    over_versions(|version| {
        let server = start(
            backend,
            Drivers::all()[0],
            |builder| builder,
            |mut stream| async move {
                stream.write_all(&[7; LENGTH]).await.expect("open");
            },
        );
        deadline(async {
            let mut client = ask(version, backend, &server).await;
            assert_eq!(rest(&mut client).await.len(), LENGTH);
        });
        // The client goes on to send: the stream ends all the same.
        let server = start(
            backend,
            Drivers::all()[0],
            |builder| builder,
            |stream| async {
                drop(stream);
            },
        );
        deadline(async {
            let mut client = ask(version, backend, &server).await;
            send(&mut client, &[7; 1000]).await;
            assert_eq!(rest(&mut client).await, b"");
        });
        server.wait_for("the stream ends", |counters| counters.upgrades_ended == 1);
    });
}

type Read = (Vec<u8>, Option<io::ErrorKind>);

/// A server whose handler reports how reading ends, and what came before.
fn reading(backend: Backend) -> (TestServer, Reports<Read>) {
    let (handler, reports) = reporting(|mut stream: Upgraded| async move {
        let mut received = Vec::new();
        let result = stream.read_to_end(&mut received).await;
        (received, result.err().map(|error| error.kind()))
    });
    let server = start(backend, Drivers::all()[0], |builder| builder, handler);
    (server, reports)
}

fn reset_is_an_error_of_the_reader(backend: Backend) {
    over_versions(|version| {
        let (server, reports) = reading(backend);
        deadline(async {
            let (client, socket) = ask_with_socket(version, backend, &server).await;
            let linger = SockRef::from(&socket).set_linger(Some(Duration::ZERO));
            linger.expect("an option of TCP");
            drop((client, socket));
        });
        let reset = Some(io::ErrorKind::ConnectionReset);
        assert_eq!(reports.next(), (Vec::new(), reset), "{version:?}");
    });
}

fn reset_of_the_stream_alone_is_an_error_of_the_reader(backend: Backend) {
    let runtime = runtime();
    let _entered = runtime.enter();
    let (server, reports) = reading(backend);
    deadline(async {
        let client = H2Client::connect(backend, server.addr).await;
        client
            .run(async |requests| {
                let request = Request::builder()
                    .method(Method::CONNECT)
                    .uri("https://localhost/")
                    .extension(Protocol::from_static("echo"));
                let request = request.body(()).expect("a request");
                let mut requests = requests.ready().await.expect("open");
                let (response, mut stream) = requests.send_request(request, false).expect("open");
                response.await.expect("accepted");
                stream.send_reset(Reason::CANCEL);
                // The connection goes on.
                let answer = send_request(&requests, get("/"), None).await;
                assert_eq!(answer.expect("answered").body, b"no upgrade");
            })
            .await;
    });
    let reset = Some(io::ErrorKind::ConnectionReset);
    assert_eq!(reports.next(), (Vec::new(), reset));
}

fn end_without_a_clean_close_is_an_error_of_the_reader(backend: Backend) {
    over_versions(|version| {
        let (server, reports) = reading(backend);
        deadline(async {
            let (mut client, socket) = ask_with_socket(version, backend, &server).await;
            send(&mut client, b"all").await;
            let end = socket.shutdown(std::net::Shutdown::Write);
            end.expect("connected");
            assert_eq!(
                reports.next(),
                match (version, backend.tls) {
                    // Without TLS that is the clean end.
                    (Version::Http1, false) => (b"all".to_vec(), None),
                    _ => (b"all".to_vec(), Some(io::ErrorKind::UnexpectedEof)),
                }
            );
            drop(client);
        });
    });
}

fn peer_that_does_not_read_is_reset(backend: Backend) {
    let limits = Limits::default().write(Duration::from_millis(200));
    over_versions(|version| {
        let (handler, reports) = reporting(|mut stream: Upgraded| async move {
            loop {
                if let Err(error) = stream.write_all(&[7; 16 * 1024]).await {
                    return error.kind();
                }
            }
        });
        let options = |builder: corelane::Builder| builder.limits(limits.clone());
        let server = start(backend, Drivers::all()[0], options, handler);
        deadline(async {
            let client = ask(version, backend, &server).await;
            assert_eq!(reports.next(), io::ErrorKind::TimedOut, "{version:?}");
            drop(client);
        });
        server.wait_for("the stream ends", |counters| counters.upgrades_ended == 1);
    });
}

fn peer_that_is_gone_is_found_by_ping(backend: Backend) {
    let limits = Limits::default()
        .body(Duration::from_millis(50))
        .keep_alive_timeout(Duration::from_millis(50));
    let runtime = runtime();
    let _entered = runtime.enter();
    let (handler, reports) = reporting(|mut stream: Upgraded| async move {
        let result = stream.read(&mut [0; 8]).await;
        result.map_err(|error| error.kind())
    });
    let options = |builder: corelane::Builder| builder.limits(limits);
    let server = start(backend, Drivers::all()[0], options, handler);
    deadline(async {
        // The client does not poll its connection, so it does not answer.
        let client = ask(Version::Http2, backend, &server).await;
        assert_eq!(reports.next(), Err(io::ErrorKind::ConnectionReset));
        drop(client);
    });
    server.wait_for("it is counted", |counters| {
        counters.keep_alive_timeouts == 1
    });
}

fn reader_that_stops_holds_the_peer_back(backend: Backend) {
    // More than the buffers of the sockets hold.
    const LENGTH: usize = 16 << 20;
    over_versions(|version| {
        let (go, goes) = tokio::sync::watch::channel(false);
        let (handler, reports) = reporting(move |mut stream: Upgraded| {
            let mut goes = goes.clone();
            async move {
                goes.wait_for(|goes| *goes).await.expect("the test goes on");
                let mut received = 0;
                let mut buf = vec![0; 64 * 1024];
                while let n @ 1.. = stream.read(&mut buf).await.expect("a clean end") {
                    received += n;
                }
                received
            }
        });
        let server = start(backend, Drivers::all()[0], |builder| builder, handler);
        deadline(async {
            let (client, socket) = ask_with_socket(version, backend, &server).await;
            let size = SockRef::from(&socket).set_send_buffer_size(64 * 1024);
            size.expect("an option of TCP");
            let (mut reader, mut writer) = tokio::io::split(client);
            let sent = vec![7; LENGTH];
            let mut send = std::pin::pin!(async {
                writer.write_all(&sent).await.expect("sent");
                writer.shutdown().await.expect("ended");
            });
            let received = tokio::select! {
                () = &mut send => panic!("nobody reads"),
                received = settled(backend, &server) => received,
            };
            assert!(received < 2 << 20, "{version:?}: {received}");
            go.send(true).expect("the handler waits");
            send.await;
            let end = reader.read(&mut [0; 8]).await;
            assert_eq!(end.expect("a clean end"), 0);
        });
        assert_eq!(reports.next(), LENGTH);
    });
}

/// How many bytes the server has received when it receives no more: when it has served other clients and
/// has not read on meanwhile.
async fn settled(backend: Backend, server: &TestServer) -> u64 {
    let mut before = 0;
    loop {
        for _ in 0..3 {
            let mut other = Http1Client::connect(backend, server).await;
            assert_eq!(
                other.ask("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.status,
                200
            );
        }
        let received = server.counters()[0].bytes_received;
        // Each of the others takes a few thousand bytes.
        if received < before + 16 * 1024 && received > 64 * 1024 {
            return received;
        }
        before = received;
    }
}

fn worker_can_have_the_stream(backend: Backend) {
    over_versions(|version| {
        let server = serve(
            backend,
            Drivers::all()[0],
            |builder| builder.upgrades(true),
            |mut request| async move {
                let upgrade = corelane::Upgrade::take(&mut request).expect("asked for");
                let (response, upgraded) = upgrade.accept();
                corelane::monoio::spawn(async {
                    echo(upgraded.await.expect("accepted")).await;
                });
                Ok(response.map(|()| String::new()))
            },
        );
        deadline(async {
            let mut client = ask(version, backend, &server).await;
            client.write_all(&[7; 100_000]).await.expect("sent");
            client.shutdown().await.expect("ended");
            assert_eq!(rest(&mut client).await.len(), 100_000);
        });
    });
}
