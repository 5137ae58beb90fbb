//! ntex on its own workers and its own runtime on io_uring, with rustls or OpenSSL.

#![forbid(unsafe_code)]

use std::{future::poll_fn, pin::pin, sync::Arc};

use bench_peers::{Args, Backend, Bodies, OCTETS, listen, openssl_acceptor, rustls_config};
use clap::Parser;
use futures_core::Stream;
use ntex::{
    SharedCfg,
    http::{HttpServiceConfig, h2::Http2ServiceConfig},
    rt::{DefaultRuntime, System},
    time::Seconds,
    tls::TlsConfig,
    util::Bytes,
    web::{self, App, HttpResponse, HttpServer, error::PayloadError, types::Payload},
};
use socket2::SockRef;

/// As on all servers.
const STREAMS: u32 = 200;
const WINDOW: i32 = 1 << 20;

/// Longer than a client is stopped while other servers have their turns. The defaults are 1 to 5 s.
const PATIENCE: Seconds = Seconds(60);

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    args.ensure_http2()?;
    System::new("ntex", DefaultRuntime).block_on(serve(args))
}

async fn serve(args: Args) -> anyhow::Result<()> {
    let bodies = Bodies::read(&args.bodies)?;
    let app = async move || {
        App::new()
            .route("/tiny", web::get().to(async || octets(&bodies.tiny)))
            .route("/16k", web::get().to(async || octets(&bodies.k16)))
            .route("/64k", web::get().to(async || octets(&bodies.k64)))
            .route("/1m", web::get().to(async || octets(&bodies.m1)))
            .route("/upload", web::post().to(received))
    };
    let http1 = HttpServiceConfig::new()
        .set_keepalive_timeout(PATIENCE)
        .set_client_timeout(PATIENCE);
    let http2 = Http2ServiceConfig::new()
        .set_max_concurrent_streams(STREAMS)
        .set_initial_window_size(WINDOW)
        .set_initial_connection_window_size(WINDOW)
        .set_handshake_timeout(PATIENCE)
        .set_ping_timeout(PATIENCE);
    let tls = TlsConfig::new().set_handshake_timeout(PATIENCE);
    let server = HttpServer::new(app)
        .workers(args.workers.get())
        .config(SharedCfg::new("ntex").add(http1).add(http2).add(tls))
        // A signal ends the process at once, as it ends the others.
        .disable_signals();
    // One listener for all workers: ntex has a thread that accepts for them.
    let listener = listen(&args)?;
    // Connections inherit it.
    SockRef::from(&listener).set_tcp_nodelay(true)?;
    let server = match args.tls {
        Backend::Rustls => {
            let config = Arc::unwrap_or_clone(rustls_config(&args)?);
            server.listen_rustls(listener, config)?
        }
        Backend::Openssl => server.listen_openssl(listener, openssl_acceptor(&args)?)?,
        Backend::NativeTls => anyhow::bail!("ntex has no native-tls"),
    };
    Ok(server.run().await?)
}

fn octets(body: &'static [u8]) -> HttpResponse {
    response(Bytes::from_static(body))
}

async fn received(payload: Payload) -> Result<HttpResponse, PayloadError> {
    let mut payload = pin!(payload);
    let mut length = 0;
    while let Some(data) = poll_fn(|cx| payload.as_mut().poll_next(cx)).await {
        length += data?.len();
    }
    Ok(response(Bytes::from(format!("{length}\n"))))
}

fn response(body: Bytes) -> HttpResponse {
    HttpResponse::Ok().content_type(OCTETS).body(body)
}
