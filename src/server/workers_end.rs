//! How the workers of a server ended.

use std::{
    any::Any,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio_util::sync::CancellationToken;

use super::shutdown::Shutdown;
use crate::{
    config::SHUTDOWN_DEADLINE,
    error::{Error, Kind, panic_message},
};

/// Counts the workers that run, and keeps the first panic.
pub(super) struct WorkersEnd {
    running: AtomicUsize,
    first_panic: Mutex<Option<String>>,
    all: CancellationToken,
}

impl WorkersEnd {
    pub(super) fn new(workers: usize) -> Self {
        Self {
            running: AtomicUsize::new(workers),
            first_panic: Mutex::default(),
            all: CancellationToken::new(),
        }
    }

    /// A worker has ended, perhaps by this panic. The others then shut down: the connections that the
    /// kernel gives to its listeners would wait without end.
    pub(super) fn ended(&self, index: usize, panic: Option<&(dyn Any + Send)>, all: &Shutdown) {
        if let Some(panic) = panic {
            let panic = panic_message(panic);
            tracing::error!(worker = index, panic, "a worker panicked");
            let mut first = self
                .first_panic
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            first.get_or_insert_with(|| format!("worker {index} panicked: {panic}"));
            drop(first);
            all.start(SHUTDOWN_DEADLINE);
        }
        self.not_started(1);
    }

    /// As many workers were never started.
    pub(super) fn not_started(&self, workers: usize) {
        if workers > 0 && self.running.fetch_sub(workers, Ordering::AcqRel) == workers {
            self.all.cancel();
        }
    }

    /// Waits until all have ended.
    pub(super) async fn wait(&self) -> Result<(), Error> {
        self.all.cancelled().await;
        self.result()
    }

    /// The result so far.
    pub(super) fn result(&self) -> Result<(), Error> {
        let first = self
            .first_panic
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match &*first {
            Some(panic) => Err(Error::new(Kind::Worker, panic.clone())),
            None => Ok(()),
        }
    }
}
