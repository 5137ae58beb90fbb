//! Authorities, the clients that they certify, and their revocation lists.

use std::{
    iter,
    sync::Arc,
    time::{Duration, SystemTime},
};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, IsCa, Issuer,
    KeyIdMethod, KeyPair, RevokedCertParams, SerialNumber, date_time_ymd,
};
use tokio_rustls::rustls::{
    ClientConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject},
    sign::{CertifiedKey, SingleCertAndKey},
};

use super::trusting::config;

/// An authority that issues certificates to clients.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) pem: String,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new([]).expect("parameters");
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).expect("a certificate").pem();
        Self {
            issuer: Issuer::new(params, key),
            pem,
        }
    }

    /// An authority that this one certifies.
    pub(crate) fn below(&self, name: &str) -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new([]).expect("parameters");
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.signed_by(&key, &self.issuer).expect("issued").pem();
        Self {
            issuer: Issuer::new(params, key),
            pem,
        }
    }

    /// A client with a certificate of this subject and serial number.
    pub(crate) fn client(&self, name: &str, serial: u64) -> Arc<ClientConfig> {
        let changed = |params: &mut CertificateParams| {
            params.serial_number = Some(serial.into());
            params.distinguished_name = rcgen::DistinguishedName::new();
            params.distinguished_name.push(DnType::CommonName, name);
        };
        self.client_by(&config(b"h2"), changed, &[])
    }

    /// The same for a client of this configuration, which also sends the certificates of authorities.
    pub(crate) fn client_by(
        &self,
        client: &ClientConfig,
        change: impl FnOnce(&mut CertificateParams),
        more: &[&Self],
    ) -> Arc<ClientConfig> {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new([]).expect("parameters");
        change(&mut params);
        let issued = params.signed_by(&key, &self.issuer).expect("issued");
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let key = aws_lc_rs::sign::any_supported_type(&key).expect("a key");
        let more = more.iter().map(|authority| {
            CertificateDer::from_pem_slice(authority.pem.as_bytes()).expect("PEM")
        });
        let chain = iter::once(issued.der().clone()).chain(more).collect();
        let certified = CertifiedKey::new(chain, key);
        let mut client = client.clone();
        client.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(certified));
        Arc::new(client)
    }

    /// A list that ends in `left`, to the second.
    pub(crate) fn list(&self, serials: &[u64], left: Duration) -> String {
        let revoked = |&serial: &u64| RevokedCertParams {
            serial_number: SerialNumber::from(serial),
            revocation_time: date_time_ymd(2024, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let end = (now.expect("after 1970") + left).as_secs();
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2020, 1, 1),
            next_update: date_time_ymd(1970, 1, 1) + Duration::from_secs(end),
            crl_number: 1.into(),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = list.signed_by(&self.issuer).expect("signed");
        list.pem().expect("PEM")
    }
}
