//! Which OpenSSL this process runs with.

use std::fmt;

use openssl_ticket_keys::{fips_provider, openssl::version};

/// The OpenSSL library that this process runs with, for logs: which one, and whether FIPS restricts it.
///
/// The backends openssl and native-tls use the same library. It reads its configuration, `openssl.cnf` or
/// the file of the environment variable `OPENSSL_CONF`, once per process, and so does not change later.
#[derive(Clone, Debug)]
pub struct OpensslLibrary {
    version: &'static str,
    fips_provider: Option<String>,
}

impl OpensslLibrary {
    /// Asks the library.
    pub fn in_use() -> Self {
        Self {
            version: version::version(),
            fips_provider: fips_provider(),
        }
    }

    /// The name, version and date of the library, such as `OpenSSL 3.0.19 27 Jan 2026`.
    pub fn version(&self) -> &str {
        self.version
    }

    /// The FIPS provider that all algorithms come from, such as `OpenSSL FIPS Provider 3.0.8`. `None`
    /// if the process also has algorithms that FIPS forbids, even with the provider loaded.
    pub fn fips_provider(&self) -> Option<&str> {
        self.fips_provider.as_deref()
    }
}

/// For example `OpenSSL 3.0.19 27 Jan 2026, FIPS provider active: OpenSSL FIPS Provider 3.0.8`.
impl fmt::Display for OpensslLibrary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.version)?;
        match &self.fips_provider {
            Some(provider) => write!(f, ", FIPS provider active: {provider}"),
            None => Ok(()),
        }
    }
}
