//! Both TLS backends in one program, chosen at its start:
//! `cargo run --features native-tls --example both_backends -- rustls` or `-- native-tls`, then
//! `curl -k https://localhost:8443/`

use std::{convert::Infallible, sync::Arc};

use corelane::{
    Body, Server, service_fn,
    tls::{Identity, NativeTlsAcceptor, RustlsAcceptor, TlsAcceptor, TlsConfig},
};
use http::{Request, Response};

/// Shows the backend and the result of the handshake.
async fn answer(request: Request<Body>) -> Result<Response<String>, Infallible> {
    let connection = request.body().connection();
    let negotiated = &connection.negotiated;
    Ok(Response::new(format!(
        "{}: {:?}, {:?}, ALPN {:?}\n",
        connection.backend,
        negotiated.tls_version,
        negotiated.cipher_suite,
        negotiated.alpn_protocol
    )))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let identity = Identity::from_pem(made.cert.pem(), made.signing_key.serialize_pem())?;
    // Both backends use the same configuration.
    let config = TlsConfig::new(identity);
    let acceptor: Arc<dyn TlsAcceptor> = match std::env::args().nth(1).as_deref() {
        None | Some("rustls") => Arc::new(RustlsAcceptor::new(&config)?),
        Some("native-tls") => Arc::new(NativeTlsAcceptor::new(&config)?),
        Some(other) => return Err(format!("no backend {other:?}: rustls or native-tls").into()),
    };
    println!("backend: {}", acceptor.backend());
    let handle = Server::builder(acceptor)
        .listen("127.0.0.1:8443")
        .bind()?
        .serve(|_worker| service_fn(answer))?;
    Ok(handle.wait()?)
}
