//! Requests that turn their connection or stream over to another protocol: Upgrade of HTTP/1.1 (RFC 9110
//! section 7.8), CONNECT (RFC 9110 section 9.3.6) and extended CONNECT of HTTP/2 (RFC 8441).
//!
//! `http1` and `http2` make an [`Offer`] of such a request, which gives the handler an `Upgrade`. When
//! the response accepts it, the offer becomes a [`Tunnel`], the connection's end of the `Upgraded` stream
//! that the handler gets. The two ends are joined in memory, so that the handler's may live on any thread.

#[cfg(not(feature = "upgrade"))]
mod disabled;
#[cfg(feature = "upgrade")]
mod handover;
#[cfg(feature = "upgrade")]
mod offer;
#[cfg(feature = "upgrade")]
mod request;
#[cfg(feature = "upgrade")]
mod stream;

#[cfg(not(feature = "upgrade"))]
pub(crate) use self::disabled::{Offer, Tunnel};
#[cfg(feature = "upgrade")]
pub(crate) use self::{offer::Offer, stream::Tunnel};
#[cfg(feature = "upgrade")]
pub use self::{request::Upgrade, stream::Upgraded};

/// Which requests can be upgraded.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Policy {
    /// Those that ask for another protocol.
    pub(crate) upgrades: bool,
    /// CONNECT without a protocol.
    pub(crate) connect: bool,
}

/// How a request asks for an upgrade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Means {
    /// By the fields `connection` and `upgrade` of HTTP/1.1.
    #[cfg_attr(
        not(feature = "http1"),
        allow(dead_code, reason = "HTTP/2 has no such field")
    )]
    Field,
    /// By CONNECT, with or without a protocol.
    Connect,
}
