//! Offers ALPN to a TLS server, any server, and reports what it chose (RFC 7301).
//!
//! Every [`Client`] makes every [`Offer`] that it can make, each on a new connection. The rows of
//! a [`Report`] hold the server's answers, each with a [`Verdict`] by RFC 7301, RFC 8446 and RFC
//! 9113. Where the server chooses `h2`, the prober also speaks HTTP/2: the most common fault is to
//! negotiate HTTP/2 and not to serve it.
//!
//! In a test, call [`assert_alpn`]:
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = "127.0.0.1:8443".parse()?;
//! corelane_probe::assert_alpn(
//!     server,
//!     "localhost",
//!     &["h2", "http/1.1,h2=h2", "http/1.1=alert:120", "malformed=alert"],
//! );
//! # Ok(())
//! # }
//! ```
//!
//! [`probe_blocking`] and, inside a monoio runtime, [`probe`] return the report as data.
//! [`CheckedReport`] checks a report against rules and writes it in a format for people or for
//! tools:
//!
//! ```no_run
//! use corelane_probe::{CheckedReport, Expectation, ProbeOptions, Trust, probe_blocking};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let rules: Vec<Expectation> = vec!["h2".parse()?, "http/1.1=alert:120".parse()?];
//! let mut options = ProbeOptions::default().trust(Trust::Any);
//! options.add_offers_of(&rules)?;
//! let report = probe_blocking("127.0.0.1:8443".parse()?, "localhost", &options)?;
//! CheckedReport::new(report, rules).write_junit(std::io::stdout())?;
//! # Ok(())
//! # }
//! ```
//!
//! # Cargo features
//!
//! The features `rustls`, `openssl` and `native-tls` compile in the clients of these names. rustls needs
//! a crypto provider, `aws-lc-rs` or `ring`; `openssl-vendored` and `native-tls-vendored` build an OpenSSL
//! of their own. The default is `aws-lc-rs`. [`Client::Raw`], which makes malformed offers, needs no feature.

#![forbid(unsafe_code)]
#![deny(missing_docs)]
#![warn(
    unreachable_pub,
    missing_debug_implementations,
    clippy::incompatible_msrv
)]
#![cfg_attr(
    not(test),
    warn(clippy::unwrap_used, clippy::expect_used, clippy::panic)
)]
// The raw client alone needs less of what the clients share.
#![cfg_attr(
    not(any(feature = "rustls", feature = "openssl", feature = "native-tls")),
    allow(dead_code)
)]

// The way of a run: `run` makes each `offer` by each client (`client`, `compiled`, `connect`; `rustls`,
// `openssl`, `native_tls` and `raw` implement it), `outcome` and `report` hold the answers, `judge` gives the
// verdicts, `checked` applies the rules (`expectation`, `rule_text`), `formats` writes the result.
mod alerts;
mod assert;
mod checked;
mod client;
mod client_hello;
mod compiled;
mod connect;
mod endpoint;
mod error;
mod expectation;
mod formats;
mod judge;
mod name_text;
mod note;
mod offer;
mod options;
mod outcome;
mod patience;
mod raw;
mod recorder;
mod registry;
mod report;
mod rule_text;
mod run;
mod server_hello;
mod server_name;
mod table;
mod wait;
mod wire;

cfg_if::cfg_if! {
    if #[cfg(any(feature = "rustls", feature = "openssl", feature = "native-tls"))] {
        #[cfg(any(test, fuzzing))]
        pub mod fuzzing;
        mod handshake;
        mod http2;
        mod peer_text;
        mod stream;
    }
}

cfg_if::cfg_if! {
    if #[cfg(any(feature = "openssl", feature = "native-tls"))] {
        mod openssl_reasons;
    }
}

cfg_if::cfg_if! {
    if #[cfg(feature = "rustls")] {
        mod rustls;
    }
}

cfg_if::cfg_if! {
    if #[cfg(feature = "openssl")] {
        mod openssl;
    }
}

cfg_if::cfg_if! {
    if #[cfg(feature = "native-tls")] {
        mod native_tls;
    }
}

pub use self::{
    alerts::alert_name,
    assert::assert_alpn,
    checked::{CheckResult, CheckedReport, CheckedRule, Violation},
    client::Client,
    endpoint::{AddressFamily, Endpoint},
    error::Error,
    expectation::Expectation,
    offer::{Malformed, Offer},
    options::{ClientCertificate, ProbeOptions, TIMEOUT, Trust},
    outcome::{Http2, Outcome},
    report::{CertificateFault, Report, Row, Verdict},
    run::{probe, probe_blocking},
    wait::probe_until_up,
};
