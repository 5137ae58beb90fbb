//! What a backend gets of an identity.

use std::fmt;

use super::identity::{Identity, Source};
use crate::error::Error;

/// The bytes of an [`Identity`], of which nothing is parsed but the PEM around them. A backend returns
/// [`Error::unsupported`] for a form that its library cannot read.
///
/// They contain the private key: neither log nor print them.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub enum IdentityContents<'a> {
    /// From PEM.
    #[non_exhaustive]
    Pem {
        /// The certificates in DER, the server's own one first. There is at least one.
        chain: &'a [Vec<u8>],
        /// The private key in DER: PKCS#8, SEC1 or PKCS#1, which differ in their structure. It may
        /// belong to another certificate.
        key: &'a [u8],
    },
    /// A PKCS#12 file (RFC 7292).
    #[non_exhaustive]
    Pkcs12 {
        /// The file.
        der: &'a [u8],
        /// Its password, which may be empty.
        password: &'a str,
    },
}

/// Never shows the key.
impl fmt::Debug for IdentityContents<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pem { .. } => "IdentityContents(PEM)",
            Self::Pkcs12 { .. } => "IdentityContents(PKCS#12)",
        })
    }
}

impl Identity {
    /// The bytes of the identity, for a TLS library. For implementors of
    /// [`TlsAcceptor`](super::TlsAcceptor).
    pub fn contents(&self) -> IdentityContents<'_> {
        match &self.source {
            Source::Pem { chain, key } => IdentityContents::Pem {
                chain,
                key: key.der.expose(),
            },
            Source::Pkcs12 { der, password } => IdentityContents::Pkcs12 {
                der: der.expose(),
                password: password.expose(),
            },
        }
    }

    /// Puts the files that the identity was read from before the message of an error about their
    /// contents. For implementors of [`TlsAcceptor`](super::TlsAcceptor).
    #[must_use]
    pub fn locate(&self, error: Error) -> Error {
        match (&self.file, &self.key_file) {
            (Some(file), Some(key)) => error.at(&format!(
                "certificate {}, key {}",
                file.display(),
                key.display()
            )),
            (Some(file), None) => error.at(&format!("certificate {}", file.display())),
            (None, _) => error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_are_those_of_the_source_and_are_never_shown() {
        let made = rcgen::generate_simple_self_signed([]).expect("a certificate");
        let key = made.signing_key.serialize_pem();
        let identity = Identity::from_pem(made.cert.pem(), key).expect("PEM");
        let IdentityContents::Pem { chain, key } = identity.contents() else {
            panic!("{identity:?}");
        };
        assert_eq!(chain, [made.cert.der().to_vec()]);
        assert_eq!(key, made.signing_key.serialize_der());
        let shown = format!("{:?}", identity.contents());
        assert_eq!(shown, "IdentityContents(PEM)");
        let identity = Identity::from_pkcs12([1, 2, 3], "hunter2");
        let IdentityContents::Pkcs12 { der, password } = identity.contents() else {
            panic!("{identity:?}");
        };
        assert_eq!((der, password), (&[1, 2, 3][..], "hunter2"));
        let shown = format!("{:?}", identity.contents());
        assert_eq!(shown, "IdentityContents(PKCS#12)");
    }
}
