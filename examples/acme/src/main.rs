//! A server that gets its certificates from an ACME authority, Let's Encrypt by default, and renews them. The
//! authority connects to the server's own port to check that the names are its own: tls-alpn-01 (RFC 8737).
//!
//! `cargo run -- [::]:443 example.org www.example.org` asks the authority's staging environment, whose
//! certificates that clients do not trust. Account and certificates are kept in the folder `acme`.

use std::{convert::Infallible, env, error::Error, fmt::Debug, sync::Arc, thread};

use corelane::{
    Body, Handle, ProtocolName, Server, rustls::ServerConfig, service_fn, tls::RustlsAcceptor,
};
use futures::{StreamExt, executor};
use http::{Request, Response};
use rustls_acme::{AcmeConfig, AcmeState, acme::ACME_TLS_ALPN_NAME, caches::DirCache};

const ACME: ProtocolName = ProtocolName::from_static(ACME_TLS_ALPN_NAME);

async fn hello(request: Request<Body>) -> Result<Response<String>, Infallible> {
    let version = request.version();
    Ok(Response::new(format!("hello over {version:?}\n")))
}

/// Serves HTTP with the certificates that `acme` gets. A client that offers `acme-tls/1` alone is the
/// authority: the resolver shows it the certificate of the challenge, and the handshake is all that it wants.
fn serve<E: Debug + 'static>(acme: &AcmeState<E>, addr: &str) -> Result<Handle, corelane::Error> {
    let protocols = [ProtocolName::H2, ProtocolName::HTTP_1_1, ACME];
    let mut tls = ServerConfig::clone(&acme.default_rustls_config());
    tls.alpn_protocols = protocols.iter().map(|it| it.as_bytes().to_vec()).collect();
    Server::builder(RustlsAcceptor::from(Arc::new(tls)))
        .listen(addr)
        .protocols(protocols)
        .protocol(ACME, |_stream, _authority| async {
            Ok::<_, Infallible>(())
        })
        .bind()?
        .serve(|_worker| service_fn(hello))
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = env::args().skip(1);
    let (Some(addr), Some(name)) = (args.next(), args.next()) else {
        return Err("name the address to listen on, and the host names of the certificate".into());
    };
    let names = [name].into_iter().chain(args);
    let mut acme = AcmeConfig::new(names)
        .cache(DirCache::new("acme"))
        .directory_lets_encrypt(false)
        .state();
    let handle = serve(&acme, &addr)?;
    // It brings a thread for its timers and its connections, and needs no runtime around it.
    thread::spawn(move || {
        executor::block_on(async {
            while let Some(event) = acme.next().await {
                eprintln!("{event:?}");
            }
        });
    });
    Ok(handle.wait()?)
}

#[cfg(test)]
mod authority;
#[cfg(test)]
mod client;
#[cfg(test)]
mod tests;
