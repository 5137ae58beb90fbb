//! Gives BoringSSL the certificate chain and the private key.

use boring::{
    error::ErrorStack,
    pkcs12::Pkcs12,
    pkey::{PKey, Private},
    ssl::SslContextBuilder,
    x509::X509,
};
use corelane::{
    Error,
    tls::{Identity, IdentityContents},
};

pub(crate) const BACKEND: &str = "boring";

/// # Errors
///
/// [`Error::is_config`] if BoringSSL cannot read them, or the key belongs to another certificate;
/// [`Error::is_unsupported`] if corelane has a form of identities that this version does not know.
pub(crate) fn set(context: &mut SslContextBuilder, identity: &Identity) -> Result<(), Error> {
    let (chain, key) = match identity.contents() {
        IdentityContents::Pem { chain, key, .. } => {
            let chain: Result<_, _> = chain.iter().map(|der| X509::from_der(der)).collect();
            let chain: Vec<_> = chain.map_err(|error| {
                Error::config("BoringSSL cannot read the certificate").with_source(error)
            })?;
            // BoringSSL's reasons say nothing to a user.
            let key = PKey::private_key_from_der(key).map_err(|_| {
                Error::config(
                    "BoringSSL cannot read the private key: it is damaged, PKCS#8 of version 2 (RFC \
                     5958), or of a kind that boring does not accept; it accepts RSA, ECDSA on P-224 to \
                     P-521 and Ed25519",
                )
            })?;
            (chain, key)
        }
        IdentityContents::Pkcs12 { der, password, .. } => pkcs12(der, password)?,
        _ => {
            return Err(Error::unsupported(
                BACKEND,
                "this form of certificates",
                "use PEM or PKCS#12",
            ));
        }
    };
    let mut chain = chain.into_iter();
    // Neither form has an empty chain.
    let leaf = chain
        .next()
        .ok_or_else(|| Error::config("there is no certificate"))?;
    let public = leaf.public_key().map_err(unusable)?;
    if !public.public_eq(&key) {
        return Err(Error::config(
            "the private key belongs to another certificate: give its own key; the server's own \
             certificate comes first in the chain",
        ));
    }
    context.set_certificate(&leaf).map_err(unusable)?;
    for issuer in chain {
        context.add_extra_chain_cert(issuer).map_err(unusable)?;
    }
    context.set_private_key(&key).map_err(unusable)?;
    context.check_private_key().map_err(unusable)
}

fn unusable(error: ErrorStack) -> Error {
    Error::config("BoringSSL cannot use this certificate with this key").with_source(error)
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
    chain.extend(parsed.ca.into_iter().flatten());
    Ok((chain, key))
}
