//! A context of one's own for the backend openssl: here with a key that OpenSSL loads by a provider, such as one
//! in a TPM or a PKCS#11 token.
//!
//! `cargo run --features openssl --example openssl_context cert.pem key.pem`

use std::{convert::Infallible, env, error::Error, fs};

use corelane::{
    Body, Server,
    openssl::{
        pkey::PKey,
        ssl::{AlpnError, SslContext, SslMethod, SslMode, select_next_proto},
    },
    service_fn,
    tls::OpensslAcceptor,
};
use http::{Request, Response};

async fn hello(_request: Request<Body>) -> Result<Response<String>, Infallible> {
    Ok(Response::new("hello\n".into()))
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = env::args().skip(1);
    let (Some(cert), Some(key)) = (args.next(), args.next()) else {
        return Err("name the files of the certificate chain and of the key".into());
    };
    let mut context = SslContext::builder(SslMethod::tls_server())?;
    context.set_certificate_chain_file(cert)?;
    // OpenSSL asks each provider that openssl.cnf activates whether it can read the file, which need not
    // contain the key itself.
    let key = PKey::private_key_from_pem(&fs::read(key)?)?;
    context.set_private_key(&key)?;
    context.check_private_key()?;
    // Without it the server closes each connection after the handshake.
    context.set_alpn_select_callback(|_, offered| {
        select_next_proto(b"\x02h2", offered).ok_or(AlpnError::ALERT_FATAL)
    });
    // An idle connection then has no buffers.
    context.set_mode(SslMode::RELEASE_BUFFERS);
    context.set_session_id_context(b"my service")?;
    let acceptor = OpensslAcceptor::from(context.build());
    let server = Server::builder(acceptor).listen("127.0.0.1:8443");
    let handle = server.bind()?.serve(|_worker| service_fn(hello))?;
    Ok(handle.wait()?)
}
