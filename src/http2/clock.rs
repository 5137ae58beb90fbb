//! The clock for the durations of requests, read as rarely as they allow: a reading costs one hundredth
//! of a small request.

use std::{cell::Cell, time::Instant};

use crate::time::Timer;

pub(super) struct Clock {
    timer: Timer,
    arrival: Cell<Option<Instant>>,
}

impl Clock {
    pub(super) fn new(timer: Timer) -> Self {
        Self {
            timer,
            arrival: Cell::new(None),
        }
    }

    /// Call it before requests are received. Those that are received together have arrived at one
    /// time.
    pub(super) fn receive(&self) {
        self.arrival.set(None);
    }

    /// When the request that was just received arrived.
    pub(super) fn arrival(&self) -> Instant {
        let arrival = self.arrival.get().unwrap_or_else(self.timer.now);
        self.arrival.set(Some(arrival));
        arrival
    }

    pub(super) fn now(&self) -> Instant {
        (self.timer.now)()
    }
}
