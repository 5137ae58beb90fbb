//! Liveness and readiness, as load balancers ask for them.

use std::{
    borrow::Cow,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU8, Ordering},
    },
};

use corelane::{Observer, config::WORKER_STALLED};
use http::StatusCode;

/// Whether the workers of this process run, and whether it accepts requests.
///
/// Clones share one state. [`Lifecycle::health`](crate::Lifecycle::health) returns the one that
/// follows the process: starting, ready, draining.
///
/// ```
/// use corelane_ops::{Health, HealthState};
///
/// let health = Health::new();
/// assert_eq!(health.response("/readyz").unwrap().0, 503);
/// health.set(HealthState::Ready);
/// assert_eq!(health.response("/readyz").unwrap().0, 200);
/// assert!(health.response("/").is_none());
/// ```
#[derive(Clone, Debug)]
pub struct Health(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: AtomicU8,
    observer: OnceLock<Observer>,
}

/// The state of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[repr(u8)]
pub enum HealthState {
    /// Some workers do not accept connections yet.
    Starting,
    /// All workers accept connections.
    Ready,
    /// The process is about to end. It answers requests, but new ones should go elsewhere.
    Draining,
}

impl Health {
    /// The state [`HealthState::Starting`].
    pub fn new() -> Self {
        Self(Arc::new(Shared {
            state: AtomicU8::new(HealthState::Starting as u8),
            observer: OnceLock::new(),
        }))
    }

    /// The state now.
    pub fn state(&self) -> HealthState {
        const READY: u8 = HealthState::Ready as u8;
        const DRAINING: u8 = HealthState::Draining as u8;
        match self.0.state.load(Ordering::Relaxed) {
            READY => HealthState::Ready,
            DRAINING => HealthState::Draining,
            _ => HealthState::Starting,
        }
    }

    /// Sets the state for all clones.
    pub fn set(&self, state: HealthState) {
        self.0.state.store(state as u8, Ordering::Relaxed);
    }

    /// Watches the workers of this server from now on. A later call changes nothing.
    /// [`Lifecycle::start`](crate::Lifecycle::start) and [`Admin::start`](crate::Admin::start) make it.
    pub fn observe(&self, observer: Observer) {
        // An error means that there is a server already.
        let _ = self.0.observer.set(observer);
    }

    /// The response to `/healthz` and to `/readyz`: status and text. `None` for other paths.
    ///
    /// `/healthz` answers 200 while the workers run, and 503 when one has not run for
    /// [`WORKER_STALLED`]: a handler blocks it. `/readyz` answers 200 when [`HealthState::Ready`],
    /// otherwise 503.
    pub fn response(&self, path: &str) -> Option<(StatusCode, Cow<'static, str>)> {
        match path {
            "/healthz" => Some(self.liveness()),
            "/readyz" => Some(match self.state() {
                HealthState::Ready => (StatusCode::OK, "ready\n".into()),
                HealthState::Starting => (StatusCode::SERVICE_UNAVAILABLE, "starting\n".into()),
                HealthState::Draining => (StatusCode::SERVICE_UNAVAILABLE, "draining\n".into()),
            }),
            _ => None,
        }
    }

    fn liveness(&self) -> (StatusCode, Cow<'static, str>) {
        let workers = self.0.observer.get().map(Observer::workers);
        let stalled = workers
            .into_iter()
            .flatten()
            .filter(|worker| worker.since_heartbeat > WORKER_STALLED);
        let lines: String = stalled
            .map(|worker| {
                let (index, seconds) = (worker.info.index, worker.since_heartbeat.as_secs());
                format!("worker {index} has not run for {seconds} s: its thread is blocked, by a handler for instance\n")
            })
            .collect();
        match lines.is_empty() {
            true => (StatusCode::OK, "ok\n".into()),
            false => (StatusCode::SERVICE_UNAVAILABLE, lines.into()),
        }
    }
}

impl Default for Health {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readyz_is_200_only_when_ready() {
        let health = Health::new();
        for (state, status) in [
            (HealthState::Starting, StatusCode::SERVICE_UNAVAILABLE),
            (HealthState::Ready, StatusCode::OK),
            (HealthState::Draining, StatusCode::SERVICE_UNAVAILABLE),
        ] {
            health.set(state);
            assert_eq!(health.state(), state);
            let statuses = ["/healthz", "/readyz"].map(|path| health.response(path).map(|it| it.0));
            assert_eq!(statuses, [Some(StatusCode::OK), Some(status)]);
        }
        assert_eq!(health.response("/"), None);
    }
}
