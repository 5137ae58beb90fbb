//! Makes a TLS session and a socket into what HTTP/2 wants: one byte stream to read and write.

mod handshake;
mod protocol_sniff;
mod proxy_header;
mod read_budget;
mod stream;
mod traffic;
mod wire;

#[cfg(any(test, fuzzing))]
pub(crate) use self::proxy_header::parse as parse_proxy_header;
pub use self::stream::TlsStream;
pub(crate) use self::{
    handshake::{Accepted, Failed, accept, accept_behind},
    proxy_header::{ProxyHeader, read_proxy_header},
};
