//! Tests `acme-tls/1` (RFC 8737): an acceptor that shows a certificate of its own to a client which offers this
//! protocol alone, on every backend. examples/acme does it by rustls' resolver.

use std::{convert::Infallible, io::Read, sync::Arc};

use corelane::{
    Error, ProtocolName, service_fn,
    tls::{Client, Identity, Start, TlsAcceptor, TlsConfig},
};
use corelane_test_support::{
    Backend, Drivers, TestServer,
    certs::{CERTIFICATE, identity},
    client::never,
    for_each_tls_backend, openssl_peer,
};
use openssl::ssl::SslVersion;
use rcgen::{CertificateParams, CustomExtension, KeyPair};

for_each_tls_backend!(challenge_certificate_is_for_acme_alone);

const ACME: ProtocolName = ProtocolName::from_static(b"acme-tls/1");

const PROTOCOLS: [ProtocolName; 2] = [ProtocolName::H2, ACME];

struct Challenging {
    usual: Arc<dyn TlsAcceptor>,
    challenge: Arc<dyn TlsAcceptor>,
}

impl TlsAcceptor for Challenging {
    fn backend(&self) -> &'static str {
        self.usual.backend()
    }

    fn alpn_protocols(&self) -> Option<Vec<ProtocolName>> {
        self.usual.alpn_protocols()
    }

    fn start(&self, client: &Client<'_>) -> Result<Start, Error> {
        let offer = client
            .client_hello
            .and_then(|hello| hello.alpn_protocols.as_deref());
        match offer {
            Some([name]) if *name == ACME => self.challenge.start(client),
            _ => self.usual.start(client),
        }
    }
}

/// An acceptor with a self-signed certificate that has a critical `acmeIdentifier`, and its DER.
fn challenge(backend: Backend) -> (Arc<dyn TlsAcceptor>, Vec<u8>) {
    let mut params = CertificateParams::new(["localhost".to_owned()]).expect("a name");
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(&[7; 32])];
    let key = KeyPair::generate().expect("a key");
    let made = params.self_signed(&key).expect("a certificate");
    #[cfg(feature = "rustls")]
    if backend.name == "rustls" {
        return (rustls_challenge(&made, &key), made.der().to_vec());
    }
    let identity = Identity::from_pem(made.pem(), key.serialize_pem()).expect("PEM");
    (acceptor(backend, identity), made.der().to_vec())
}

/// rustls reads the certificate of an identity, and refuses the critical extension.
#[cfg(feature = "rustls")]
fn rustls_challenge(certificate: &rcgen::Certificate, key: &KeyPair) -> Arc<dyn TlsAcceptor> {
    use rustls::{
        ServerConfig,
        crypto::aws_lc_rs::{default_provider, sign::any_ecdsa_type},
        pki_types::PrivateKeyDer,
        sign::{CertifiedKey, SingleCertAndKey},
    };

    let key = PrivateKeyDer::try_from(key.serialize_der()).expect("PKCS#8");
    let key = any_ecdsa_type(&key).expect("ECDSA");
    let certified = CertifiedKey::new(vec![certificate.der().clone()], key);
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider has them")
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
    config.alpn_protocols = PROTOCOLS.map(|name| name.as_bytes().to_vec()).to_vec();
    Arc::new(corelane::tls::RustlsAcceptor::from(Arc::new(config)))
}

fn acceptor(backend: Backend, identity: Identity) -> Arc<dyn TlsAcceptor> {
    let config = TlsConfig::new(identity).alpn_protocols(PROTOCOLS);
    (backend.make)(&config).expect("an acceptor")
}

fn challenge_certificate_is_for_acme_alone(backend: Backend) {
    let (challenge, der) = challenge(backend);
    let cases = [
        (b"\x0aacme-tls/1".as_slice(), ACME, &der),
        (b"\x0aacme-tls/1\x02h2", ProtocolName::H2, &CERTIFICATE.der),
        (b"\x02h2", ProtocolName::H2, &CERTIFICATE.der),
    ];
    for &driver in Drivers::all() {
        let challenging = Challenging {
            usual: acceptor(backend, identity()),
            challenge: Arc::clone(&challenge),
        };
        let options = |builder: corelane::Builder| {
            builder.protocol(ACME, |_stream, _authority| async {
                Ok::<_, Infallible>(())
            })
        };
        let server = TestServer::with(Arc::new(challenging), driver, options, |_| {
            service_fn(never)
        });
        let versions = [SslVersion::TLS1_2, SslVersion::TLS1_3];
        for version in versions.into_iter().take(1 + usize::from(backend.tls_1_3)) {
            for (offer, chosen, certificate) in &cases {
                let mut client = openssl_peer::handshake(server.addr, version, |client| {
                    client.set_alpn_protos(offer)
                })
                .expect("a handshake");
                let ssl = client.ssl();
                assert_eq!(ssl.selected_alpn_protocol(), Some(chosen.as_bytes()));
                let shown = ssl.peer_certificate().expect("sent").to_der().expect("DER");
                assert!(&shown == *certificate, "{offer:?}");
                if *chosen == ACME {
                    let mut rest = Vec::new();
                    client.read_to_end(&mut rest).expect("close_notify");
                    assert!(rest.is_empty());
                }
            }
        }
    }
}
