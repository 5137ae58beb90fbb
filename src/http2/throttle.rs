//! Holds back peers that send more frames than their requests account for.

use std::time::{Duration, Instant};

use super::{
    flood_guard::PERIOD,
    frame_heads::{FrameHeads, Head},
};
use crate::{buffer::Buffer, config::Http2Config};

/// Stands between the transport and h2, and stops behind the frame that is one too many.
///
/// What is ahead of a peer's requests by more than a burst is not read until time has made up for it:
/// the kernel's window holds the peer back, and what it does not get rid of is no work here. DATA is
/// bounded by flow control, so that it counts only where it is empty or shorter than any message.
pub(super) struct Throttle {
    heads: FrameHeads,
    /// SETTINGS that any peer sends: its own, and that it has seen ours.
    first_settings: u8,
    frames: TokenBucket,
    /// Short DATA beyond those that are not: a message and its length may come in two frames.
    short_data: TokenBucket,
    /// DATA that h2 has to account for by more than its length, since the handlers had their turn.
    small_data: u32,
    stopped: bool,
    /// What was read and has to wait.
    held: Buffer,
}

/// Whether frames pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ThrottleState {
    Open,
    /// Again, after they had been stopped.
    Reopened,
    /// Again, once the handlers have had their turn.
    HandlersFirst,
    /// Not for so long.
    Closed(Duration),
    /// The peer went on regardless, past the limit.
    Flood,
}

/// What SETTINGS count for behind the first: each may change the windows of all streams, and no
/// client has reason to send many.
const SETTINGS_WEIGHT: u32 = 100;

/// What DATA without content counts for that does not end its stream: h2 takes a hundred of them in a
/// connection's life, and then it costs another handshake.
const EMPTY_DATA_WEIGHT: u32 = 100;

/// Bytes. DATA with fewer carries nothing that there is a protocol for: a message of gRPC has a head
/// of so many, one of WebSocket six from a client.
const SHORTEST_MESSAGE: usize = 5;

/// Bytes. Of DATA with fewer h2 takes so many without a handler that reads them: see
/// [`Http2Config::small_frames_budget`].
const SMALL_DATA: usize = 256;

/// Small DATA that passes before the handlers have their turn: half of what the smallest window leaves
/// room for. A client that sends messages by the thousand gives them no other occasion.
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

    /// While they are stopped the transport is not to be read.
    pub(super) fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// How many of these bytes may pass. The others are to be given to [`hold`](Self::hold).
    pub(super) fn pass(&mut self, bytes: &[u8]) -> usize {
        let mut rest = bytes;
        while let Some(head) = self.heads.next(&mut rest) {
            self.count(head);
            self.stopped = self.frames.is_used_up()
                || self.short_data.is_used_up()
                || self.small_data >= SMALL_DATA_AT_ONCE;
            if self.stopped {
                break;
            }
        }
        bytes.len() - rest.len()
    }

    /// Keeps what may not pass yet.
    pub(super) fn hold(&mut self, bytes: &[u8]) {
        self.held.extend(bytes);
    }

    /// Of what had to wait, as much as may pass by now and is at most `room`: it comes before all that
    /// is read.
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

    fn count(&mut self, head: Head) {
        const DATA: u8 = 0;
        const END_STREAM: u8 = 1;
        const SETTINGS: u8 = 4;
        if head.kind == DATA && head.length < SMALL_DATA {
            self.small_data += 1;
        }
        match head.kind {
            // Each stream has one of them, but h2 lets pass any number on one that it has reset.
            DATA if head.flags & END_STREAM != 0 => self.frames.add(1),
            DATA if head.length == 0 => self.frames.add(EMPTY_DATA_WEIGHT),
            DATA if head.length < SHORTEST_MESSAGE => self.short_data.add(1),
            DATA => self.short_data.take_off(1),
            SETTINGS if self.first_settings == 0 => self.frames.add(SETTINGS_WEIGHT),
            SETTINGS => {
                self.first_settings -= 1;
                self.frames.add(1);
            }
            _ => self.frames.add(1),
        }
    }

    /// What comes of what has passed, now that so many frames are accounted for. The clock is asked
    /// only where they were stopped: mostly they are not.
    pub(super) fn look(&mut self, accounted: u32, now: fn() -> Instant) -> ThrottleState {
        let handlers_first = std::mem::take(&mut self.small_data) >= SMALL_DATA_AT_ONCE;
        self.frames.take_off(accounted);
        if !self.stopped {
            return ThrottleState::Open;
        }
        let now = now();
        let wait = self.frames.look(now).max(self.short_data.look(now));
        // Short DATA may be an honest program that writes byte by byte: it is held back, no more.
        if self.frames.is_too_much() {
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

/// How far one count is ahead of another. Time makes up for it, as much in each period as may be in
/// one.
struct TokenBucket {
    /// Within a period.
    most: u32,
    /// So many may be ahead at once.
    burst: u32,
    /// Since `since`, what time has made up for included.
    ahead: u32,
    since: Instant,
    /// Up to here there is no need to look at the clock.
    mark: u32,
}

/// More than clients that mean no harm come up with at once: each stream that a browser may open taken
/// back, re-prioritised and its window opened.
const BURST: u32 = 1_000;

impl TokenBucket {
    /// A limit that is no more than a burst has nobody wait for what will be a flood all the same.
    fn new(most: u32) -> Self {
        let burst = most.min(BURST.max(most / 10));
        Self {
            most,
            burst,
            ahead: 0,
            since: Instant::now(),
            mark: burst,
        }
    }

    fn add(&mut self, n: u32) {
        self.ahead = self.ahead.saturating_add(n);
    }

    /// Nothing is saved up.
    fn take_off(&mut self, n: u32) {
        self.ahead = self.ahead.saturating_sub(n);
        self.mark = self.mark.saturating_sub(n).max(self.burst);
    }

    fn is_used_up(&self) -> bool {
        self.ahead > self.mark
    }

    fn is_too_much(&self) -> bool {
        self.ahead > self.most
    }

    /// How long it has to wait; `None`: it may go on up to a new mark.
    fn look(&mut self, now: Instant) -> Option<Duration> {
        let elapsed = now.saturating_duration_since(self.since).as_millis();
        let made_up = u128::from(self.most) * elapsed / PERIOD.as_millis();
        match u32::try_from(made_up) {
            Ok(made_up) if made_up < self.ahead => {
                self.mark = made_up.saturating_add(self.burst);
            }
            _ => {
                self.ahead = 0;
                self.since = now;
                self.mark = self.burst;
            }
        }
        if !self.is_used_up() {
            return None;
        }
        // A tenth more, so that there is something to wake up for.
        let wanted = self.ahead - self.mark + self.burst / 10;
        Some((PERIOD * wanted).checked_div(self.most).unwrap_or(PERIOD))
    }
}

#[cfg(test)]
#[path = "throttle_tests.rs"]
mod tests;
