//! Counts the bytes of a connection.

use std::sync::Arc;

use crate::counters::Counters;

/// Counts the bytes of a connection. The worker's counters get the bytes of the handshake when it
/// is complete.
pub(super) enum Traffic {
    /// Before the handshake is complete.
    Pending {
        received: usize,
        sent: usize,
    },
    Counted(Arc<Counters>),
}

impl Traffic {
    pub(super) fn moved(&mut self, bytes_received: usize, bytes_sent: usize) {
        match self {
            Self::Pending { received, sent } => {
                *received += bytes_received;
                *sent += bytes_sent;
            }
            Self::Counted(counters) => {
                counters.bytes_received.add_many(bytes_received);
                counters.bytes_sent.add_many(bytes_sent);
            }
        }
    }

    pub(super) fn count(&mut self, counters: &Arc<Counters>) {
        let before = std::mem::replace(self, Self::Counted(Arc::clone(counters)));
        if let Self::Pending { received, sent } = before {
            self.moved(received, sent);
        }
    }
}
