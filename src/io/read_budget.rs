//! How long one connection may go on reading before the others of its worker get their turn.

use std::{
    task::{Context, Poll, ready},
    time::Duration,
};

use crate::time::{Sleep, Timer};

/// Bytes from the socket in one turn: a few milliseconds' work if they are many small frames.
const TURN: usize = 256 * 1024;

/// Turns in a row before the connection makes a pause.
const TURNS: u32 = 16;

/// The pause. The runtime looks at its timers only when no task is ready, so a connection that
/// always is would switch off the time limits of all others.
const PAUSE: Duration = Duration::from_millis(1);

/// A peer that sends as fast as it is read would otherwise keep its worker for good: nothing below
/// ever says that there is no more.
pub(super) struct ReadBudget {
    left: usize,
    turns: u32,
    timer: Option<Timer>,
    pause: Option<Sleep>,
}

impl ReadBudget {
    pub(super) fn new() -> Self {
        Self {
            left: TURN,
            turns: 0,
            timer: None,
            pause: None,
        }
    }

    /// Without a timer there are turns, but no pauses.
    pub(super) fn set_timer(&mut self, timer: Timer) {
        self.timer = Some(timer);
    }

    /// Ready while the turn lasts; else the task is woken for the next one.
    pub(super) fn poll_turn(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(pause) = &mut self.pause {
            ready!(pause.as_mut().poll(cx));
            self.pause = None;
        }
        if self.left > 0 {
            return Poll::Ready(());
        }
        self.left = TURN;
        self.turns += 1;
        match self.timer {
            Some(timer) if self.turns >= TURNS => {
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

    pub(super) fn took(&mut self, bytes: usize) {
        self.left = self.left.saturating_sub(bytes);
    }

    /// There was nothing to read: the others have their turn anyway.
    pub(super) fn waits(&mut self) {
        self.left = TURN;
        self.turns = 0;
    }
}
