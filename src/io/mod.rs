//! Makes a TLS session and a socket into what HTTP/2 wants: one byte stream to read and write.

mod handshake;
mod pace;
mod plain_http;
mod stream;
mod wire;

pub(crate) use self::handshake::{Accepted, Failed, accept};
pub use self::stream::TlsStream;
