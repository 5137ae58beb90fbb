//! Stops reading from peers that send more frames than their requests allow for.

use std::time::{Duration, Instant};

use super::{
    frame_heads::{FrameHeads, Head},
    token_bucket::TokenBucket,
};
use crate::{buffer::Buffer, config::Http2Config};

/// Sits between the transport and the engine, and stops reading after the frame that exceeds the
/// limit.
///
/// Frames that are ahead of a peer's requests by more than a burst wait until the token bucket is
/// refilled. Meanwhile nothing is read, so that the kernel's window stops the peer and its frames are
/// no work here. Flow control bounds DATA, which counts only where it is empty or shorter than any
/// message.
pub(super) struct Throttle {
    heads: FrameHeads,
    /// SETTINGS that any peer sends: its own, and the acknowledgement of the server's.
    first_settings: u8,
    frames: TokenBucket,
    /// Short DATA, against DATA that is not: a message and its length may come in two frames.
    short_data: TokenBucket,
    /// DATA that takes more memory than its length, since the handlers last ran.
    small_data: u32,
    stopped: bool,
    /// Bytes that were read and have to wait.
    held: Buffer,
}

/// Whether frames pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ThrottleState {
    Open,
    /// Frames pass again, after they were stopped.
    Reopened,
    /// Frames pass again, after the handlers have run.
    HandlersFirst,
    /// Frames wait for this time.
    Closed(Duration),
    /// The peer has exceeded the limit.
    Flood,
}

/// The cost of SETTINGS after the first: each may change the windows of all streams, and no client
/// has reason to send many.
const SETTINGS_WEIGHT: u32 = 100;

/// The cost of empty DATA that does not end its stream: crate h2 accepts a hundred of them on a
/// connection, then ends it, which costs another handshake.
const EMPTY_DATA_WEIGHT: u32 = 100;

/// Bytes. No known protocol sends shorter messages in DATA: a message of gRPC begins with five bytes, a
/// frame of a WebSocket client with six.
const SHORTEST_MESSAGE: usize = 5;

/// Bytes. The number of unread DATA frames with fewer is bounded by
/// [`Http2Config::small_frames_budget`].
const SMALL_DATA: usize = 256;

/// Small DATA frames that pass before the handlers run: half of those that fit the smallest window.
/// Without this pause the handlers could not read between the messages of a client that sends
/// thousands at once.
const SMALL_DATA_AT_ONCE: u32 = 500;

impl Throttle {
    pub(super) fn new(config: &Http2Config) -> Self {
        Self {
            heads: FrameHeads::new(),
            first_settings: 2,
            frames: TokenBucket::new(config.max_extra_frames),
            short_data: TokenBucket::new(config.max_extra_frames),
            small_data: 0,
            stopped: false,
            held: Buffer::default(),
        }
    }

    /// Whether frames are stopped, so that the transport must not be read.
    pub(super) fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// How many of these bytes may pass. The caller gives the others to [`hold`](Self::hold).
    pub(super) fn pass(&mut self, bytes: &[u8]) -> usize {
        let mut rest = bytes;
        while let Some(head) = self.heads.next(&mut rest) {
            self.count(head);
            self.stopped = self.frames.is_empty()
                || self.short_data.is_empty()
                || self.small_data >= SMALL_DATA_AT_ONCE;
            if self.stopped {
                break;
            }
        }
        bytes.len() - rest.len()
    }

    /// Keeps bytes that may not pass yet.
    pub(super) fn hold(&mut self, bytes: &[u8]) {
        self.held.extend(bytes);
    }

    /// Gives to `take` as many of the held bytes as may pass now, at most `room`. They precede
    /// newly read bytes.
    pub(super) fn take_held(&mut self, room: usize, take: impl FnOnce(&[u8])) {
        let held = std::mem::take(&mut self.held);
        let bytes = held.as_slice();
        let n = self.pass(&bytes[..room.min(bytes.len())]);
        take(&bytes[..n]);
        self.held = held;
        self.held.consume(n);
    }

    pub(super) fn has_held(&self) -> bool {
        !self.held.is_empty()
    }

    #[cfg(test)]
    pub(super) fn held(&self) -> &[u8] {
        self.held.as_slice()
    }

    fn count(&mut self, head: Head) {
        const DATA: u8 = 0;
        const END_STREAM: u8 = 1;
        const SETTINGS: u8 = 4;
        if head.kind == DATA && head.length < SMALL_DATA {
            self.small_data += 1;
        }
        match head.kind {
            // Each stream has one, but on a stream that was reset crate h2 ignores any number.
            DATA if head.flags & END_STREAM != 0 => self.frames.take(1),
            DATA if head.length == 0 => self.frames.take(EMPTY_DATA_WEIGHT),
            DATA if head.length < SHORTEST_MESSAGE => self.short_data.take(1),
            DATA => self.short_data.put_back(1),
            SETTINGS if self.first_settings == 0 => self.frames.take(SETTINGS_WEIGHT),
            SETTINGS => {
                self.first_settings -= 1;
                self.frames.take(1);
            }
            _ => self.frames.take(1),
        }
    }

    /// Puts back the tokens that requests earn, and returns whether frames pass. The clock is read
    /// only while they are stopped.
    pub(super) fn update(&mut self, credits: u32, now: fn() -> Instant) -> ThrottleState {
        let handlers_first = std::mem::take(&mut self.small_data) >= SMALL_DATA_AT_ONCE;
        self.frames.put_back(credits);
        if !self.stopped {
            return ThrottleState::Open;
        }
        let now = now();
        let wait = self.frames.refill(now).max(self.short_data.refill(now));
        // Short DATA may come from a harmless program that writes byte by byte: it is only delayed.
        if self.frames.is_flood() {
            return ThrottleState::Flood;
        }
        if let Some(wait) = wait {
            return ThrottleState::Closed(wait);
        }
        self.stopped = false;
        match handlers_first {
            true => ThrottleState::HandlersFirst,
            false => ThrottleState::Reopened,
        }
    }
}
