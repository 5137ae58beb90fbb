//! The formats of the access log.

/// How the access log writes a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum AccessLogFormat {
    /// nginx's `combined`, in UTC. Status 499 stands for a response that was not sent completely.
    #[default]
    Combined,
    /// A JSON object: time, peer, method, path, status, bytes, duration, TLS and more.
    Json,
}
