//! Limits how much one connection reads before the other connections of its worker have a turn.

use std::{
    task::{Context, Poll, ready},
    time::Duration,
};

use crate::time::{Sleep, Timer};

/// How much a connection reads in one turn, bytes: a few milliseconds of work if they are small
/// frames.
const BYTES_PER_TURN: usize = 256 * 1024;

/// Turns in a row before the connection pauses.
const TURNS_PER_PAUSE: u32 = 16;

/// The length of a pause. The runtime polls timers only when no task is ready: a connection that
/// is always ready would disable the time limits of all others.
const PAUSE: Duration = Duration::from_millis(1);

/// Without a budget, a peer that sends as fast as the server reads would occupy the worker: its
/// socket never reports `WouldBlock`.
pub(super) struct ReadBudget {
    /// Bytes left of the turn.
    left: usize,
    /// Turns since the last pause, or since the socket was empty.
    turns: u32,
    timer: Option<Timer>,
    pause: Option<Sleep>,
}

impl ReadBudget {
    pub(super) fn new() -> Self {
        Self {
            left: BYTES_PER_TURN,
            turns: 0,
            timer: None,
            pause: None,
        }
    }

    /// Turns on the pauses. A stream without a timer only takes turns.
    pub(super) fn set_timer(&mut self, timer: Timer) {
        self.timer = Some(timer);
    }

    /// Ready while the turn lasts; otherwise it wakes the task for the next turn.
    pub(super) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(pause) = &mut self.pause {
            ready!(pause.as_mut().poll(cx));
            self.pause = None;
        }
        if self.left > 0 {
            return Poll::Ready(());
        }
        self.left = BYTES_PER_TURN;
        self.turns += 1;
        match self.timer {
            Some(timer) if self.turns >= TURNS_PER_PAUSE => {
                self.turns = 0;
                let pause = self.pause.insert((timer.sleep)(PAUSE));
                pause.as_mut().poll(cx)
            }
            _ => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
        }
    }

    pub(super) fn consume(&mut self, bytes: usize) {
        self.left = self.left.saturating_sub(bytes);
    }

    /// Call it when the socket is empty: the connection waits, and the others have their turn.
    pub(super) fn reset(&mut self) {
        self.left = BYTES_PER_TURN;
        self.turns = 0;
    }
}
