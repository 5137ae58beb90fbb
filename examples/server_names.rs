//! A certificate per server name, replaced while the server runs.
//!
//! `cargo run --example server_names`, then
//! `curl -k --resolve a.test:8443:127.0.0.1 https://a.test:8443/`
//!
//! Each line on standard input, such as `a.test *.b.test`, makes new certificates, one per name. The
//! first one is the default. This shows which one the server sends:
//!
//!     openssl s_client -connect localhost:8443 -servername x.b.test -alpn h2 </dev/null |
//!         openssl x509 -noout -serial -ext subjectAltName

use std::{convert::Infallible, error::Error, io::stdin};

use corelane::{
    Body, Server, service_fn,
    tls::{Identity, RustlsAcceptor, ServerNameAcceptor, TlsConfig},
};
use http::{Request, Response};

/// An acceptor with new certificates for these names; a real program would read files.
/// `NativeTlsAcceptor` works in the same way.
fn acceptor(names: &str) -> Result<ServerNameAcceptor, Box<dyn Error>> {
    let mut acceptor: Option<ServerNameAcceptor> = None;
    for name in names.split_whitespace() {
        let made = rcgen::generate_simple_self_signed([name.to_owned()])?;
        let identity = Identity::from_pem(made.cert.pem(), made.signing_key.serialize_pem())?;
        let one = RustlsAcceptor::new(&TlsConfig::new(identity.clone()))?;
        acceptor = Some(match acceptor {
            None => ServerNameAcceptor::new(&identity, one)?,
            Some(acceptor) => acceptor.add(&identity, one)?,
        });
    }
    Ok(acceptor.ok_or("no name")?)
}

async fn answer(request: Request<Body>) -> Result<Response<String>, Infallible> {
    let name = &request.body().connection().negotiated.server_name;
    Ok(Response::new(format!("you asked for {name:?}\n")))
}

fn main() -> Result<(), Box<dyn Error>> {
    let handle = Server::builder(acceptor("localhost a.test *.b.test")?)
        .listen("127.0.0.1:8443")
        .bind()?
        .serve(|_worker| service_fn(answer))?;
    println!("type server names for new certificates");
    for line in stdin().lines() {
        // Open connections keep their certificate. After an error, new ones get the old certificates.
        match acceptor(&line?) {
            Ok(acceptor) => handle.reload(acceptor)?,
            Err(error) => eprintln!("{error}"),
        }
    }
    Ok(handle.wait()?)
}
