//! The code that the fuzz targets share.

mod frames;

pub use self::frames::{Frame, Request, Stream};

use std::{
    io::ErrorKind,
    sync::{Arc, LazyLock},
};

use bytes::BufMut;
use corelane::tls::{TlsAcceptor, TlsVersion};
use corelane_backend_tests::session::{Client, Pair, Peer, Step, failure_is_final};
use corelane_test_support::Backend;
use libfuzzer_sys::arbitrary::{Arbitrary, Unstructured};

/// An acceptor for all inputs: it takes longer to make than a handshake does.
pub type Acceptor = LazyLock<Arc<dyn TlsAcceptor>>;

/// Reads an input: the number of sizes, the sizes of the pieces, and the bytes to cut into pieces.
pub fn sizes_and_bytes(input: &[u8]) -> (Vec<usize>, &[u8]) {
    let Some((&n, rest)) = input.split_first() else {
        return (Vec::new(), input);
    };
    let (sizes, bytes) = rest.split_at(usize::from(n % 8).min(rest.len()));
    (sizes.iter().map(|&size| size.into()).collect(), bytes)
}

/// A session that gets these bytes and no others fails or waits, and does not panic.
pub fn ciphertext(acceptor: &dyn TlsAcceptor, pieces: &[&[u8]]) {
    // The session starts for a client that then sends something else.
    let client = Client::new(Peer::Tls(TlsVersion::TLS_1_2));
    let Pair {
        mut session,
        mut wire,
        ..
    } = Pair::begin(acceptor, client);
    wire.incoming.clear();
    for piece in pieces {
        wire.incoming.extend(*piece);
        if let Err(error) = session.handshake(&mut wire)
            && error.kind() != ErrorKind::WouldBlock
        {
            break;
        }
    }
    wire.ended = true;
    let error = session
        .handshake(&mut wire)
        .expect_err("the keys are unknown");
    assert!(matches!(
        error.kind(),
        ErrorKind::InvalidData | ErrorKind::UnexpectedEof
    ));
    session.flush(&mut wire).expect("there is room");
    assert!(!session.wants_flush());
    // In an order that the contract does not allow.
    session.negotiated();
    let read = session.read(&mut wire, &mut Vec::new().limit(100));
    assert!(!matches!(read, Ok(1..)), "{read:?}");
}

/// Steps of a session, with and without the handshake before them.
#[derive(Debug, Arbitrary)]
pub struct Steps {
    open: bool,
    tls_1_2: bool,
    steps: Vec<Step>,
}

pub fn session(backend: Backend, acceptor: &dyn TlsAcceptor, input: &[u8]) {
    let Ok(Steps {
        open,
        tls_1_2,
        steps,
    }) = Steps::arbitrary_take_rest(Unstructured::new(input))
    else {
        return;
    };
    let version = match backend.tls_1_3 && !tls_1_2 {
        true => TlsVersion::TLS_1_3,
        false => TlsVersion::TLS_1_2,
    };
    let handshake = [Step::Handshake, Step::ClientTurns].into_iter().cycle();
    let before = if open { 5 } else { 0 };
    let steps: Vec<_> = handshake.take(before).chain(steps).collect();
    failure_is_final(acceptor, Peer::Tls(version), &steps);
}
