//! A certificate for localhost, made once per test binary.

use std::sync::LazyLock;

use corelane::tls::Identity;

pub struct Certificate {
    pub pem: String,
    pub der: Vec<u8>,
    /// PKCS#8.
    pub key: String,
}

pub static CERTIFICATE: LazyLock<Certificate> = LazyLock::new(|| {
    let names = ["localhost", "127.0.0.1"].map(str::to_owned);
    let made = rcgen::generate_simple_self_signed(names).expect("a certificate");
    Certificate {
        pem: made.cert.pem(),
        der: made.cert.der().to_vec(),
        key: made.signing_key.serialize_pem(),
    }
});

pub fn identity() -> Identity {
    Identity::from_pem(CERTIFICATE.pem.as_str(), CERTIFICATE.key.as_str()).expect("valid PEM")
}
