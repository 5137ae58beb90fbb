//! WebSockets by axum, for ci/websocket.py and ci/autobahn: `/echo` sends messages back, `/version` sends the
//! version of HTTP first.
//!
//! `cargo run --features native-tls,openssl,http1,upgrade --example websocket_echo -- rustls cert.pem key.pem`, or
//! `openssl` or `native-tls`, or `none` without the files. It stops at the end of its standard input.

use std::{io::Read, sync::Arc};

use axum::{
    Router,
    extract::ws::{Message, WebSocket, WebSocketUpgrade},
    response::{Html, Response},
    routing::{any, get},
};
use corelane::{
    Error, ProtocolName, Server,
    config::SHUTDOWN_DEADLINE,
    tls::{
        Cleartext, Identity, NativeTlsAcceptor, OpensslAcceptor, RustlsAcceptor, TlsAcceptor,
        TlsConfig,
    },
};
use corelane_test_support::server::http2_engine;
use http::Version;

async fn echo(upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(repeat)
}

async fn version(version: Version, upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(async move |mut socket| {
        let text = Message::Text(format!("{version:?}").into());
        if socket.send(text).await.is_ok() {
            repeat(socket).await;
        }
    })
}

async fn repeat(mut socket: WebSocket) {
    while let Some(Ok(message)) = socket.recv().await {
        let is_data = matches!(message, Message::Text(_) | Message::Binary(_));
        if is_data && socket.send(message).await.is_err() {
            break;
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<_> = std::env::args().skip(1).collect();
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    let acceptor: Arc<dyn TlsAcceptor> = match args[..] {
        ["rustls", cert, key] => Arc::new(RustlsAcceptor::new(&config(cert, key)?)?),
        ["openssl", cert, key] => Arc::new(OpensslAcceptor::new(&config(cert, key)?)?),
        ["native-tls", cert, key] => Arc::new(NativeTlsAcceptor::new(&config(cert, key)?)?),
        ["none"] => Arc::new(Cleartext),
        _ => {
            return Err(
                "usage: websocket_echo rustls|openssl|native-tls CERTIFICATE KEY, or websocket_echo none"
                    .into(),
            );
        }
    };
    let router = Router::new()
        .route("/", get(async || Html("<title>echo</title>")))
        .route("/echo", any(echo))
        .route("/version", any(version));
    let handlers = tokio::runtime::Runtime::new()?;
    let handle = Server::builder(acceptor)
        .listen("127.0.0.1:0")
        .http2_engine(http2_engine())
        .protocols(protocols())
        .upgrades(true)
        .tokio(handlers.handle().clone())
        .bind()?
        .serve(move |_worker| router.clone())?;
    println!("listening on {:?}", handle.local_addrs());
    std::io::stdin().read_to_end(&mut Vec::new())?;
    for worker in handle.workers() {
        println!("{:?}", worker.counters);
    }
    handle.shutdown(SHUTDOWN_DEADLINE);
    Ok(handle.wait()?)
}

fn protocols() -> [ProtocolName; 2] {
    [ProtocolName::H2, ProtocolName::HTTP_1_1]
}

fn config(cert: &str, key: &str) -> Result<TlsConfig, Error> {
    Ok(TlsConfig::new(Identity::from_pem_files(cert, key)?).alpn_protocols(protocols()))
}
