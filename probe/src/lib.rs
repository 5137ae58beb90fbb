//! Offers ALPN to a server, any server, and reports what it chose (RFC 7301).
//!
//! Every [`Offer`] is made by every [`Client`] that can make it, on a connection of its own. What
//! the server answered stands in the rows of a [`Report`], with a verdict by RFC 7301, RFC 8446
//! and RFC 9113. Where `h2` is negotiated, it is spoken too, as to advertise HTTP/2 and not to
//! serve it is the commonest fault.
//!
//! In a test, [`assert_alpn`] does it all:
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = "127.0.0.1:8443".parse()?;
//! corelane::probe::assert_alpn(
//!     server,
//!     "localhost",
//!     &["h2", "http/1.1,h2=h2", "http/1.1=alert:120", "malformed=alert"],
//! );
//! # Ok(())
//! # }
//! ```
//!
//! This is the only place where a client is chosen at compile time: [`Client::Rustls`] by the
//! feature `probe-rustls`, [`Client::NativeTls`] by `probe-native-tls`; [`Client::Raw`] comes with
//! `probe`.

mod alerts;
mod connect;
mod expectation;
mod hello;
mod offer;
mod options;
mod raw;
mod recorder;
mod report;
mod rule_text;
mod run;
mod table;
mod verdict;
mod wire;

cfg_if::cfg_if! {
    if #[cfg(any(feature = "probe-rustls", feature = "probe-native-tls"))] {
        #[cfg(any(test, fuzzing))]
        #[doc(hidden)]
        pub mod fuzzing;
        mod handshake;
        mod http2;
        mod peer_text;
    }
}

cfg_if::cfg_if! {
    if #[cfg(feature = "probe-rustls")] {
        mod rustls;

        const RUSTLS: Compiled = Some(|trust| Ok(Box::new(self::rustls::Rustls::new(trust)?)));
    } else {
        const RUSTLS: Compiled = None;
    }
}

cfg_if::cfg_if! {
    if #[cfg(feature = "probe-native-tls")] {
        mod native_tls;

        const NATIVE_TLS: Compiled =
            Some(|trust| Ok(Box::new(self::native_tls::NativeTls::new(trust)?)));
    } else {
        const NATIVE_TLS: Compiled = None;
    }
}

pub use self::{
    alerts::alert_name,
    expectation::{Expectation, assert_alpn},
    offer::{Malformed, Offer},
    options::{ProbeOptions, TIMEOUT, Trust},
    report::{Client, Http2, Outcome, Report, Row, Verdict},
    run::{probe, probe_blocking},
};

use crate::error::Error;

/// Makes a client, if it is compiled in.
type Compiled = Option<fn(&Trust) -> Result<Box<dyn connect::Library>, Error>>;

impl Client {
    /// Those that are there, in the order in which they are asked.
    pub fn compiled_in() -> Vec<Self> {
        [Self::Rustls, Self::NativeTls, Self::Raw]
            .into_iter()
            .filter(|client| client.compiled().is_some())
            .collect()
    }

    fn compiled(self) -> Compiled {
        match self {
            Self::Rustls => RUSTLS,
            Self::NativeTls => NATIVE_TLS,
            Self::Raw => Some(|_| Ok(Box::new(raw::Raw))),
        }
    }
}
