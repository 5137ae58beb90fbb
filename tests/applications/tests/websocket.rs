//! WebSockets of an application on axum, by its own extractor, on both versions of HTTP.

use std::{sync::LazyLock, time::Duration};

use axum::{
    Router,
    extract::ws::{Message, WebSocket, WebSocketUpgrade},
    response::Response,
    routing::any,
};
use corelane::{ProtocolName, tls::TlsConfig};
use corelane_test_support::{
    Backend, Drivers, TestServer,
    certs::identity,
    client::{self, Stream, Tls, deadline},
    for_each_backend,
    upgrade::{Version, upgrade},
};
use futures_util::{SinkExt, StreamExt};
use tokio::{net::TcpStream, runtime::Runtime};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{self, client::IntoClientRequest, protocol::Role},
};

for_each_backend!(
    messages_come_back,
    idle_sockets_end_with_the_server,
    requests_that_are_none_are_refused,
);

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime"));

async fn echo(upgrade: WebSocketUpgrade) -> Response {
    upgrade.protocols(["second", "first"]).on_upgrade(repeat)
}

async fn repeat(mut socket: WebSocket) {
    while let Some(Ok(message)) = socket.recv().await {
        let is_data = matches!(message, Message::Text(_) | Message::Binary(_));
        if is_data && socket.send(message).await.is_err() {
            break;
        }
    }
}

fn start(backend: Backend, driver: corelane::Driver) -> TestServer {
    let names = || [ProtocolName::H2, ProtocolName::HTTP_1_1];
    let config = TlsConfig::new(identity()).alpn_protocols(names());
    let options = |builder: corelane::Builder| {
        let builder = builder.protocols(names()).upgrades(true);
        builder.tokio(RUNTIME.handle().clone())
    };
    let router: Router = Router::new().route("/echo", any(echo));
    let acceptor = (backend.make)(&config).expect("an acceptor");
    TestServer::with(acceptor, driver, options, move |_| router.clone())
}

/// A client, and the subprotocol that the server has chosen.
async fn connect(
    version: Version,
    backend: Backend,
    server: &TestServer,
) -> (WebSocketStream<Box<dyn Stream>>, Option<String>) {
    let chosen = |headers: &http::HeaderMap| {
        let chosen = headers.get("sec-websocket-protocol")?;
        Some(chosen.to_str().expect("text").to_owned())
    };
    match version {
        Version::Http1 => {
            let tcp = TcpStream::connect(server.addr).await.expect("connects");
            let stream = client::over_version(backend, Tls::Any, &[b"http/1.1"], tcp).await;
            let request = "wss://localhost/echo".into_client_request();
            let mut request = request.expect("a request");
            let offer = "first, second".parse().expect("a value");
            request
                .headers_mut()
                .insert("sec-websocket-protocol", offer);
            let (socket, response) = client_async(request, stream).await.expect("accepted");
            (socket, chosen(response.headers()))
        }
        Version::Http2 => {
            let fields = [
                ("sec-websocket-version", "13"),
                ("sec-websocket-protocol", "first, second"),
            ];
            let answer = upgrade(version, backend, server.addr, "/echo", "websocket", &fields);
            let answer = answer.await;
            let chosen = chosen(&answer.headers);
            let stream = answer.accepted();
            let socket = WebSocketStream::from_raw_socket(stream, Role::Client, None).await;
            (socket, chosen)
        }
    }
}

fn messages_come_back(backend: Backend) {
    for &driver in Drivers::all() {
        let server = start(backend, driver);
        for version in Version::ALL {
            deadline(async {
                let (mut socket, protocol) = connect(version, backend, &server).await;
                assert_eq!(protocol.as_deref(), Some("second"));
                for message in [
                    tungstenite::Message::text("hello"),
                    tungstenite::Message::binary(vec![7; 1 << 20]),
                ] {
                    socket.send(message.clone()).await.expect("sent");
                    let echo = socket.next().await.expect("a message");
                    assert_eq!(echo.expect("valid"), message);
                }
                socket.close(None).await.expect("sent");
                let closed = socket.next().await.expect("a message").expect("valid");
                assert!(closed.is_close(), "{closed:?}");
                assert!(socket.next().await.is_none(), "the end");
            });
        }
        server.wait_for("both end", |counters| {
            (counters.upgrades, counters.upgrades_ended) == (2, 2)
        });
        assert_eq!(server.counters()[0].connections_failed, 0);
    }
}

fn idle_sockets_end_with_the_server(backend: Backend) {
    let server = start(backend, Drivers::all()[0]);
    deadline(async {
        let mut sockets = Vec::new();
        for version in Version::ALL {
            sockets.push(connect(version, backend, &server).await.0);
        }
        server.handle().shutdown(Duration::from_secs(3600));
        for mut socket in sockets {
            let error = socket.next().await.expect("an end");
            error.expect_err("axum's handler does not close");
        }
    });
    server.stop(Duration::from_secs(3600));
}

/// The answers of axum's extractor.
fn requests_that_are_none_are_refused(backend: Backend) {
    let server = start(backend, Drivers::all()[0]);
    deadline(async {
        let version = [("sec-websocket-version", "13")];
        for (of, protocol, fields, status) in [
            (Version::Http1, "other", &version[..], 400),
            // Without a key.
            (Version::Http1, "websocket", &version[..], 400),
            (Version::Http2, "other", &version[..], 400),
            (Version::Http2, "websocket", &[], 400),
        ] {
            let answer = upgrade(of, backend, server.addr, "/echo", protocol, fields).await;
            assert_eq!(answer.status, status, "{of:?} {protocol}");
        }
    });
    assert_eq!(server.counters()[0].upgrades, 0);
}
