//! A monoio program that accepts connections itself and serves each of them with corelane:
//! `cargo run --example serve_connection`, then `curl -k https://localhost:8443/`

use std::{convert::Infallible, error::Error};

use corelane::{
    Body, Chain, ConnectionOptions, Limits, serve_connection, service_fn,
    tls::{Identity, RustlsAcceptor, TlsConfig},
};
use http::{Request, Response};
use monoio::{FusionDriver, RuntimeBuilder, net::TcpListener};

async fn hello(request: Request<Body>) -> Result<Response<String>, Infallible> {
    let peer = request.body().connection().peer();
    Ok(Response::new(format!("hello, {peer}\n")))
}

fn main() -> Result<(), Box<dyn Error>> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let identity = Identity::from_pem(made.cert.pem(), made.signing_key.serialize_pem())?;
    let acceptor = RustlsAcceptor::new(&TlsConfig::new(identity))?;
    let limits = Limits::default().idle(std::time::Duration::from_secs(300));
    let options = ConnectionOptions::default().limits(limits);

    // Connections use timers.
    let mut runtime = RuntimeBuilder::<FusionDriver>::new()
        .enable_timer()
        .build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:8443")?;
        loop {
            let (stream, peer) = listener.accept().await?;
            let (acceptor, options) = (acceptor.clone(), options.clone());
            monoio::spawn(async move {
                let service = service_fn(hello);
                let served = serve_connection(stream, &acceptor, service, &options).await;
                if let Err(error) = served {
                    eprintln!("{peer}: {}", Chain(&error));
                }
            });
        }
    })
}
