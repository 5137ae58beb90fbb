//! An axum router on axum-server with rustls.

#![forbid(unsafe_code)]

use std::time::Duration;

use axum::{
    Router,
    body::Body,
    routing::{get, post},
};
use axum_server::{
    accept::NoDelayAcceptor,
    tls_rustls::{RustlsAcceptor, RustlsConfig},
};
use bench_peers::{Args, Backend, Bodies, octets, on_each_worker, received, rustls_config};
use clap::Parser;

/// Longer than a client is stopped while other servers have their turns. The default is 10 s.
const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    anyhow::ensure!(
        args.tls == Backend::Rustls,
        "axum-server is measured with rustls only"
    );
    let bodies = Bodies::read(&args.bodies)?;
    let acceptor = RustlsAcceptor::new(RustlsConfig::from_config(rustls_config(&args)?))
        .handshake_timeout(PATIENCE)
        .acceptor(NoDelayAcceptor);
    on_each_worker(&args, move |listener| {
        let acceptor = acceptor.clone();
        async move {
            let server = axum_server::from_tcp(listener)?.acceptor(acceptor);
            Ok(server.serve(router(bodies).into_make_service()).await?)
        }
    })
}

fn router(bodies: &'static Bodies) -> Router {
    Router::new()
        .route(
            "/tiny",
            get(|| async { octets::<Body>(bodies.tiny.clone()) }),
        )
        .route("/16k", get(|| async { octets::<Body>(bodies.k16.clone()) }))
        .route("/64k", get(|| async { octets::<Body>(bodies.k64.clone()) }))
        .route("/1m", get(|| async { octets::<Body>(bodies.m1.clone()) }))
        .route("/upload", post(|body: Body| received::<_, Body>(body)))
}
