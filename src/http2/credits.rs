//! Counts what requests and responses allow their peer to send.

use std::cell::Cell;

/// Frames that a request allows for: its head in a few frames, a change of priority, the
/// acknowledgement of its response's bytes, a PING to measure the round trip.
const PER_REQUEST: u32 = 8;

/// What requests and responses have added since the flood guard last took it.
#[derive(Default)]
pub(super) struct FrameCredits {
    /// Frames that are not DATA.
    frames: Cell<u32>,
    early_resets: Cell<u32>,
    answered: Cell<u32>,
}

impl FrameCredits {
    pub(super) fn request(&self) {
        add(&self.frames, PER_REQUEST);
    }

    /// Peers acknowledge data by WINDOW_UPDATE, some of them every DATA frame. A frame that is
    /// short because the peer's window is small earns no credit. `whole` says that the frame ends a
    /// piece of the handler's body.
    pub(super) fn sent(&self, bytes: usize, whole: bool) {
        let frames = u32::try_from(bytes / 256).unwrap_or(u32::MAX);
        add(&self.frames, frames.saturating_add(4 * u32::from(whole)));
    }

    pub(super) fn answered(&self) {
        add(&self.answered, 1);
    }

    /// The peer has reset a request before its response began.
    pub(super) fn early_reset(&self) {
        add(&self.early_resets, 1);
    }

    pub(super) fn take_frames(&self) -> u32 {
        self.frames.take()
    }

    pub(super) fn take_early_resets(&self) -> u32 {
        self.early_resets.take()
    }

    pub(super) fn take_answered(&self) -> u32 {
        self.answered.take()
    }
}

fn add(cell: &Cell<u32>, n: u32) {
    cell.set(cell.get().saturating_add(n));
}
