//! A self-signed certificate for localhost, made in memory by the crypto library of the build.
#![cfg(any(feature = "rustls", feature = "native-tls", feature = "openssl"))]

use corelane::Error;

/// PEM.
pub(crate) struct SelfSigned {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

cfg_if::cfg_if! {
    if #[cfg(any(feature = "native-tls", feature = "openssl"))] {
        use openssl::{
            asn1::{Asn1Integer, Asn1Time},
            bn::{BigNum, MsbOption},
            ec::{EcGroup, EcKey},
            error::ErrorStack,
            hash::MessageDigest,
            nid::Nid,
            pkey::PKey,
            x509::{
                X509, X509NameBuilder,
                extension::{BasicConstraints, ExtendedKeyUsage, SubjectAlternativeName},
            },
        };

        pub(crate) fn make() -> Result<SelfSigned, Error> {
            with_openssl().map_err(|error| {
                Error::config(format!("OpenSSL cannot make a certificate: {error}"))
            })
        }

        fn with_openssl() -> Result<SelfSigned, ErrorStack> {
            const DAYS: u32 = 365;
            let key = PKey::from_ec_key(EcKey::generate(
                &*EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?,
            )?)?;
            let mut name = X509NameBuilder::new()?;
            name.append_entry_by_nid(Nid::COMMONNAME, "localhost")?;
            let name = name.build();
            let mut serial = BigNum::new()?;
            serial.rand(127, MsbOption::MAYBE_ZERO, false)?;
            let mut builder = X509::builder()?;
            builder.set_version(2)?;
            builder.set_serial_number(&*Asn1Integer::from_bn(&serial)?)?;
            builder.set_subject_name(&name)?;
            builder.set_issuer_name(&name)?;
            builder.set_not_before(&*Asn1Time::days_from_now(0)?)?;
            builder.set_not_after(&*Asn1Time::days_from_now(DAYS)?)?;
            builder.set_pubkey(&key)?;
            builder.append_extension(BasicConstraints::new().build()?)?;
            builder.append_extension(ExtendedKeyUsage::new().server_auth().build()?)?;
            let names = SubjectAlternativeName::new()
                .dns("localhost")
                .ip("127.0.0.1")
                .ip("::1")
                .build(&builder.x509v3_context(None, None))?;
            builder.append_extension(names)?;
            builder.sign(&key, MessageDigest::sha256())?;
            Ok(SelfSigned {
                certificate: String::from_utf8_lossy(&builder.build().to_pem()?).into_owned(),
                key: String::from_utf8_lossy(&key.private_key_to_pem_pkcs8()?).into_owned(),
            })
        }
    } else if #[cfg(any(feature = "aws-lc-rs", feature = "ring"))] {
        pub(crate) fn make() -> Result<SelfSigned, Error> {
            let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
            let made = rcgen::generate_simple_self_signed(names)
                .map_err(|error| Error::config(format!("rcgen cannot make a certificate: {error}")))?;
            Ok(SelfSigned {
                certificate: made.cert.pem(),
                key: made.signing_key.serialize_pem(),
            })
        }
    } else {
        pub(crate) fn make() -> Result<SelfSigned, Error> {
            Err(Error::config(
                "cannot make a self-signed certificate without a crypto provider: use --cert and --key, \
                 or build with the feature aws-lc-rs or ring",
            ))
        }
    }
}
