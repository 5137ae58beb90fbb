//! Authorities, the clients that they certify, and their revocation lists.

use std::sync::Arc;

use corelane::tls::ClientAuth;
use corelane_test_support::{client::Tls, visit::returning};
use openssl::x509::X509Crl;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertificateRevocationListParams,
    CrlDistributionPoint, CrlIssuingDistributionPoint, CrlScope, DnType, IsCa, Issuer, KeyIdMethod,
    KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber, date_time_ymd,
};
use rustls::{
    ClientConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
    sign::{CertifiedKey, SingleCertAndKey},
};

/// A list that `openssl ca -gencrl` made without crl_extensions.
pub const LIST_OF_VERSION_1: &str = "\
-----BEGIN X509 CRL-----\n\
MIGbMEMwCgYIKoZIzj0EAwIwFzEVMBMGA1UEAwwMaW50ZXJtZWRpYXRlFw0yNjEx\n\
MzAwMTU3NTRaFw0yNjEyMzAwMTU3NTRaMAoGCCqGSM49BAMCA0gAMEUCIQD3tEt/\n\
VIeF0TxgrGcVU4+1ZzfniDMxXInj0V3ehVK0JwIgF4hknwOO3rHyNeJTjIWgNZAp\n\
bQd4dpfwT70zj726XG8=\n\
-----END X509 CRL-----\n\
";

/// An authority that issues certificates to clients.
pub struct Authority {
    pub issuer: Issuer<'static, KeyPair>,
    pub certificate: Certificate,
}

/// A client's certificate and key.
pub struct Client {
    pub certificate: Certificate,
    pub key: KeyPair,
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let (params, key) = parameters(name, |_| {});
        let certificate = params.self_signed(&key).expect("a certificate");
        Self {
            issuer: Issuer::new(params, key),
            certificate,
        }
    }

    /// An authority that this one certifies.
    pub fn below(&self, name: &str) -> Self {
        self.below_with(name, |_| {})
    }

    pub fn below_with(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let (params, key) = parameters(name, change);
        let certificate = params.signed_by(&key, &self.issuer).expect("issued");
        Self {
            issuer: Issuer::new(params, key),
            certificate,
        }
    }

    pub fn issue(&self, serial: u64, change: impl FnOnce(&mut CertificateParams)) -> Client {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new([]).expect("parameters");
        params.serial_number = Some(serial.into());
        change(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).expect("issued");
        Client { certificate, key }
    }

    pub fn der(&self) -> CertificateDer<'static> {
        self.certificate.der().clone()
    }

    pub fn revoke(&self, serials: &[u64], until: i32) -> String {
        self.revoke_from(2024, serials, until)
    }

    pub fn revoke_from(&self, from: i32, serials: &[u64], until: i32) -> String {
        let revoked = |&serial: &u64| RevokedCertParams {
            serial_number: SerialNumber::from(serial),
            revocation_time: date_time_ymd(2024, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        self.sign(CertificateRevocationListParams {
            this_update: date_time_ymd(from, 1, 1),
            next_update: date_time_ymd(until, 1, 1),
            crl_number: 1.into(),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        })
    }

    /// A list for the certificates of this distribution point, which revokes none.
    pub fn list_for(&self, point: CrlDistributionPoint, scope: Option<CrlScope>) -> String {
        self.sign(CertificateRevocationListParams {
            this_update: date_time_ymd(2024, 1, 1),
            next_update: date_time_ymd(4000, 1, 1),
            crl_number: 1.into(),
            issuing_distribution_point: Some(CrlIssuingDistributionPoint {
                distribution_point: point,
                scope,
            }),
            revoked_certs: Vec::new(),
            key_identifier_method: KeyIdMethod::Sha256,
        })
    }

    fn sign(&self, list: CertificateRevocationListParams) -> String {
        let signed = list.signed_by(&self.issuer).expect("signed");
        signed.pem().expect("PEM")
    }

    /// A list whose extension crlNumber (RFC 5280 section 5.2.3) is changed to deltaCRLIndicator (section
    /// 5.2.4), which rcgen cannot make.
    pub fn delta(&self) -> String {
        let list = X509Crl::from_pem(self.revoke(&[], 4000).as_bytes());
        let mut der = list.and_then(|list| list.to_der()).expect("a list");
        let mut identifiers = der.windows(3);
        let number = identifiers.position(|bytes| bytes == [0x55, 0x1d, 20]);
        der[number.expect("an extension") + 2] = 27;
        let pem = X509Crl::from_der(&der).and_then(|list| list.to_pem());
        String::from_utf8(pem.expect("a list")).expect("ASCII")
    }

    pub fn auth(&self) -> ClientAuth {
        ClientAuth::from_pem(self.certificate.pem()).expect("PEM")
    }
}

fn parameters(
    name: &str,
    change: impl FnOnce(&mut CertificateParams),
) -> (CertificateParams, KeyPair) {
    let mut params = CertificateParams::new([]).expect("parameters");
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    change(&mut params);
    (params, KeyPair::generate().expect("a key"))
}

impl Client {
    pub fn der(&self) -> CertificateDer<'static> {
        self.certificate.der().clone()
    }

    pub fn config(&self, tls: Tls) -> Arc<ClientConfig> {
        config(tls, vec![self.der()], &self.key.serialize_der())
    }
}

/// A client that sends these certificates and signs with this key, PKCS#8.
pub fn config(tls: Tls, chain: Vec<CertificateDer<'static>>, key: &[u8]) -> Arc<ClientConfig> {
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.to_owned()));
    let key = aws_lc_rs::sign::any_supported_type(&key).expect("a key");
    let certified = CertifiedKey::new(chain, key);
    let mut config = returning(tls);
    config.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(certified));
    Arc::new(config)
}
