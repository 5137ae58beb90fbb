//! An axum application in ten lines: `cargo run --example axum_minimal`, beside `cert.pem` and `key.pem`.

use axum::{Router, routing::get};
use corelane::Server;
use corelane::tls::{Identity, RustlsAcceptor, TlsConfig};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let app = Router::new().route("/", get(|| async { "hello\n" }));
    let tls = TlsConfig::new(Identity::from_pem_files("cert.pem", "key.pem")?);
    let server = Server::builder(RustlsAcceptor::new(&tls)?).listen("127.0.0.1:8443");
    Ok(server.bind()?.serve(move |_worker| app.clone())?.wait()?)
}
