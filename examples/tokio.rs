//! An axum application in `#[tokio::main]`, where `axum_server::bind_rustls` was:
//! `cargo run --example tokio -- cert.pem key.pem`, then `curl -k https://localhost:8443/`. Ctrl-C ends
//! it after the requests in flight.

use std::{env, error::Error, time::Duration};

use axum::{Router, routing::get};
use corelane::{
    Server,
    config::SHUTDOWN_DEADLINE,
    tls::{Identity, RustlsAcceptor, TlsConfig},
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (Some(cert), Some(key)) = (env::args().nth(1), env::args().nth(2)) else {
        return Err("usage: tokio CERT KEY, two PEM files".into());
    };
    let app = Router::new().route("/", get(slow));
    let tls = TlsConfig::new(Identity::from_pem_files(cert, key)?);
    let server = Server::builder(RustlsAcceptor::new(&tls)?)
        .listen("127.0.0.1:8443")
        .bind()?;
    let handle = server.serve(move |_worker| app.clone())?;
    tokio::select! {
        result = handle.stopped() => return Ok(result?),
        signal = tokio::signal::ctrl_c() => signal?,
    }
    handle.shutdown(SHUTDOWN_DEADLINE);
    Ok(handle.stopped().await?)
}

async fn slow() -> &'static str {
    tokio::time::sleep(Duration::from_secs(1)).await;
    "done\n"
}
