//! Lets the runtime look at its sockets and timers.

use std::{
    task::{Context, Poll, ready},
    time::Duration,
};

use crate::time::{Sleep, Timer};

/// A pause after many rounds in which no timer has fired.
///
/// monoio looks at sockets and timers only when no task is ready. A handler that yields again and
/// again until one of them is ready would otherwise keep it from looking, and wait forever.
pub(super) struct TimerYield {
    timer: Timer,
    rounds: u32,
    sleep: Sleep,
}

/// Rounds without a pause.
const ROUNDS_WITHOUT_PAUSE: u32 = 256;

/// Long enough to be a timer at all. If it has fired already, the runtime has looked.
const PAUSE: Duration = Duration::from_millis(1);

impl TimerYield {
    pub(super) fn new(timer: Timer) -> Self {
        Self {
            timer,
            rounds: 0,
            sleep: (timer.sleep)(PAUSE),
        }
    }

    /// Called once a round. Ready at once, unless a pause is due.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.rounds += 1;
        if self.rounds > ROUNDS_WITHOUT_PAUSE {
            ready!(self.sleep.as_mut().poll(cx));
            self.sleep = (self.timer.sleep)(PAUSE);
            self.rounds = 0;
        }
        Poll::Ready(())
    }
}
