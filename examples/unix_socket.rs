//! Serves HTTP/2 with prior knowledge on a Unix socket, for a proxy on the same host.
//!
//! `cargo run --example unix_socket`, then
//! `curl --unix-socket /tmp/corelane.sock --http2-prior-knowledge http://localhost/`

use std::convert::Infallible;

use corelane::{Body, Error, Server, service_fn, tls::Cleartext};
use http::{Request, Response};

async fn hello(request: Request<Body>) -> Result<Response<String>, Infallible> {
    let path = request.uri().path();
    Ok(Response::new(format!("hello from {path}\n")))
}

fn main() -> Result<(), Error> {
    let handle = Server::builder(Cleartext)
        .listen_unix("/tmp/corelane.sock")
        .bind()?
        .serve(|_worker| service_fn(hello))?;
    println!("listening on {:?}", handle.unix_paths());
    handle.wait()
}
