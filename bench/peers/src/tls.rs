//! The TLS configuration, the same for all servers.

use std::{fs, sync::Arc};

use anyhow::Context;
use openssl::ssl::{
    AlpnError, SslAcceptor, SslAcceptorBuilder, SslFiletype, SslMethod, SslVersion,
    select_next_proto,
};
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    version::{TLS12, TLS13},
};

use crate::Args;

/// One protocol, and tickets as OpenSSL issues them by default; otherwise rustls' defaults.
pub fn rustls_config(args: &Args) -> anyhow::Result<Arc<ServerConfig>> {
    let versions: &[_] = if args.tls12 {
        &[&TLS12]
    } else {
        &[&TLS13, &TLS12]
    };
    let chain = CertificateDer::pem_file_iter(&args.cert)?.collect::<Result<_, _>>()?;
    let key = PrivateKeyDer::from_pem_file(&args.key)?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(versions)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .context("rustls rejects this certificate with this key")?;
    config.ticketer = aws_lc_rs::Ticketer::new()?;
    config.alpn_protocols = vec![args.protocol().into()];
    Ok(Arc::new(config))
}

/// One protocol, and only TLS versions that HTTP/2 allows; otherwise native-tls' defaults.
pub fn native_tls_acceptor(args: &Args) -> anyhow::Result<native_tls::TlsAcceptor> {
    let identity = native_tls::Identity::from_pkcs8(&fs::read(&args.cert)?, &fs::read(&args.key)?)?;
    Ok(native_tls::TlsAcceptor::builder(identity)
        .min_protocol_version(Some(native_tls::Protocol::Tlsv12))
        .accept_alpn(&[args.protocol()])
        .build()?)
}

/// One protocol; otherwise the recommendation for servers in crate openssl.
pub fn openssl_acceptor(args: &Args) -> anyhow::Result<SslAcceptorBuilder> {
    let list: &'static [u8] = if args.http1 {
        b"\x08http/1.1"
    } else {
        b"\x02h2"
    };
    let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server())?;
    acceptor.set_certificate_chain_file(&args.cert)?;
    acceptor.set_private_key_file(&args.key, SslFiletype::PEM)?;
    acceptor.set_alpn_select_callback(move |_, offered| {
        select_next_proto(list, offered).ok_or(AlpnError::ALERT_FATAL)
    });
    if args.tls12 {
        acceptor.set_max_proto_version(Some(SslVersion::TLS1_2))?;
    }
    Ok(acceptor)
}
