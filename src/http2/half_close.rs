//! Finds out whether a peer that has ended its side still reads.

use std::{
    io,
    task::{Context, Poll},
    time::Duration,
};

use tokio::io::AsyncWrite;

use super::transport::TransportHandle;
use crate::time::{Deadline, Timer};

/// How long nothing is sent to such a peer before a PING is, and how far apart the PINGs are. The
/// kernel of a peer that is gone answers the first one with a reset, so that the next one fails.
const PROBE: Duration = Duration::from_secs(1);

/// A connection whose peer has ended its side while requests are in flight (RFC 9293 section 3.6,
/// case 2).
///
/// A socket that its peer has closed altogether looks the same until something is sent. Without the
/// PINGs a handler that never answers would outlive its client.
pub(super) struct HalfClose {
    probe: Deadline,
}

impl HalfClose {
    pub(super) fn new(timer: Timer) -> Self {
        Self {
            probe: Deadline::new(timer, PROBE),
        }
    }

    /// Call it after a flush; `wrote` says whether that had something to send. Ready with an error
    /// when the peer is gone.
    pub(super) fn poll<IO: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        transport: &TransportHandle<IO>,
        wrote: bool,
    ) -> Poll<io::Result<()>> {
        if wrote {
            self.probe.progress();
        }
        while self.probe.poll_waiting(cx).is_ready() {
            self.probe.progress();
            if !transport.is_blocked() {
                transport.send_ping(cx)?;
            }
        }
        Poll::Pending
    }
}
