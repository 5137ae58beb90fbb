//! The I/O layer: from an accepted socket to a stream of plaintext that HTTP/2 reads and writes.

mod handshake;
mod protocol_sniff;
mod proxy_header;
mod read_budget;
mod receive;
mod stream;
mod traffic;
mod unread;
mod wire;

#[cfg(any(test, fuzzing))]
pub(crate) use self::handshake::accept;
#[cfg(any(test, fuzzing))]
pub(crate) use self::proxy_header::parse as parse_proxy_header;
pub use self::stream::TlsStream;
pub(crate) use self::{
    handshake::{Accepted, Failed, accept_after},
    proxy_header::read_proxy_header,
};
