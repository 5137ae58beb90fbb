//! Liveness and readiness, as load balancers ask for them.

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering},
};

use http::StatusCode;

/// Whether this process works, and whether it accepts requests.
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
pub struct Health(Arc<AtomicU8>);

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
        Self(Arc::new(AtomicU8::new(HealthState::Starting as u8)))
    }

    /// The state now.
    pub fn state(&self) -> HealthState {
        const READY: u8 = HealthState::Ready as u8;
        const DRAINING: u8 = HealthState::Draining as u8;
        match self.0.load(Ordering::Relaxed) {
            READY => HealthState::Ready,
            DRAINING => HealthState::Draining,
            _ => HealthState::Starting,
        }
    }

    /// Sets the state for all clones.
    pub fn set(&self, state: HealthState) {
        self.0.store(state as u8, Ordering::Relaxed);
    }

    /// The response to `/healthz` (always 200: the process answers) and to `/readyz` (200 when
    /// [`HealthState::Ready`], otherwise 503). `None` for other paths.
    pub fn response(&self, path: &str) -> Option<(StatusCode, &'static str)> {
        match (path, self.state()) {
            ("/healthz", _) => Some((StatusCode::OK, "ok\n")),
            ("/readyz", HealthState::Ready) => Some((StatusCode::OK, "ready\n")),
            ("/readyz", HealthState::Starting) => {
                Some((StatusCode::SERVICE_UNAVAILABLE, "starting\n"))
            }
            ("/readyz", HealthState::Draining) => {
                Some((StatusCode::SERVICE_UNAVAILABLE, "draining\n"))
            }
            _ => None,
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
