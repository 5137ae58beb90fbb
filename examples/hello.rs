//! `cargo run --example hello`, then `curl -k https://localhost:8443/`

use std::convert::Infallible;

use corelane::tls::{Identity, RustlsAcceptor, TlsConfig};
use corelane::{Body, Server, service_fn};
use http::{Request, Response};

async fn hello(request: Request<Body>) -> Result<Response<String>, Infallible> {
    let worker = request.body().connection().worker;
    Ok(Response::new(format!("hello from worker {worker}\n")))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let identity = Identity::from_pem(made.cert.pem(), made.signing_key.serialize_pem())?;
    let acceptor = RustlsAcceptor::new(&TlsConfig::new(identity))?;
    let server = Server::builder(acceptor).listen("127.0.0.1:8443");
    let handle = server.bind()?.serve(|_worker| service_fn(hello))?;
    Ok(handle.wait()?)
}
