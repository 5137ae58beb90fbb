//! The points at which a connection makes way for the others of its worker.

/// What a connection does next.
///
/// The connections of a worker that have new requests go through the phases together: each makes
/// way for the others between two phases. A small request runs through more code than the first
/// cache of a core holds. A connection that went through all phases alone would find none of the
/// code there that the one before it has used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Accepts requests, and lets handlers answer.
    Receive,
    /// Writes the answers to the transport.
    Write,
    /// Flushes the transport.
    Send,
}

/// How often a connection that does not make way goes through its parts in one poll. What handlers
/// answer in the first round is written in the second, and flushed after it.
pub(crate) const MAX_ROUNDS: usize = 2;

/// Bytes up to which a connection makes way before it flushes. More of them would have left the
/// cache by the time the others have written theirs.
const SMALL: usize = 4096;

impl Phase {
    /// `written`: bytes that wait for the flush.
    pub(crate) fn after_write(written: usize) -> Self {
        match written <= SMALL {
            true => Self::Send,
            false => Self::Receive,
        }
    }
}
