//! Tasks on the worker's own runtime.

use std::{future::Future, panic::AssertUnwindSafe};

use corelane::monoio;
use futures_util::FutureExt as _;

/// Runs a task on the worker. A panic in it ends the task, not the worker.
pub(super) fn spawn(task: impl Future<Output = ()> + 'static) {
    monoio::spawn(async move {
        if AssertUnwindSafe(task).catch_unwind().await.is_err() {
            tracing::error!("a connection to an upstream panicked");
        }
    });
}

/// The same for hyper's connections of HTTP/2.
#[derive(Clone, Copy)]
pub(super) struct WorkerExecutor;

impl<F> hyper::rt::Executor<F> for WorkerExecutor
where
    F: Future<Output = ()> + 'static,
{
    fn execute(&self, task: F) {
        spawn(task);
    }
}
