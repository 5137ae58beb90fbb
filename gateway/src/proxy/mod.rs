//! A reverse proxy.

/// A server to which requests are forwarded.
#[derive(Clone, Debug)]
pub struct Upstream {}

/// Forwards requests to upstreams.
#[derive(Clone, Debug)]
pub struct Proxy {}
