//! `cargo run --example hello`, then `curl -k https://localhost:8443/`

use std::convert::Infallible;

use corelane::{
    Body, Server,
    http::{Request, Response},
    service_fn,
    tls::{Identity, TlsConfig},
};
use corelane_boring::BoringAcceptor;

/// Answers with the key exchange: `X25519MLKEM768` if the client supports it.
async fn hello(request: Request<Body>) -> Result<Response<String>, Infallible> {
    let group = request.body().connection().negotiated.key_exchange_group;
    let group = group.map_or_else(|| "none".to_owned(), |group| group.to_string());
    Ok(Response::new(format!("hello over {group}\n")))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let identity = Identity::from_pem(made.cert.pem(), made.signing_key.serialize_pem())?;
    let acceptor = BoringAcceptor::new(&TlsConfig::new(identity))?;
    let server = Server::builder(acceptor).listen("127.0.0.1:8443");
    let handle = server.bind()?.serve(|_worker| service_fn(hello))?;
    Ok(handle.wait()?)
}
