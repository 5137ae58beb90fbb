use std::io::{self, ErrorKind, IoSlice};

use bytes::BufMut;
use corelane::tls::TlsAcceptor;

use super::{
    pair::{Pair, pattern},
    peer::{Client, Peer},
};

/// An event for a session.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[allow(missing_docs, reason = "the names say it")]
pub enum Step {
    Read(u16),
    Write(u16),
    Flush,
    ClientSends(u16),
    ClientTurns,
    Room(u16),
    AtOnce(u16),
    Handshake,
    CloseNotify,
    Negotiated,
    ClientCloses,
    ClientUpdatesKeys,
    Garbage(Vec<u8>),
    /// Flips a bit of the data in transit to the session.
    Flips(u16),
    /// Loses the first bytes of the data in transit.
    Loses(u16),
    Ends,
    Breaks(bool),
}

/// Performs a step, appends the data read, and returns how much was written.
///
/// # Errors
///
/// Those of the session.
pub fn take(pair: &mut Pair, step: &Step, read: &mut Vec<u8>, written: &[u8]) -> io::Result<usize> {
    let Pair {
        session,
        client,
        wire,
    } = pair;
    match step {
        // A read needs room for at least one byte.
        Step::Read(n) => drop(session.read(wire, &mut read.limit((*n).max(1).into()))?),
        Step::Write(_) => return session.write(wire, &[IoSlice::new(written)]),
        Step::Flush => session.flush(wire)?,
        Step::Handshake => session.handshake(wire)?,
        Step::CloseNotify => session.send_close_notify(),
        Step::Negotiated => drop(session.negotiated()),
        Step::ClientSends(_) => client.send(written, wire),
        Step::ClientTurns => client.turn(wire),
        Step::ClientCloses => client.leave(wire),
        Step::ClientUpdatesKeys => client.update_keys(wire),
        Step::Room(n) => wire.room = (*n).into(),
        Step::AtOnce(n) => wire.at_once = (*n).into(),
        Step::Garbage(bytes) => wire.incoming.extend(bytes),
        Step::Flips(at) => {
            let at = usize::from(*at).checked_rem(wire.incoming.len());
            at.map(|at| wire.incoming[at] ^= 1).unwrap_or_default();
        }
        Step::Loses(n) => {
            let n = usize::from(*n).min(wire.incoming.len());
            drop(wire.incoming.drain(..n));
        }
        Step::Ends => wire.ended = true,
        Step::Breaks(broken) => wire.broken = *broken,
    }
    Ok(0)
}

/// Performs the steps with a client that starts a handshake on its own.
///
/// # Panics
///
/// If a call panics, or a session that failed succeeds afterwards.
pub fn failure_is_final(acceptor: &dyn TlsAcceptor, peer: Peer, steps: &[Step]) {
    let plaintext = pattern(usize::from(u16::MAX));
    let mut pair = Pair::begin(acceptor, Client::new(peer));
    let (mut received, mut open, mut failed) = (Vec::new(), false, false);
    for step in steps {
        let plaintext = match step {
            Step::Write(n) | Step::ClientSends(n) => &plaintext[..usize::from(*n)],
            _ => &[],
        };
        let result = take(&mut pair, step, &mut received, plaintext);
        let result = result.map_err(|error| error.kind());
        // Before the end of the handshake only its calls count, afterwards only the others. Data
        // from before the failure may still be read after a write reported the failure.
        let counts = match step {
            Step::Handshake => !open,
            Step::Read(_) | Step::Write(_) => open,
            _ => false,
        };
        if counts {
            let goes_on = matches!(result, Ok(_) | Err(ErrorKind::WouldBlock));
            assert!(
                !(failed && goes_on),
                "the session failed, and {step:?} returns {result:?}"
            );
            let told_by_write = matches!(step, Step::Write(_));
            failed |= result == Err(ErrorKind::InvalidData) && !told_by_write;
            open |= result.is_ok();
        }
    }
}
