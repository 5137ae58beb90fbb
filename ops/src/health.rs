//! Whether the process works, and whether it is to be sent requests: what load balancers ask.

use std::sync::atomic::{AtomicU8, Ordering};

use http::StatusCode;

/// What state the process is in.
#[derive(Debug)]
pub(crate) struct Health(AtomicU8);

/// This process's. Read by whoever answers, on any thread.
pub(crate) static HEALTH: Health = Health::new();

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum State {
    /// Not all workers accept connections yet.
    Starting,
    Ready,
    /// About to end: what is under way is answered, new requests had better go elsewhere.
    Draining,
}

impl Health {
    const fn new() -> Self {
        Self(AtomicU8::new(State::Starting as u8))
    }

    pub(crate) fn state(&self) -> State {
        const READY: u8 = State::Ready as u8;
        const DRAINING: u8 = State::Draining as u8;
        match self.0.load(Ordering::Relaxed) {
            READY => State::Ready,
            DRAINING => State::Draining,
            _ => State::Starting,
        }
    }

    pub(crate) fn set(&self, state: State) {
        self.0.store(state as u8, Ordering::Relaxed);
    }

    /// The answer to `/healthz`: the process works if it answers at all. And to `/readyz`: whether
    /// it is to be sent requests. `None` for any other path.
    pub(crate) fn answer(&self, path: &str) -> Option<(StatusCode, &'static str)> {
        match (path, self.state()) {
            ("/healthz", _) => Some((StatusCode::OK, "ok\n")),
            ("/readyz", State::Ready) => Some((StatusCode::OK, "ready\n")),
            ("/readyz", State::Starting) => Some((StatusCode::SERVICE_UNAVAILABLE, "starting\n")),
            ("/readyz", State::Draining) => Some((StatusCode::SERVICE_UNAVAILABLE, "draining\n")),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_is_ready_says_so() {
        let health = Health::new();
        for (state, status) in [
            (State::Starting, StatusCode::SERVICE_UNAVAILABLE),
            (State::Ready, StatusCode::OK),
            (State::Draining, StatusCode::SERVICE_UNAVAILABLE),
        ] {
            health.set(state);
            assert_eq!(health.state(), state);
            let statuses = ["/healthz", "/readyz"].map(|path| health.answer(path).map(|it| it.0));
            assert_eq!(statuses, [Some(StatusCode::OK), Some(status)]);
        }
        assert_eq!(health.answer("/"), None);
    }
}
