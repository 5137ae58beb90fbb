//! Certificates for the servers and clients of the rows, made once per process.

use std::sync::LazyLock;

use corelane::tls::Identity;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

/// A chain of an end-entity certificate and its issuers, and the key.
pub(crate) struct Certified {
    pub(crate) chain_der: Vec<Vec<u8>>,
    pub(crate) chain_pem: String,
    /// PKCS#8.
    pub(crate) key_pem: String,
    pub(crate) key_der: Vec<u8>,
}

impl Certified {
    pub(crate) fn identity(&self) -> Identity {
        Identity::from_pem(self.chain_pem.as_str(), self.key_pem.as_str()).expect("valid PEM")
    }
}

/// Issues certificates below an intermediate one.
struct Authority {
    intermediate: Issuer<'static, KeyPair>,
    chain: [rcgen::Certificate; 2],
}

static AUTHORITY: LazyLock<Authority> = LazyLock::new(|| {
    let params = |name: &str| {
        let mut params = CertificateParams::new([]).expect("no names");
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
    };
    let key = || KeyPair::generate().expect("a key");
    let root_key = key();
    let root = params("Backend tests root");
    let root_certificate = root.self_signed(&root_key).expect("signed");
    let root = Issuer::new(root, root_key);
    let (intermediate, intermediate_key) = (params("Backend tests intermediate"), key());
    let certificate = intermediate.signed_by(&intermediate_key, &root);
    Authority {
        intermediate: Issuer::new(intermediate, intermediate_key),
        chain: [certificate.expect("signed"), root_certificate],
    }
});

/// PEM of the root and the intermediate certificate.
pub(crate) fn authorities() -> String {
    let chain = &AUTHORITY.chain;
    format!("{}{}", chain[1].pem(), chain[0].pem())
}

fn issue(name: &str) -> Certified {
    let authority = &*AUTHORITY;
    let mut params = CertificateParams::new([name.to_owned()]).expect("a name");
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, name);
    let key = KeyPair::generate().expect("a key");
    let leaf = params.signed_by(&key, &authority.intermediate);
    let leaf = leaf.expect("signed");
    let intermediate = &authority.chain[0];
    Certified {
        chain_der: [&leaf, intermediate].map(|it| it.der().to_vec()).into(),
        chain_pem: format!("{}{}", leaf.pem(), intermediate.pem()),
        key_pem: key.serialize_pem(),
        key_der: key.serialize_der(),
    }
}

pub(crate) static LOCALHOST: LazyLock<Certified> = LazyLock::new(|| issue("localhost"));
pub(crate) static OTHER: LazyLock<Certified> = LazyLock::new(|| issue("other.example"));
pub(crate) static CLIENT: LazyLock<Certified> = LazyLock::new(|| issue("client.example"));

/// A client certificate of an authority that is not in [`authorities`].
pub(crate) static STRANGER: LazyLock<Certified> = LazyLock::new(|| {
    let made = rcgen::generate_simple_self_signed(["stranger.example".to_owned()]);
    let made = made.expect("a certificate");
    Certified {
        chain_der: vec![made.cert.der().to_vec()],
        chain_pem: made.cert.pem(),
        key_pem: made.signing_key.serialize_pem(),
        key_der: made.signing_key.serialize_der(),
    }
});
