//! Asks clients for a certificate of your own authority: `cargo run --example client_certificates`
//! prints the curl command to try it.

use std::{convert::Infallible, error::Error, fs};

use corelane::{
    Body, Server, service_fn,
    tls::{ClientAuth, Identity, RustlsAcceptor, TlsConfig},
};
use http::{Request, Response};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

/// Answers with the length of the client's chain. Its certificates, DER, identify the client.
async fn who(request: Request<Body>) -> Result<Response<String>, Infallible> {
    let negotiated = &request.body().connection().negotiated;
    Ok(Response::new(match negotiated.peer_certificate() {
        Some(der) => format!("your certificate has {} bytes\n", der.len()),
        None => "you have sent no certificate\n".into(),
    }))
}

fn main() -> Result<(), Box<dyn Error>> {
    let authority = authority()?;
    let client_key = KeyPair::generate()?;
    let client =
        CertificateParams::new(["a client".to_owned()])?.signed_by(&client_key, &authority)?;
    let file = std::env::temp_dir().join("corelane-client.pem");
    fs::write(&file, client.pem() + &client_key.serialize_pem())?;

    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let identity = Identity::from_pem(made.cert.pem(), made.signing_key.serialize_pem())?;
    // A client without a certificate is refused; `.optional()` serves it too.
    let config = TlsConfig::new(identity).client_auth(ClientAuth::from_pem(authority.pem())?);
    let handle = Server::builder(RustlsAcceptor::new(&config)?)
        .listen("127.0.0.1:8443")
        .bind()?
        .serve(|_worker| service_fn(who))?;
    println!("curl -k --cert {} https://localhost:8443/", file.display());
    Ok(handle.wait()?)
}

fn authority() -> Result<CertifiedIssuer<'static, KeyPair>, rcgen::Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate()?)
}
