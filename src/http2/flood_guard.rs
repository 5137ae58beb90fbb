//! Throttles, and in the end disconnects, peers that only cause work: too many frames beside
//! requests, or too many requests that they reset.

use std::{fmt, task::Context, time::Instant};

use tokio::io::AsyncWrite;

use super::{
    context::ConnectionContext, credits::FrameCredits, throttle::ThrottleState,
    token_bucket::PERIOD, transport::TransportHandle,
};
use crate::{config::Http2Config, time::Sleep};

/// Watches one connection.
pub(super) struct FloodGuard {
    resets: EarlyResets,
    /// The connection reads nothing until then.
    pause: Option<Sleep>,
    /// Whether the throttling was counted.
    counted: bool,
    found: Option<Flood>,
}

/// What the connection does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The connection continues.
    Pass,
    /// The connection reads again, because the throttling has ended.
    Read,
    /// The connection closes with `ENHANCE_YOUR_CALM`.
    Close,
}

/// The kind of frames that exceeded a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flood {
    Frames,
    Resets,
}

impl FloodGuard {
    pub(super) fn new(config: &Http2Config) -> Self {
        Self {
            resets: EarlyResets::new(config),
            pause: None,
            counted: false,
            found: None,
        }
    }

    /// Why the connection is being closed, after [`Verdict::Close`].
    pub(super) fn found(&self) -> Option<Flood> {
        self.found
    }

    /// Checks the peer's frames and resets against their limits. Wakes the task when a throttled
    /// peer may continue. After [`Verdict::Close`] everything passes.
    pub(super) fn poll<IO: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        transport: &TransportHandle<IO>,
        context: &ConnectionContext,
    ) -> Verdict {
        if self.found.is_some() {
            return Verdict::Pass;
        }
        let flood = match self.poll_throttle(cx, transport, context) {
            ThrottleState::Reopened => return Verdict::Read,
            ThrottleState::Flood => Flood::Frames,
            ThrottleState::Open | ThrottleState::HandlersFirst | ThrottleState::Closed(_) => {
                if !self.resets.are_too_many(&context.credits) {
                    return Verdict::Pass;
                }
                Flood::Resets
            }
        };
        self.found = Some(flood);
        match flood {
            Flood::Frames => context.counters.frame_floods.add(),
            Flood::Resets => context.counters.reset_floods.add(),
        }
        report(context, &flood);
        Verdict::Close
    }

    fn poll_throttle<IO: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        transport: &TransportHandle<IO>,
        context: &ConnectionContext,
    ) -> ThrottleState {
        let timer = context.timer;
        loop {
            let state = transport.update_throttle(context.credits.take_frames(), timer.now);
            let ThrottleState::Closed(wait) = state else {
                self.pause = None;
                return state;
            };
            if !std::mem::replace(&mut self.counted, true) {
                context.counters.connections_held_back.add();
                tracing::debug!(peer = %context.info.peer(), "throttling connection");
            }
            let pause = self.pause.get_or_insert_with(|| (timer.sleep)(wait));
            if pause.as_mut().poll(cx).is_pending() {
                return state;
            }
            self.pause = None;
        }
    }
}

/// Counts and logs that a connection is closed for a flood, by a limit of this guard or of the
/// engine below.
pub(super) fn report(context: &ConnectionContext, why: &dyn fmt::Display) {
    context.counters.floods.add();
    tracing::info!(peer = %context.info.peer(), %why, "closing connection: ENHANCE_YOUR_CALM");
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
struct EarlyResets {
    limit: u32,
    ahead: u32,
    since: Instant,
}

impl EarlyResets {
    fn new(config: &Http2Config) -> Self {
        Self {
            limit: config.max_early_resets,
            ahead: 0,
            since: Instant::now(),
        }
    }

    /// Counts the resets since the last call. The clock is read only above the limit.
    fn are_too_many(&mut self, credits: &FrameCredits) -> bool {
        self.ahead = self.ahead.saturating_add(credits.take_early_resets());
        self.ahead = self.ahead.saturating_sub(credits.take_answered());
        if self.ahead <= self.limit {
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

    fn resets(limit: u32) -> EarlyResets {
        let config = Http2Config {
            max_early_resets: limit,
            ..Http2Config::default()
        };
        EarlyResets::new(&config)
    }

    #[test]
    fn answers_offset_resets() {
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
    fn a_new_period_starts_at_zero() {
        let mut resets = resets(10);
        let credits = FrameCredits::default();
        resets.since = Instant::now().checked_sub(PERIOD).expect("up for as long");
        (0..11).for_each(|_| credits.early_reset());
        assert!(!resets.are_too_many(&credits));
        (0..11).for_each(|_| credits.early_reset());
        assert!(resets.are_too_many(&credits));
    }
}
