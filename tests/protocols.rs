//! Tests protocols of the user's own, which ALPN chooses and a handler serves.

use std::{
    convert::Infallible,
    future::pending,
    io,
    sync::{Arc, mpsc},
    time::Duration,
};

use corelane::{
    Builder, ConnectionInfo, Driver, Error, Limits, ProtocolName, ProtocolStream, Server,
    WorkerCounters, service_fn,
    tls::{Cleartext, ServerNameAcceptor, TlsAcceptor, TlsConfig},
};
use corelane_test_support::{
    Backend, Drivers, TestServer,
    certs::identity,
    client::{DEADLINE, Stream, Tls, deadline, get, never, over_version, send},
    for_each_tls_backend,
};
use http::Response;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

for_each_tls_backend!(
    handler_reads_writes_and_closes_in_order,
    h2_is_served_beside_it,
    silent_client_is_timed_out,
    errors_and_panics_end_only_their_connection,
    handler_is_told_of_the_shutdown,
    deadline_of_the_shutdown_ends_a_handler,
    stream_ends_with_its_handler,
    lists_that_differ_are_rejected,
);

const LINES: ProtocolName = ProtocolName::from_static(b"lines/1");

fn config() -> TlsConfig {
    TlsConfig::new(identity()).alpn_protocols([ProtocolName::H2, LINES])
}

fn acceptor(backend: Backend) -> Arc<dyn TlsAcceptor> {
    (backend.make)(&config()).expect("an acceptor")
}

fn serve(backend: Backend, driver: Driver, options: impl FnOnce(Builder) -> Builder) -> TestServer {
    TestServer::with(acceptor(backend), driver, options, |_| service_fn(never))
}

async fn connect(backend: Backend, server: &TestServer) -> Box<dyn Stream> {
    let tcp = TcpStream::connect(server.addr).await.expect("connects");
    over_version(backend, Tls::Any, &[LINES.as_bytes()], tcp).await
}

/// Sends each line back, with the worker's number.
async fn lines(mut stream: ProtocolStream, client: Arc<ConnectionInfo>) -> io::Result<()> {
    assert_eq!(client.negotiated.alpn_protocol, Some(LINES));
    let mut line = Vec::new();
    loop {
        let byte = match stream.read_u8().await {
            Ok(byte) => byte,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof && line.is_empty() => {
                stream.write_all(b"bye\n").await?;
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        line.push(byte);
        if byte == b'\n' {
            let prefix = format!("{}: ", client.worker);
            stream.write_all(prefix.as_bytes()).await?;
            stream.write_all(&line).await?;
            stream.flush().await?;
            line.clear();
        }
    }
}

fn handler_reads_writes_and_closes_in_order(backend: Backend) {
    for &driver in Drivers::all() {
        let server = serve(backend, driver, |builder| builder.protocol(LINES, lines));
        deadline(async {
            let mut client = connect(backend, &server).await;
            client.write_all(b"one\ntwo\n").await.expect("sent");
            let mut answer = [0; 14];
            client.read_exact(&mut answer).await.expect("answered");
            assert_eq!(&answer, b"0: one\n0: two\n");
            client.shutdown().await.expect("closed");
            // It is sent, with close_notify, though the handler did not flush.
            let mut rest = Vec::new();
            client.read_to_end(&mut rest).await.expect("a clean end");
            assert_eq!(rest, b"bye\n");
        });
        server.wait_for("the connection ends without a failure", |counters| {
            counters.connections_closed == 1
        });
        let counters = server.counters()[0];
        let WorkerCounters {
            handshakes_completed,
            connections_failed,
            requests,
            bytes_received,
            bytes_sent,
            ..
        } = counters;
        assert_eq!(
            (handshakes_completed, connections_failed, requests),
            (1, 0, 0)
        );
        assert!(bytes_received > 8 && bytes_sent > 18, "{counters:?}");
    }
}

fn h2_is_served_beside_it(backend: Backend) {
    for &driver in Drivers::all() {
        let options = |builder: Builder| builder.protocol(LINES, lines);
        let server = TestServer::with(acceptor(backend), driver, options, |_| {
            service_fn(|_| async { Ok::<_, Infallible>(Response::new("hello".to_owned())) })
        });
        deadline(async {
            let client = corelane_test_support::H2Client::connect(backend, server.addr).await;
            let answer = client.run(async |requests| send(&requests, get("/"), None).await);
            assert_eq!(answer.await.expect("answered").body, b"hello");
        });
    }
}

fn silent_client_is_timed_out(backend: Backend) {
    let limits = Limits::default().idle(Duration::from_millis(50));
    for &driver in Drivers::all() {
        let (ended, ends) = mpsc::channel();
        let server = serve(backend, driver, |builder| {
            builder
                .limits(limits.clone())
                .protocol(LINES, move |mut stream, _| {
                    let ended = ended.clone();
                    async move {
                        let error = stream.read_u8().await.expect_err("silent");
                        let _ = ended.send(error.kind());
                        Err::<(), _>(error)
                    }
                })
        });
        deadline(async {
            let mut client = connect(backend, &server).await;
            let mut rest = Vec::new();
            client.read_to_end(&mut rest).await.expect("a clean end");
        });
        assert_eq!(
            ends.recv_timeout(DEADLINE).expect("it ends"),
            io::ErrorKind::TimedOut
        );
        server.wait_for("the failure is counted", |counters| {
            counters.connections_failed == 1
        });
    }
}

fn errors_and_panics_end_only_their_connection(backend: Backend) {
    for &driver in Drivers::all() {
        let server = serve(backend, driver, |builder| {
            builder.protocol(LINES, async |mut stream: ProtocolStream, _| {
                match stream.read_u8().await? {
                    b'p' => panic!("the test's panic"),
                    b'e' => Err(io::Error::other("the test's error")),
                    _ => stream.write_all(b"fine").await,
                }
            })
        });
        deadline(async {
            let mut fine = connect(backend, &server).await;
            for byte in *b"pe" {
                let mut client = connect(backend, &server).await;
                client.write_u8(byte).await.expect("sent");
                client.flush().await.expect("sent");
                let mut rest = Vec::new();
                client.read_to_end(&mut rest).await.expect("a clean end");
                assert_eq!(rest, b"");
            }
            fine.write_u8(b'f').await.expect("sent");
            fine.flush().await.expect("sent");
            let mut rest = Vec::new();
            fine.read_to_end(&mut rest).await.expect("a clean end");
            assert_eq!(rest, b"fine");
        });
        server.wait_for("both are counted", |counters| {
            counters.handler_panics == 1 && counters.connections_failed == 2
        });
    }
}

fn handler_is_told_of_the_shutdown(backend: Backend) {
    for &driver in Drivers::all() {
        let server = serve(backend, driver, |builder| {
            builder.protocol(LINES, async |mut stream: ProtocolStream, _| {
                stream.write_all(b"ready\n").await?;
                stream.flush().await?;
                stream.server_shutdown().await;
                stream.write_all(b"bye\n").await
            })
        });
        deadline(async {
            let mut client = connect(backend, &server).await;
            let mut ready = [0; 6];
            client.read_exact(&mut ready).await.expect("served");
            server.handle().shutdown(Duration::from_secs(3600));
            let mut rest = Vec::new();
            client.read_to_end(&mut rest).await.expect("a clean end");
            assert_eq!(rest, b"bye\n");
        });
        server.stop(Duration::from_secs(3600));
    }
}

fn deadline_of_the_shutdown_ends_a_handler(backend: Backend) {
    for &driver in Drivers::all() {
        let server = serve(backend, driver, |builder| {
            builder.protocol(LINES, async |mut stream: ProtocolStream, _| {
                stream.write_all(b"ready\n").await?;
                stream.flush().await?;
                pending::<io::Result<()>>().await
            })
        });
        deadline(async {
            let mut client = connect(backend, &server).await;
            let mut ready = [0; 6];
            client.read_exact(&mut ready).await.expect("served");
            server.stop(Duration::ZERO);
            let mut rest = Vec::new();
            client.read_to_end(&mut rest).await.expect("close_notify");
        });
    }
}

fn stream_ends_with_its_handler(backend: Backend) {
    for &driver in Drivers::all() {
        let (ended, ends) = mpsc::channel();
        let server = serve(backend, driver, |builder| {
            builder.protocol(LINES, move |mut stream: ProtocolStream, _| {
                let ended = ended.clone();
                monoio::spawn(async move {
                    let error = loop {
                        if let Err(error) = stream.write_u8(0).await {
                            break error;
                        }
                        monoio::time::sleep(Duration::from_millis(1)).await;
                    };
                    let _ = ended.send(error.kind());
                });
                async { Ok::<_, Infallible>(()) }
            })
        });
        deadline(async {
            let mut client = connect(backend, &server).await;
            let mut rest = Vec::new();
            client.read_to_end(&mut rest).await.expect("a clean end");
        });
        let kind = ends.recv_timeout(DEADLINE).expect("the task ends");
        assert_eq!(kind, io::ErrorKind::BrokenPipe);
    }
}

fn builder(acceptor: impl TlsAcceptor) -> Builder {
    Server::builder(acceptor).listen("127.0.0.1:0")
}

fn rejection(builder: &Builder) -> String {
    let error = builder.check().expect_err("rejected");
    assert!(error.is_config(), "{error}");
    error.to_string()
}

fn lists_that_differ_are_rejected(backend: Backend) {
    let message = rejection(
        &builder(acceptor(backend))
            .protocols([LINES])
            .protocol(LINES, lines),
    );
    assert!(
        message.contains("set TlsConfig::alpn_protocols and Builder::protocols"),
        "{message}"
    );
    let only_h2 = builder(backend.acceptor()).protocol(LINES, lines);
    assert!(rejection(&only_h2).contains(r#"serves ["h2", "lines/1"]"#));
    // One that would choose h2 instead, behind one that would not.
    let names = |names: &[&str]| {
        names
            .iter()
            .map(|name| (*name).to_owned())
            .collect::<Vec<_>>()
    };
    let first = identity().with_names(names(&["a.test"])).expect("names");
    let second = identity().with_names(names(&["b.test"])).expect("names");
    let both = |acceptors: [Arc<dyn TlsAcceptor>; 2]| {
        let [one, other] = acceptors;
        let both = ServerNameAcceptor::new(&first, one)?.add(&second, other)?;
        Ok::<_, Error>(builder(both).protocol(LINES, lines))
    };
    let mixed = both([acceptor(backend), backend.acceptor()]).expect("acceptors");
    rejection(&mixed);
    let alike = both([acceptor(backend), acceptor(backend)]).expect("acceptors");
    alike.check().expect("the lists are alike");
    // A reload is checked, too.
    let server = serve(backend, Driver::Epoll, |builder| {
        builder.protocol(LINES, lines)
    });
    let error = server
        .handle()
        .reload(backend.acceptor())
        .expect_err("rejected");
    assert!(error.is_config(), "{error}");
    let changed = builder(backend.acceptor());
    server
        .handle()
        .reloader()
        .reconfigure(changed)
        .expect("a list of its own");
}

#[test]
fn wrong_lists_are_rejected() {
    let cleartext = || builder(Cleartext);
    let name = |name: &str| ProtocolName::new(name).expect("a short name");
    for (builder, expected) in [
        (cleartext().protocols([]), "the list of protocols is empty"),
        (
            cleartext().protocols([ProtocolName::H2, ProtocolName::H2]),
            "the protocol h2 is listed twice",
        ),
        (
            cleartext().protocols([ProtocolName::H2, name("x")]),
            "the protocol x has no handler: set one by Builder::protocol",
        ),
        (
            cleartext().protocol(ProtocolName::H2, lines),
            "the protocol h2 is served by the service",
        ),
        (
            cleartext().protocol(LINES, lines),
            "no client can choose the protocol lines/1: the backend none has no TLS",
        ),
    ] {
        let message = rejection(&builder);
        assert!(message.starts_with(expected), "{message}");
    }
    let http1 = cleartext().protocols([ProtocolName::HTTP_1_1]).check();
    match cfg!(feature = "http1") {
        true => http1.expect("served"),
        false => assert!(http1.expect_err("not served").is_unsupported()),
    }
}
