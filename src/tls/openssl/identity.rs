//! Gives OpenSSL the certificate chain and the private key.

use openssl_ticket_keys::openssl::{
    error::ErrorStack,
    pkcs12::Pkcs12,
    pkey::{PKey, Private},
    ssl::SslContextBuilder,
    version,
    x509::X509,
};

use super::policy::BACKEND;
use crate::{
    error::Error,
    tls::{
        accepted_keys::AcceptedKeys,
        identity::{Identity, Source},
        security_level,
    },
};

/// The first version with ML-DSA, as OpenSSL_version_num(3) gives it.
const OPENSSL_3_5: i64 = 0x3050_0000;

/// # Errors
///
/// [`Error::is_config`] if OpenSSL cannot read them, the key belongs to another certificate, or the
/// system's policy forbids them.
pub(super) fn set(context: &mut SslContextBuilder, identity: &Identity) -> Result<(), Error> {
    let accepted = if version::number() >= OPENSSL_3_5 {
        AcceptedKeys::by_openssl_3_5(BACKEND)
    } else {
        AcceptedKeys::by_openssl(BACKEND)
    };
    identity.check(&accepted)?;
    let (chain, key) = match &identity.source {
        Source::Pem { chain, key } => {
            let chain: Result<_, _> = chain.iter().map(|der| X509::from_der(der)).collect();
            let chain: Vec<_> = chain.map_err(|error| {
                Error::config("OpenSSL cannot read the certificate").with_source(error)
            })?;
            if chain.first().is_some_and(|leaf| leaf.public_key().is_err()) {
                return Err(identity.unknown_key());
            }
            // OpenSSL's reasons say nothing to a user.
            let key = PKey::private_key_from_der(key.der.expose())
                .map_err(|_| Identity::damaged_key())?;
            (chain, key)
        }
        Source::Pkcs12 { der, password } => pkcs12(der.expose(), password.expose())?,
    };
    let mut chain = chain.into_iter();
    // Neither source has an empty chain.
    let leaf = chain
        .next()
        .ok_or_else(|| Error::config("there is no certificate"))?;
    let public = leaf.public_key().map_err(unusable)?;
    if !public.public_eq(&key) {
        return Err(identity.mismatch(""));
    }
    context.set_certificate(&leaf).map_err(unusable)?;
    for issuer in chain {
        context.add_extra_chain_cert(issuer).map_err(unusable)?;
    }
    context.set_private_key(&key).map_err(unusable)?;
    context.check_private_key().map_err(unusable)
}

fn unusable(error: ErrorStack) -> Error {
    security_level::refusal(&error.to_string()).unwrap_or_else(|| {
        Error::config("openssl cannot use this certificate with this key").with_source(error)
    })
}

fn pkcs12(der: &[u8], password: &str) -> Result<(Vec<X509>, PKey<Private>), Error> {
    let parsed = Pkcs12::from_der(der)
        .and_then(|file| file.parse2(password))
        .map_err(|error| {
            Error::config("the PKCS#12 file cannot be opened: check the password")
                .with_source(error)
        })?;
    let missing = |what: &str| Error::config(format!("the PKCS#12 file contains no {what}"));
    let key = parsed.pkey.ok_or_else(|| missing("private key"))?;
    let mut chain = vec![parsed.cert.ok_or_else(|| missing("certificate"))?];
    let issuers = parsed.ca.into_iter().flatten();
    // OpenSSL 1.1.1 gives them in reverse order.
    if version::number() >= 0x3000_0000 {
        chain.extend(issuers);
    } else {
        let issuers: Vec<_> = issuers.collect();
        chain.extend(issuers.into_iter().rev());
    }
    Ok((chain, key))
}
