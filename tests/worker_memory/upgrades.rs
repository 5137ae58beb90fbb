//! What 1,000 idle WebSockets hold; they do not hold up a shutdown.

use std::{
    convert::Infallible,
    future::poll_fn,
    time::{Duration, Instant},
};

use bytes::Bytes;
use corelane::{
    Body, Driver, ProtocolName, Upgrade, Upgraded, config::SHUTDOWN_DEADLINE, monoio, service_fn,
    tls::TlsConfig,
};
use corelane_test_support::{
    Backend, Drivers, TestServer,
    certs::identity,
    client::{self, Stream},
    deadline, for_each_backend,
    upgrade::{Version, upgrade},
};
use futures_util::future::join_all;
use h2::{RecvStream, SendStream, ext::Protocol};
use http::{Method, Request, Response};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    task::LocalSet,
};

use crate::{
    SESSION,
    counting::{alone, count_this_thread, settled},
};

for_each_backend!(idle_websockets_are_small_and_end_at_shutdown);

/// How many streams of HTTP/2 share a connection: tabs of a browser do.
const STREAMS: usize = 10;

/// How long the shutdown of them all may take, far less than the deadline of the server.
const DRAIN: Duration = Duration::from_secs(10);

/// For how long no more memory has been allocated when all of it counts.
const STABLE: Duration = Duration::from_millis(100);

/// What an idle WebSocket holds, bytes, with a connection of its own and without its TLS session.
const HTTP1: usize = 8 * 1024;

/// What one holds as a stream, with its part of the connection.
const HTTP2: usize = 8 * 1024;

async fn accept(mut request: Request<Body>) -> Result<Response<String>, Infallible> {
    let upgrade = Upgrade::take(&mut request).expect("an upgrade");
    let (response, upgraded) = upgrade.accept();
    monoio::spawn(async move {
        if let Ok(stream) = upgraded.await {
            echo(stream).await;
        }
    });
    Ok(response.map(|()| String::new()))
}

/// Sends back what it receives, until the peer's end.
async fn echo(mut stream: Upgraded) {
    let mut buf = [0; 128];
    while let Ok(n @ 1..) = stream.read(&mut buf).await {
        stream.write_all(&buf[..n]).await.expect("written");
    }
}

/// The client's ends of a connection, after a message was echoed on each.
enum Client {
    Http1(Box<dyn Stream>),
    Http2(Vec<(SendStream<Bytes>, RecvStream)>),
}

const MESSAGE: &[u8] = &[7; 100];

impl Client {
    async fn open(version: Version, backend: Backend, server: &TestServer) -> Self {
        match version {
            Version::Http1 => Self::http1(backend, server).await,
            Version::Http2 => Self::http2(backend, server).await,
        }
    }

    async fn http1(backend: Backend, server: &TestServer) -> Self {
        let asked = upgrade(Version::Http1, backend, server.addr, "/", "websocket", &[]);
        let mut stream = asked.await.accepted();
        stream.write_all(MESSAGE).await.expect("sent");
        stream.flush().await.expect("sent");
        let mut echo = [0; MESSAGE.len()];
        stream.read_exact(&mut echo).await.expect("echoed");
        Self::Http1(stream)
    }

    async fn http2(backend: Backend, server: &TestServer) -> Self {
        let stream = client::connect(backend, server.addr).await;
        let handshake = h2::client::handshake(stream).await;
        let (mut requests, connection) = handshake.expect("HTTP/2");
        tokio::task::spawn_local(connection);
        // Until the server's SETTINGS are there.
        while !requests.is_extended_connect_protocol_enabled() {
            tokio::task::yield_now().await;
        }
        let mut streams = Vec::new();
        for _ in 0..STREAMS {
            poll_fn(|cx| requests.poll_ready(cx)).await.expect("ready");
            let request = Request::builder()
                .method(Method::CONNECT)
                .uri("https://localhost/")
                .extension(Protocol::from_static("websocket"));
            let request = request.body(()).expect("a request");
            let (response, mut send) = requests.send_request(request, false).expect("sent");
            let mut receive = response.await.expect("a response").into_body();
            let message = Bytes::from_static(MESSAGE);
            send.send_data(message, false).expect("sent");
            let echo = receive.data().await.expect("no end").expect("echoed");
            assert_eq!(echo.len(), MESSAGE.len());
            streams.push((send, receive));
        }
        Self::Http2(streams)
    }

    /// Waits for the server's end of each WebSocket, and ends the client's.
    async fn ended(self) {
        match self {
            Self::Http1(mut stream) => {
                let mut rest = Vec::new();
                stream.read_to_end(&mut rest).await.expect("a clean end");
                assert!(rest.is_empty());
            }
            Self::Http2(streams) => {
                for (mut send, mut receive) in streams {
                    while let Some(data) = receive.data().await {
                        assert_eq!(data.expect("a clean end"), Bytes::new());
                    }
                    send.send_data(Bytes::new(), true).expect("ended");
                }
            }
        }
    }
}

/// Opens so many idle WebSockets, returns the bytes that each holds, and shuts the server down.
fn held(version: Version, backend: Backend, driver: Driver, count: usize) -> usize {
    let names = || [ProtocolName::H2, ProtocolName::HTTP_1_1];
    let config = TlsConfig::new(identity()).alpn_protocols(names());
    let acceptor = (backend.make)(&config).expect("an acceptor");
    let options = |builder: corelane::Builder| builder.protocols(names()).upgrades(true);
    let server = TestServer::with(acceptor, driver, options, |_| {
        count_this_thread();
        service_fn(accept)
    });
    let each = match version {
        Version::Http1 => 1,
        Version::Http2 => STREAMS,
    };
    deadline(LocalSet::new().run_until(async {
        let open = || Client::open(version, backend, &server);
        // The first connection allocates what the thread keeps for all of them.
        let mut clients = vec![open().await];
        let before = settled(STABLE).await;
        while clients.len() * each < count + each {
            clients.extend(join_all((0..10).map(|_| open())).await);
        }
        let held = (settled(STABLE).await - before).unsigned_abs() / count;
        let counters = server.counters()[0];
        let open = counters.upgrades - counters.upgrades_ended;
        assert_eq!(open, (count + each) as u64, "all are open");

        let begun = Instant::now();
        server.handle().shutdown(SHUTDOWN_DEADLINE);
        join_all(clients.into_iter().map(Client::ended)).await;
        let stopped = tokio::task::spawn_blocking(move || server.stop(SHUTDOWN_DEADLINE));
        stopped.await.expect("no worker panicked");
        let took = begun.elapsed();
        eprintln!(
            "{} {driver:?} {version:?}: {count} WebSockets of {held} bytes, ended in {took:?}",
            backend.name
        );
        assert!(took < DRAIN, "{took:?}");
        held
    }))
}

fn idle_websockets_are_small_and_end_at_shutdown(backend: Backend) {
    let _alone = alone();
    for (index, &driver) in Drivers::all().iter().enumerate() {
        let is_first = backend.name == "rustls" && index == 0;
        let count = if is_first { 1000 } else { 100 };
        for version in Version::ALL {
            let session = if backend.tls { SESSION } else { 0 };
            let most = match version {
                Version::Http1 => HTTP1 + session,
                Version::Http2 => HTTP2 + session / STREAMS,
            };
            let held = held(version, backend, driver, count);
            assert!(held <= most, "{version:?}: {held} bytes, at most {most}");
            // Of something that was counted.
            assert!(8 * held >= most, "{version:?}: {held} bytes of {most}");
        }
    }
}
