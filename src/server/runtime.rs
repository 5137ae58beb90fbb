//! The monoio runtime of a worker, on io_uring or on epoll.

use std::{
    fmt,
    future::Future,
    sync::{Mutex, PoisonError, mpsc},
    thread,
    time::Instant,
};

use monoio::{LegacyDriver, RuntimeBuilder, time::TimeDriver};

use super::ring_runtime::{self, Refusal, RingRuntime};
use crate::{
    error::{Error, Kind},
    time::Timer,
};

/// The clock of monoio, for the layers that know no runtime.
pub(super) const TIMER: Timer = Timer {
    sleep: |duration| Box::pin(monoio::time::sleep(duration)),
    now: Instant::now,
};

/// Which driver of monoio the workers run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Driver {
    /// io_uring if it is allowed and works, otherwise epoll, for each worker. The default.
    #[default]
    Auto,
    /// io_uring. If the kernel or the container refuses it, the start fails and the error says why.
    IoUring,
    /// epoll.
    Epoll,
}

/// Which driver a worker runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ActiveDriver {
    /// io_uring.
    IoUring,
    /// epoll, or the equivalent of the operating system.
    Epoll,
}

impl fmt::Display for ActiveDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::IoUring => "io_uring",
            Self::Epoll => "epoll",
        })
    }
}

pub(super) enum Runtime {
    IoUring(RingRuntime),
    Epoll(monoio::Runtime<TimeDriver<LegacyDriver>>),
}

impl Runtime {
    /// Builds the runtime of the calling thread, and says why it is not io_uring if the driver is
    /// [`Driver::Auto`].
    pub(super) fn new(driver: Driver) -> Result<(Self, Option<Refusal>), Error> {
        let refusal = match driver {
            Driver::Epoll => None,
            Driver::Auto | Driver::IoUring => match ring_runtime::build() {
                Ok(runtime) => return Ok((Self::IoUring(runtime), None)),
                Err(Refusal { why, error, .. }) if driver == Driver::IoUring => {
                    let message = format!("io_uring cannot be used: {why}");
                    return Err(Error::new(Kind::Unsupported, message).with_source(error));
                }
                Err(refusal) => Some(refusal),
            },
        };
        RuntimeBuilder::<LegacyDriver>::new()
            .enable_timer()
            .build()
            .map(|runtime| (Self::Epoll(runtime), refusal))
            .map_err(|error| {
                Error::new(Kind::Worker, "the epoll runtime cannot be built").with_source(error)
            })
    }

    pub(super) fn driver(&self) -> ActiveDriver {
        match self {
            Self::IoUring(_) => ActiveDriver::IoUring,
            Self::Epoll(_) => ActiveDriver::Epoll,
        }
    }

    pub(super) fn block_on<F: Future>(&mut self, future: F) -> F::Output {
        match self {
            Self::IoUring(runtime) => runtime.block_on(future),
            Self::Epoll(runtime) => runtime.block_on(future),
        }
    }
}

/// Logs why workers run epoll, once for all of them. The workers are in order.
pub(super) fn log_refusals(workers: &[Option<Refusal>]) {
    let refused = workers.iter().enumerate();
    let refused: Vec<_> = refused
        .filter_map(|(index, refusal)| Some((index, refusal.as_ref()?)))
        .collect();
    let Some((_, Refusal { why, error, .. })) = refused.first() else {
        return;
    };
    if refused.len() < workers.len() {
        let on_epoll: Vec<_> = refused.iter().map(|(index, _)| *index).collect();
        tracing::warn!(
            why,
            %error,
            ?on_epoll,
            "some workers cannot use io_uring and run epoll, the others run io_uring"
        );
    } else if refused.iter().all(|(_, refusal)| refusal.by_policy) {
        tracing::info!(why, %error, "io_uring cannot be used: running epoll");
    } else {
        tracing::warn!(why, %error, "io_uring does not work: running epoll");
    }
}

/// Finds out which drivers the workers would get, by building all of their runtimes at once: each
/// ring takes its share of what the user may have.
pub(super) fn check(driver: Driver, workers: usize) -> Result<(), Error> {
    if driver == Driver::Epoll {
        return Ok(());
    }
    let (built, results) = mpsc::channel();
    let (release, hold) = mpsc::channel::<()>();
    let hold = Mutex::new(hold);
    thread::scope(|scope| {
        // Dropped at the end of this closure, which lets the threads drop their runtimes.
        let _release = release;
        for _ in 0..workers {
            let (built, hold) = (built.clone(), &hold);
            let spawned = thread::Builder::new().spawn_scoped(scope, move || {
                let (runtime, result) = match Runtime::new(driver) {
                    Ok((runtime, refusal)) => (Some(runtime), Ok(refusal)),
                    Err(error) => (None, Err(error)),
                };
                // The receiver is gone after another worker's error.
                let _ = built.send(result);
                // An error: the sender has been dropped.
                let _ = hold.lock().unwrap_or_else(PoisonError::into_inner).recv();
                drop(runtime);
            });
            spawned.map_err(|error| {
                Error::new(Kind::Worker, "cannot start a worker's thread").with_source(error)
            })?;
        }
        drop(built);
        let refusals = results
            .iter()
            .take(workers)
            .collect::<Result<Vec<_>, _>>()?;
        log_refusals(&refusals);
        Ok(())
    })
}
