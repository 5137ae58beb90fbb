//! Entry points for `fuzz/` and for tests of arbitrary input. Each takes bytes that a peer may
//! send, and panics if an invariant does not hold. A normal build does not contain them.

mod clock;
mod connection;
#[cfg(feature = "http1")]
mod http1;
#[cfg(feature = "http1")]
mod http1_answers;
mod proxy_header;
mod socket;
mod task;

pub use self::{
    connection::{ENGINES, connection},
    proxy_header::proxy_header,
    task::Step,
};
#[cfg(feature = "http1")]
pub use self::{
    http1::{http1, http1_in_pieces},
    http1_answers::Answer,
};

use crate::{
    error::Error,
    tls::{client_hello::ClientHello, client_hello_reader::ClientHelloReader},
};

/// Cuts `bytes` into pieces of the given sizes, repeatedly; without sizes into one piece.
pub fn pieces<'a>(mut bytes: &'a [u8], sizes: &[usize]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    for &size in sizes.iter().cycle() {
        if bytes.is_empty() {
            break;
        }
        let (piece, rest) = bytes.split_at(size.clamp(1, bytes.len()));
        pieces.push(piece);
        bytes = rest;
    }
    if !bytes.is_empty() {
        pieces.push(bytes);
    }
    pieces
}

/// Checks that the parsed ClientHello does not depend on the pieces in which it arrives, and that
/// every byte is returned for the replay.
pub fn client_hello(bytes: &[u8], sizes: &[usize]) {
    let (answer, taken) = read(pieces(bytes, sizes));
    assert_eq!(taken, bytes[..taken.len()], "what is replayed");
    let comparable = |answer: Result<Option<ClientHello>, Error>| {
        answer.map_err(|error| (error.alert(), error.to_string()))
    };
    assert_eq!(comparable(answer), comparable(read(vec![bytes]).0));
}

fn read(pieces: Vec<&[u8]>) -> (Result<Option<ClientHello>, Error>, Vec<u8>) {
    let mut reader = ClientHelloReader::default();
    for piece in pieces {
        match reader.push(piece) {
            Ok(None) => {}
            answer => return (answer, reader.into_received()),
        }
    }
    (Ok(None), reader.into_received())
}
