//! The times of a server's life, which a reload can change.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use corelane::config::SHUTDOWN_DEADLINE;

/// The times that [`Lifecycle`](crate::Lifecycle) uses: made by
/// [`Lifecycle::timing`](crate::Lifecycle::timing), for a reload to change them. Clones share them.
#[derive(Clone, Debug)]
pub struct Timing(Arc<Mutex<Times>>);

#[derive(Clone, Copy, Debug)]
struct Times {
    upgrade_timeout: Duration,
    shutdown_delay: Duration,
    shutdown_deadline: Duration,
}

impl Timing {
    pub(crate) fn new(upgrade_timeout: Duration) -> Self {
        Self(Arc::new(Mutex::new(Times {
            upgrade_timeout,
            shutdown_delay: Duration::ZERO,
            shutdown_deadline: SHUTDOWN_DEADLINE,
        })))
    }

    /// As [`Lifecycle::upgrade_timeout`](crate::Lifecycle::upgrade_timeout), from the next upgrade on.
    pub fn set_upgrade_timeout(&self, timeout: Duration) {
        self.lock().upgrade_timeout = timeout;
    }

    /// As [`Lifecycle::shutdown_delay`](crate::Lifecycle::shutdown_delay).
    pub fn set_shutdown_delay(&self, delay: Duration) {
        self.lock().shutdown_delay = delay;
    }

    /// As [`Lifecycle::shutdown_deadline`](crate::Lifecycle::shutdown_deadline).
    pub fn set_shutdown_deadline(&self, deadline: Duration) {
        self.lock().shutdown_deadline = deadline;
    }

    pub(crate) fn upgrade_timeout(&self) -> Duration {
        self.lock().upgrade_timeout
    }

    pub(crate) fn shutdown_delay(&self) -> Duration {
        self.lock().shutdown_delay
    }

    pub(crate) fn shutdown_deadline(&self) -> Duration {
        self.lock().shutdown_deadline
    }

    /// Each time stands for itself, so a panic leaves nothing half done.
    fn lock(&self) -> MutexGuard<'_, Times> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
