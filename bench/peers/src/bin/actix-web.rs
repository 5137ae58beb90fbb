//! actix-web on its own workers, with rustls or OpenSSL.

#![forbid(unsafe_code)]

use std::{future::poll_fn, pin::pin, sync::Arc, time::Duration};

use actix_web::{
    App, HttpResponse, HttpServer,
    rt::System,
    web::{self, Payload},
};
use bench_peers::{Args, Backend, Bodies, OCTETS, listen, openssl_acceptor, rustls_config};
use bytes::Bytes;
use clap::Parser;
use futures_core::Stream;

/// As on all servers.
const WINDOW: u32 = 1 << 20;

/// Longer than a client is stopped while other servers have their turns. The defaults are 3 and 5 s.
const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    args.ensure_http2()?;
    let bodies = Bodies::read(&args.bodies)?;
    let app = move || {
        App::new()
            .route("/tiny", web::get().to(|| async { octets(&bodies.tiny) }))
            .route("/16k", web::get().to(|| async { octets(&bodies.k16) }))
            .route("/64k", web::get().to(|| async { octets(&bodies.k64) }))
            .route("/1m", web::get().to(|| async { octets(&bodies.m1) }))
            .route("/upload", web::post().to(received))
    };
    let server = HttpServer::new(app)
        .workers(args.workers.get())
        .tcp_nodelay(true)
        .h2_initial_window_size(WINDOW)
        .h2_initial_connection_window_size(WINDOW)
        .tls_handshake_timeout(PATIENCE)
        .client_request_timeout(PATIENCE)
        .keep_alive(PATIENCE)
        // A signal ends the process at once, as it ends the others.
        .disable_signals();
    // One listener for all workers: actix-web has a thread that accepts for them.
    let listener = listen(&args)?;
    let server = match args.tls {
        Backend::Rustls => {
            let config = Arc::unwrap_or_clone(rustls_config(&args)?);
            server.listen_rustls_0_23(listener, config)?
        }
        Backend::Openssl => server.listen_openssl(listener, openssl_acceptor(&args)?)?,
        Backend::NativeTls => anyhow::bail!("actix-web has no native-tls"),
    };
    Ok(System::new().block_on(server.run())?)
}

fn octets(body: &Bytes) -> HttpResponse {
    HttpResponse::Ok().content_type(OCTETS).body(body.clone())
}

async fn received(payload: Payload) -> actix_web::Result<HttpResponse> {
    let mut payload = pin!(payload);
    let mut length = 0;
    while let Some(data) = poll_fn(|cx| payload.as_mut().poll_next(cx)).await {
        length += data?.len();
    }
    Ok(octets(&Bytes::from(format!("{length}\n"))))
}
