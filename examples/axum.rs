//! An unchanged `axum::Router`: `cargo run --example axum -- cert.pem key.pem`, then
//! `curl -k https://localhost:8443/hello/world`, `curl -k https://localhost:8443/who` and
//! `curl -k --data-binary @README.md https://localhost:8443/echo`
//!
//! Without arguments the example makes a certificate in memory.

use std::sync::Arc;

use axum::{Extension, Router, body::Body, extract::Path, routing};
use corelane::{
    ConnectionInfo, Server,
    tls::{Identity, RustlsAcceptor, TlsConfig},
    with_connection_info,
};

async fn hello(Path(name): Path<String>) -> String {
    format!("hello, {name}\n")
}

/// Streams the request's body back, including trailers.
async fn echo(body: Body) -> Body {
    body
}

/// `with_connection_info` adds the connection to the extensions of the request.
async fn who(Extension(connection): Extension<Arc<ConnectionInfo>>) -> String {
    let certificates = connection.negotiated.peer_certificates.len();
    let peer = connection.peer();
    format!("you are {peer} and sent {certificates} certificates\n")
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let router = Router::new()
        .route("/hello/{name}", routing::get(hello))
        .route("/who", routing::get(who))
        .route("/echo", routing::post(echo));
    let service = with_connection_info(router);
    let acceptor = RustlsAcceptor::new(&TlsConfig::new(identity()?))?;
    let handle = Server::builder(acceptor)
        .listen("127.0.0.1:8443")
        .bind()?
        .serve(move |_worker| service.clone())?;
    println!("listening on {:?}", handle.local_addrs());
    Ok(handle.wait()?)
}

fn identity() -> Result<Identity, Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    if let (Some(cert), Some(key)) = (args.next(), args.next()) {
        return Ok(Identity::from_pem_files(cert, key)?);
    }
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    Ok(Identity::from_pem(
        made.cert.pem(),
        made.signing_key.serialize_pem(),
    )?)
}
