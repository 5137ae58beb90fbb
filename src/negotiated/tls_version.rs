//! Versions of TLS.

use std::fmt;

/// A version of TLS, by its number on the wire.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TlsVersion(pub u16);

impl TlsVersion {
    /// TLS 1.2, RFC 5246.
    pub const TLS_1_2: Self = Self(0x0303);
    /// TLS 1.3, RFC 8446.
    pub const TLS_1_3: Self = Self(0x0304);
}

impl fmt::Display for TlsVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            // corelane does not speak these two; servers that the prober tests may.
            Self(0x0301) => f.write_str("TLS 1.0"),
            Self(0x0302) => f.write_str("TLS 1.1"),
            Self::TLS_1_2 => f.write_str("TLS 1.2"),
            Self::TLS_1_3 => f.write_str("TLS 1.3"),
            Self(other) => write!(f, "TLS version {other:#06x}"),
        }
    }
}

impl fmt::Debug for TlsVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_have_their_usual_names() {
        for (version, name) in [
            (TlsVersion::TLS_1_3, "TLS 1.3"),
            (TlsVersion(0x0301), "TLS 1.0"),
            (TlsVersion(0x7f1c), "TLS version 0x7f1c"),
        ] {
            assert_eq!(version.to_string(), name);
        }
    }
}
