//! The clients that make offers.

use std::fmt;

/// Which client makes an offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Client {
    /// rustls, with the cargo feature `rustls`.
    Rustls,
    /// OpenSSL under the system's policy, with the cargo feature `openssl`.
    Openssl,
    /// native-tls, with the cargo feature `native-tls`.
    NativeTls,
    /// A client that sends malformed ClientHellos and ends with the server's first answer.
    Raw,
}

impl Client {
    /// The clients that are compiled in, in the order in which they make their offers.
    pub fn compiled_in() -> Vec<Self> {
        [Self::Rustls, Self::Openssl, Self::NativeTls, Self::Raw]
            .into_iter()
            .filter(|client| match client {
                Self::Rustls => cfg!(feature = "rustls"),
                Self::Openssl => cfg!(feature = "openssl"),
                Self::NativeTls => cfg!(feature = "native-tls"),
                Self::Raw => true,
            })
            .collect()
    }
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rustls => "rustls",
            Self::Openssl => "openssl",
            Self::NativeTls => "native-tls",
            Self::Raw => "raw",
        })
    }
}
