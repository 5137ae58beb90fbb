//! Which implementation of HTTP/2 serves a connection.

/// The implementation of HTTP/2 that serves a connection. Both keep the same limits; features.md in the repository
/// compares them. Set it by [`Builder::http2_engine`](crate::Builder::http2_engine).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Http2Engine {
    /// Crate h2, the default.
    #[default]
    H2,
    /// Crate corelane-http2. It needs fewer instructions for a request and less memory for a connection.
    #[cfg(feature = "http2-engine")]
    #[cfg_attr(docsrs, doc(cfg(feature = "http2-engine")))]
    Corelane,
}
