//! The client's certificate reaches a service of tonic, by an extension of the request.

use std::sync::Arc;

use corelane::{
    tls::{ClientAuth, TlsConfig},
    with_connection_info,
};
use corelane_test_support::{
    Backend, Drivers, TestServer,
    certs::identity,
    client::{Tls, deadline, rustls_config},
};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tokio_rustls::rustls::{
    ClientConfig,
    pki_types::{CertificateDer, PrivateKeyDer},
    sign::{CertifiedKey, SingleCertAndKey},
};
use tonic::service::Routes;

use super::{
    RUNTIME, connect_by,
    echo::{Client, Echo},
    text,
};

pub fn service_sees_the_certificate_of_the_client(backend: Backend) {
    // The backend native-tls refuses the option, cleartext has no certificates.
    if !backend.tls || backend.name == "native-tls" {
        return;
    }
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new([]).expect("parameters");
    // Not the subject of the client's: it would seem to be its own issuer.
    params
        .distinguished_name
        .push(DnType::CommonName, "clients");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = params.self_signed(&key).expect("a certificate");
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new([]).expect("parameters");
    let certificate = params.signed_by(&key, &issuer).expect("issued");
    let auth = ClientAuth::from_pem(authority.pem())
        .expect("PEM")
        .optional();
    let config = TlsConfig::new(identity()).client_auth(auth);
    let with = config_with(certificate.der().clone(), &key);
    let without = rustls_config(Tls::Any, &[b"h2"]);
    for &driver in Drivers::all() {
        let acceptor = (backend.make)(&config).expect("an acceptor");
        let service = with_connection_info(Routes::new(Echo));
        let options = |builder: corelane::Builder| builder.tokio(RUNTIME.handle().clone());
        let server = TestServer::with(acceptor, driver, options, move |_| service.clone());
        deadline(async {
            for (config, expected) in [
                (&with, certificate.der().len().to_string()),
                (&without, "none".to_owned()),
            ] {
                let channel = connect_by(Some(Arc::clone(config)), server.addr).await;
                let answer = Client::new(channel).unary("Certificate", text("")).await;
                assert_eq!(answer.expect("answered").into_inner(), expected);
            }
        });
    }
}

/// A client that sends this certificate.
fn config_with(certificate: CertificateDer<'static>, key: &KeyPair) -> Arc<ClientConfig> {
    let mut config = Arc::unwrap_or_clone(rustls_config(Tls::Any, &[b"h2"]));
    let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    let key = config.crypto_provider().key_provider.load_private_key(key);
    let certified = CertifiedKey::new(vec![certificate], key.expect("a key"));
    config.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(certified));
    Arc::new(config)
}
