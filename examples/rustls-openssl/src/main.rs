//! rustls speaks TLS, and the system's OpenSSL computes: ciphers, key exchange, signatures, random bytes.
//! Under a FIPS provider rustls offers what the provider has.
//!
//! `cargo run -- cert.pem key.pem`, then `curl --cacert cert.pem https://localhost:8443/`

use std::{convert::Infallible, env, error::Error, sync::Arc};

use corelane::{
    Body, Server, service_fn,
    tls::{Identity, RustlsAcceptor, TlsConfig},
};
use http::{Request, Response};

async fn hello(request: Request<Body>) -> Result<Response<String>, Infallible> {
    let negotiated = &request.body().connection().negotiated;
    Ok(Response::new(format!("hello over {negotiated:?}\n")))
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = env::args().skip(1);
    let (Some(cert), Some(key)) = (args.next(), args.next()) else {
        return Err("name the PEM files of the certificate and of the key".into());
    };
    let addr = args.next().unwrap_or_else(|| "127.0.0.1:8443".into());
    let mut provider = rustls_openssl::default_provider();
    let algorithms = match provider.secure_random.fips() {
        true => {
            // Some FIPS providers have groups that FIPS does not approve.
            provider.kx_groups.retain(|group| group.fips());
            "those of the FIPS provider"
        }
        false => "all of OpenSSL",
    };
    let config = TlsConfig::new(Identity::from_pem_files(cert, key)?);
    let acceptor = RustlsAcceptor::with_provider(&config, Arc::new(provider))?;
    let handle = Server::builder(acceptor)
        .listen(addr.as_str())
        .bind()?
        .serve(|_worker| service_fn(hello))?;
    for addr in handle.local_addrs() {
        println!("listening on https://{addr}, algorithms: {algorithms}");
    }
    Ok(handle.wait()?)
}
