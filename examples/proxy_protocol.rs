//! Behind a load balancer that sends the PROXY protocol: `cargo run --example proxy_protocol`, then
//! `curl -k --haproxy-protocol https://localhost:8443/`
//!
//! HAProxy sends it with `server NAME 127.0.0.1:8443 send-proxy-v2`.

use std::{convert::Infallible, error::Error};

use corelane::{
    Body, Server, service_fn,
    tls::{Identity, RustlsAcceptor, TlsConfig},
};
use http::{Request, Response};

async fn who(request: Request<Body>) -> Result<Response<String>, Infallible> {
    let connection = request.body().connection();
    let (client, proxy) = (connection.peer(), connection.proxy_addr);
    Ok(Response::new(format!("client {client}, proxy {proxy:?}\n")))
}

fn main() -> Result<(), Box<dyn Error>> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let identity = Identity::from_pem(made.cert.pem(), made.signing_key.serialize_pem())?;
    let acceptor = RustlsAcceptor::new(&TlsConfig::new(identity))?;
    // Any host in these networks can claim any client address: name the proxies only.
    let proxies = ["127.0.0.0/8".parse()?];
    let handle = Server::builder(acceptor)
        .listen("127.0.0.1:8443")
        .proxy_protocol(proxies)
        .bind()?
        .serve(|_worker| service_fn(who))?;
    println!("listening on {:?}", handle.local_addrs());
    Ok(handle.wait()?)
}
