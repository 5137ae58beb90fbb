//! How many bytes a connection has moved.

use std::sync::Arc;

use crate::counters::Counters;

/// Counted for the worker once the handshake is done; what came and went before that is added then.
pub(super) enum Traffic {
    Kept { received: usize, sent: usize },
    Counted(Arc<Counters>),
}

impl Traffic {
    pub(super) fn moved(&mut self, bytes_received: usize, bytes_sent: usize) {
        match self {
            Self::Kept { received, sent } => {
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
        if let Self::Kept { received, sent } = before {
            self.moved(received, sent);
        }
    }
}
