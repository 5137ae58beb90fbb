//! The result of the last reload, for metrics.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

/// Clones share one state.
#[derive(Clone, Debug, Default)]
pub(crate) struct ReloadStatus(Arc<Mutex<Option<State>>>);

#[derive(Clone, Copy, Debug)]
struct State {
    /// Whether the server runs with the configuration that is on disk.
    successful: bool,
    #[cfg_attr(
        not(feature = "admin"),
        expect(dead_code, reason = "only the admin port shows it")
    )]
    succeeded_at: SystemTime,
}

impl ReloadStatus {
    /// Also of the first load, when the server starts.
    pub(crate) fn succeeded(&self) {
        *self.lock() = Some(State {
            successful: true,
            succeeded_at: SystemTime::now(),
        });
    }

    pub(crate) fn failed(&self) {
        self.set_successful(false);
    }

    /// The files are again as they were at the last success.
    pub(crate) fn unchanged(&self) {
        self.set_successful(true);
    }

    fn set_successful(&self, successful: bool) {
        if let Some(state) = &mut *self.lock() {
            state.successful = successful;
        }
    }

    /// Records the metrics, if this server can reload.
    #[cfg(feature = "admin")]
    pub(crate) fn record(&self) {
        use metrics::{Unit, describe_gauge, gauge};

        const SUCCESSFUL: &str = "corelane_config_last_reload_successful";
        const SUCCEEDED_AT: &str = "corelane_config_last_reload_success_timestamp_seconds";
        let Some(state) = *self.lock() else { return };
        describe_gauge!(
            SUCCESSFUL,
            Unit::Count,
            "Whether the last reload succeeded, 1 or 0."
        );
        gauge!(SUCCESSFUL).set(if state.successful { 1.0 } else { 0.0 });
        describe_gauge!(
            SUCCEEDED_AT,
            Unit::Seconds,
            "When a reload, or the start, last succeeded, Unix time."
        );
        let since_1970 = state.succeeded_at.duration_since(SystemTime::UNIX_EPOCH);
        gauge!(SUCCEEDED_AT).set(since_1970.unwrap_or_default().as_secs_f64());
    }

    /// A panic leaves nothing half done.
    fn lock(&self) -> MutexGuard<'_, Option<State>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
