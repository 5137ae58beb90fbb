//! Certificates for these tests, and a client that reports which one the server sent.

use std::{
    net::{SocketAddr, TcpStream},
    sync::LazyLock,
};

use corelane::tls::Identity;
use openssl::{
    pkey::PKey,
    rsa::Rsa,
    ssl::{HandshakeError, Ssl, SslContext, SslMethod, SslVerifyMode, SslVersion},
};

use corelane_test_support::client::DEADLINE;

pub struct Certificate {
    names: Vec<String>,
    pub der: Vec<u8>,
    pem: String,
    key: String,
}

/// Self-signed, with an ECDSA key on P-256.
pub fn certificate(names: &[&str]) -> Certificate {
    let key = rcgen::KeyPair::generate().expect("a key");
    made(names.iter().map(|&name| name.to_owned()).collect(), &key)
}

fn made(names: Vec<String>, key: &rcgen::KeyPair) -> Certificate {
    let params = rcgen::CertificateParams::new(names.clone()).expect("names");
    let made = params.self_signed(key).expect("a certificate");
    Certificate {
        names,
        der: made.der().to_vec(),
        pem: made.pem(),
        key: key.serialize_pem(),
    }
}

impl Certificate {
    /// A certificate for the same names, with an RSA key.
    pub fn with_rsa(self) -> Self {
        static KEY: LazyLock<String> = LazyLock::new(|| {
            let key = PKey::from_rsa(Rsa::generate(2048).expect("a key")).expect("a key");
            let pem = key.private_key_to_pem_pkcs8().expect("PKCS#8");
            String::from_utf8(pem).expect("PEM")
        });
        made(self.names, &rcgen::KeyPair::from_pem(&KEY).expect("a key"))
    }

    /// A certificate for the same names, with an EdDSA key.
    pub fn with_ed25519(self) -> Self {
        let key = PKey::generate_ed25519().expect("a key");
        let key = key.private_key_to_pem_pkcs8().expect("PKCS#8");
        let key = String::from_utf8(key).expect("PEM");
        made(self.names, &rcgen::KeyPair::from_pem(&key).expect("a key"))
    }

    pub fn identity(&self) -> Identity {
        Identity::from_pem(self.pem.as_str(), self.key.as_str()).expect("PEM")
    }
}

/// A client on OpenSSL, which asks for any name and offers the parameters that the test sets.
#[derive(Debug)]
pub struct Client {
    asks_for: Option<&'static str>,
    at_most: SslVersion,
    verifies: Option<&'static str>,
    suites: Option<&'static str>,
    groups: Option<&'static str>,
}

impl Client {
    /// Offers TLS 1.3 and 1.2, and OpenSSL's defaults otherwise.
    pub fn asking_for(name: Option<&'static str>) -> Self {
        Self {
            asks_for: name,
            at_most: SslVersion::TLS1_3,
            verifies: None,
            suites: None,
            groups: None,
        }
    }

    pub fn tls_1_2(mut self) -> Self {
        self.at_most = SslVersion::TLS1_2;
        self
    }

    /// Sets signature_algorithms.
    pub fn verifying(mut self, algorithms: &'static str) -> Self {
        self.verifies = Some(algorithms);
        self
    }

    /// Sets the cipher suites under TLS 1.2.
    pub fn suites(mut self, suites: &'static str) -> Self {
        self.suites = Some(suites);
        self
    }

    /// Sets supported_groups.
    pub fn groups(mut self, groups: &'static str) -> Self {
        self.groups = Some(groups);
        self
    }

    /// Completes a handshake. Returns the server's certificate as DER, or the number of the alert.
    pub fn connect(&self, addr: SocketAddr) -> Result<Vec<u8>, u8> {
        let mut context = SslContext::builder(SslMethod::tls_client()).expect("a client");
        context.set_verify(SslVerifyMode::NONE);
        let least = Some(SslVersion::TLS1_2);
        context.set_min_proto_version(least).expect("a version");
        let most = Some(self.at_most);
        context.set_max_proto_version(most).expect("a version");
        context.set_alpn_protos(b"\x02h2").expect("a list");
        if let Some(algorithms) = self.verifies {
            context.set_sigalgs_list(algorithms).expect("a list");
        }
        if let Some(suites) = self.suites {
            context.set_cipher_list(suites).expect("a list");
        }
        if let Some(groups) = self.groups {
            context.set_groups_list(groups).expect("a list");
        }
        let mut ssl = Ssl::new(&context.build()).expect("a session");
        if let Some(name) = self.asks_for {
            ssl.set_hostname(name).expect("a name");
        }
        let tcp = TcpStream::connect(addr).expect("connects");
        tcp.set_read_timeout(Some(DEADLINE)).expect("a time-out");
        match ssl.connect(tcp) {
            Ok(stream) => {
                let certificate = stream.ssl().peer_certificate().expect("sent");
                Ok(certificate.to_der().expect("DER"))
            }
            // OpenSSL reports a received alert as reason 1000 plus the alert's number.
            Err(HandshakeError::Failure(stream)) => {
                let error = stream.error();
                let reason = error.ssl_error().and_then(|stack| stack.errors().first());
                let alert =
                    reason.and_then(|reason| u8::try_from(reason.reason_code() - 1000).ok());
                Err(alert.unwrap_or_else(|| panic!("no alert but {error}")))
            }
            Err(error) => panic!("no handshake: {error}"),
        }
    }
}
