//! Peers that only make work: too many frames beside requests (`throttle.rs` counts them), too many
//! requests taken back.

use std::{
    cell::Cell,
    fmt,
    time::{Duration, Instant},
};

use super::context::ConnectionContext;
use crate::config::Http2Config;

/// What is counted in: a slow drip is no flood.
pub(super) const PERIOD: Duration = Duration::from_secs(10);

/// Frames that a request accounts for: its head in a few frames, a change of priority, the
/// acknowledgement of its response's bytes, a PING to see how long that took.
const PER_REQUEST: u32 = 8;

/// What requests and responses account for, since it was looked at last.
#[derive(Default)]
pub(super) struct FrameCredits {
    /// Frames that are not DATA.
    pub(super) accounted: Cell<u32>,
    pub(super) early_resets: Cell<u32>,
    pub(super) answered: Cell<u32>,
}

impl FrameCredits {
    pub(super) fn request(&self) {
        add(&self.accounted, PER_REQUEST);
    }

    /// Peers acknowledge what they read by WINDOW_UPDATE; some do it for each DATA frame. One that
    /// is short because their window is accounts for nothing: `whole` is what ends a piece of the
    /// handler's.
    pub(super) fn sent(&self, bytes: usize, whole: bool) {
        let frames = u32::try_from(bytes / 256).unwrap_or(u32::MAX);
        add(&self.accounted, frames.saturating_add(4 * u32::from(whole)));
    }

    pub(super) fn answered(&self) {
        add(&self.answered, 1);
    }

    pub(super) fn early_reset(&self) {
        add(&self.early_resets, 1);
    }
}

fn add(cell: &Cell<u32>, n: u32) {
    cell.set(cell.get().saturating_add(n));
}

/// What a peer does too much of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flood {
    Frames,
    Resets,
}

impl Flood {
    pub(super) fn tell(self, context: &ConnectionContext) {
        match self {
            Self::Frames => context.counters.frame_floods.add(),
            Self::Resets => context.counters.reset_floods.add(),
        }
        context.counters.floods.add();
        tracing::info!(peer = %context.info.peer_addr, why = %self, "a peer is told to calm down");
    }
}

/// h2 has limits of its own.
pub(super) fn note_flood(error: &h2::Error, context: &ConnectionContext) {
    if error.is_library() && error.reason() == Some(h2::Reason::ENHANCE_YOUR_CALM) {
        context.counters.floods.add();
        tracing::info!(peer = %context.info.peer_addr, why = %error, "a peer is told to calm down");
    }
}

impl fmt::Display for Flood {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Frames => "the peer sent too many frames beside requests",
            Self::Resets => "the peer reset too many requests before they were answered",
        })
    }
}

/// How far the requests that a peer resets are ahead of those that are answered, within a period.
pub(super) struct Resets {
    most: u32,
    ahead: u32,
    since: Instant,
}

impl Resets {
    pub(super) fn new(config: &Http2Config) -> Self {
        Self {
            most: config.max_early_resets,
            ahead: 0,
            since: Instant::now(),
        }
    }

    /// Looks at what has come since the last time. The clock is asked only where there is too much:
    /// mostly there is not.
    pub(super) fn are_too_many(&mut self, credits: &FrameCredits) -> bool {
        let more = credits.early_resets.take();
        self.ahead = self.ahead.saturating_add(more);
        self.ahead = self.ahead.saturating_sub(credits.answered.take());
        if self.ahead <= self.most {
            return false;
        }
        if self.since.elapsed() < PERIOD {
            return true;
        }
        self.ahead = 0;
        self.since = Instant::now();
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resets(most: u32) -> Resets {
        let config = Http2Config {
            max_early_resets: most,
            ..Http2Config::default()
        };
        Resets::new(&config)
    }

    #[test]
    fn resets_are_set_off_by_answers() {
        let mut resets = resets(10);
        let credits = FrameCredits::default();
        for _ in 0..1000 {
            credits.early_reset();
            credits.answered();
            assert!(!resets.are_too_many(&credits));
        }
        (0..11).for_each(|_| credits.early_reset());
        assert!(resets.are_too_many(&credits));
    }

    #[test]
    fn a_new_period_forgives() {
        let mut resets = resets(10);
        let credits = FrameCredits::default();
        resets.since = Instant::now().checked_sub(PERIOD).expect("up for as long");
        (0..11).for_each(|_| credits.early_reset());
        assert!(!resets.are_too_many(&credits));
        (0..11).for_each(|_| credits.early_reset());
        assert!(resets.are_too_many(&credits));
    }
}
