//! An acceptor of one's own: a certificate per server name, exchanged while the server runs.
//!
//! `cargo run --example custom_acceptor`, then
//! `curl -k --resolve a.test:8443:127.0.0.1 https://a.test:8443/`
//!
//! A server name typed on standard input gets a new certificate from the next connection on. This
//! shows which one is sent:
//!
//!     openssl s_client -connect localhost:8443 -servername a.test -alpn h2 </dev/null |
//!         openssl x509 -noout -serial -ext subjectAltName

use std::{
    collections::HashMap,
    convert::Infallible,
    error::Error,
    io::stdin,
    sync::{Arc, PoisonError, RwLock},
};

use corelane::{
    Body, ProtocolName, Server, service_fn,
    tls::{ClientHello, Identity, RustlsAcceptor, TlsAcceptor, TlsConfig, TlsSession},
};
use http::{Request, Response};

/// Starts each session by the acceptor of the name that the client asked for (SNI). The acceptors
/// may be of any backend.
#[derive(Clone)]
struct ByServerName {
    /// For clients that ask for no name or for one that is not known.
    fallback: Arc<dyn TlsAcceptor>,
    /// All workers share it; the lock is held for as long as it takes to start a session.
    by_name: Arc<RwLock<HashMap<String, Arc<dyn TlsAcceptor>>>>,
}

impl ByServerName {
    fn new(fallback: Arc<dyn TlsAcceptor>) -> Self {
        Self {
            fallback,
            by_name: Arc::default(),
        }
    }

    /// Connections that are open keep what they have.
    fn set(&self, name: &str, acceptor: Arc<dyn TlsAcceptor>) {
        let mut by_name = self.by_name.write().unwrap_or_else(PoisonError::into_inner);
        by_name.insert(name.to_ascii_lowercase(), acceptor);
    }
}

impl TlsAcceptor for ByServerName {
    fn backend(&self) -> &'static str {
        "by server name"
    }

    /// What the server checks before it starts.
    fn alpn_protocols(&self) -> Option<Vec<ProtocolName>> {
        self.fallback.alpn_protocols()
    }

    fn start(
        &self,
        client_hello: Option<&ClientHello>,
    ) -> Result<Box<dyn TlsSession>, corelane::Error> {
        let by_name = self.by_name.read().unwrap_or_else(PoisonError::into_inner);
        client_hello
            .and_then(|hello| by_name.get(&hello.server_name.as_ref()?.to_ascii_lowercase()))
            .unwrap_or(&self.fallback)
            .start(client_hello)
    }
}

/// An acceptor with a new certificate for this name; in a program of use it would read files.
fn acceptor(name: &str) -> Result<Arc<dyn TlsAcceptor>, Box<dyn Error>> {
    let made = rcgen::generate_simple_self_signed([name.to_owned()])?;
    let identity = Identity::from_pem(made.cert.pem(), made.signing_key.serialize_pem())?;
    Ok(Arc::new(RustlsAcceptor::new(&TlsConfig::new(identity))?))
}

async fn answer(request: Request<Body>) -> Result<Response<String>, Infallible> {
    let name = &request.body().connection().negotiated.server_name;
    Ok(Response::new(format!("you asked for {name:?}\n")))
}

fn main() -> Result<(), Box<dyn Error>> {
    let acceptors = ByServerName::new(acceptor("localhost")?);
    acceptors.set("a.test", acceptor("a.test")?);
    let handle = Server::builder(acceptors.clone())
        .listen("127.0.0.1:8443".parse()?)
        .bind()?
        .serve(|_worker| service_fn(answer))?;
    println!("type a server name for a new certificate");
    for line in stdin().lines() {
        let name = line?;
        match acceptor(name.trim()) {
            Ok(acceptor) => acceptors.set(name.trim(), acceptor),
            Err(error) => eprintln!("{name}: {error}"),
        }
    }
    Ok(handle.wait()?)
}
