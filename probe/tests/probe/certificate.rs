//! A certificate for localhost, made once per test binary.

use std::sync::LazyLock;

use openssl::pkey::PKey;

pub struct Certificate {
    pub pem: String,
    pub der: Vec<u8>,
    /// PKCS#8, PEM.
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

impl Certificate {
    /// The key, PKCS#8, DER.
    pub fn key_der(&self) -> Vec<u8> {
        let key = PKey::private_key_from_pem(self.key.as_bytes()).expect("PEM");
        key.private_key_to_pkcs8().expect("PKCS#8")
    }
}
