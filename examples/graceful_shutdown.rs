//! Stops on SIGINT or SIGTERM, after the requests in flight: `cargo run --example graceful_shutdown`,
//! then `curl -k https://localhost:8443/` and Ctrl-C meanwhile; the response takes five seconds.

use std::{convert::Infallible, error::Error, time::Duration};

use corelane::{
    Body, Server,
    config::SHUTDOWN_DEADLINE,
    service_fn,
    tls::{Identity, RustlsAcceptor, TlsConfig},
};
use http::{Request, Response};
use signal_hook::{
    consts::{SIGINT, SIGTERM},
    iterator::Signals,
};

async fn slow(_request: Request<Body>) -> Result<Response<String>, Infallible> {
    monoio::time::sleep(Duration::from_secs(5)).await;
    Ok(Response::new("done\n".into()))
}

fn main() -> Result<(), Box<dyn Error>> {
    // Before any thread starts, so that every thread has the same handlers.
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let identity = Identity::from_pem(made.cert.pem(), made.signing_key.serialize_pem())?;
    let acceptor = RustlsAcceptor::new(&TlsConfig::new(identity))?;
    let handle = Server::builder(acceptor)
        .listen("127.0.0.1:8443")
        .bind()?
        .serve(|_worker| service_fn(slow))?;
    println!("listening on {:?}", handle.local_addrs());

    signals.forever().next();
    println!("shutting down");
    handle.shutdown(SHUTDOWN_DEADLINE);
    Ok(handle.wait()?)
}
