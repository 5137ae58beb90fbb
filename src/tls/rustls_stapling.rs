//! Makes rustls send the OCSP response of an identity while it is valid.

use std::sync::Arc;

use ::rustls::{
    server::{ClientHello, ResolvesServerCert},
    sign::{CertifiedKey, SingleCertAndKey},
};

use super::ocsp::OcspResponse;

pub(super) fn resolver(
    certified: CertifiedKey,
    response: Option<&OcspResponse>,
) -> Arc<dyn ResolvesServerCert> {
    let Some(response) = response else {
        return Arc::new(SingleCertAndKey::from(certified));
    };
    let stapled = CertifiedKey {
        ocsp: Some(response.der().to_owned()),
        ..certified.clone()
    };
    Arc::new(Stapling {
        stapled: Arc::new(stapled),
        plain: Arc::new(certified),
        response: response.clone(),
    })
}

#[derive(Debug)]
struct Stapling {
    stapled: Arc<CertifiedKey>,
    plain: Arc<CertifiedKey>,
    response: OcspResponse,
}

impl ResolvesServerCert for Stapling {
    fn resolve(&self, _client_hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(match self.response.is_current() {
            true => &self.stapled,
            false => &self.plain,
        }))
    }
}
