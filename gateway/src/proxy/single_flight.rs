//! Lets several tasks of a worker wait for one operation.

use std::cell::RefCell;

use futures_util::{
    FutureExt as _,
    future::{LocalBoxFuture, Shared, WeakShared},
};

/// The operation that runs, if any. It is dropped with the last task that waits for it.
pub(super) struct SingleFlight<T: Clone>(RefCell<Option<WeakShared<LocalBoxFuture<'static, T>>>>);

impl<T: Clone> SingleFlight<T> {
    pub(super) fn new() -> Self {
        Self(RefCell::new(None))
    }

    /// Waits for the operation that runs, or begins one.
    pub(super) fn join(
        &self,
        begin: impl FnOnce() -> LocalBoxFuture<'static, T>,
    ) -> Shared<LocalBoxFuture<'static, T>> {
        let mut running = self.0.borrow_mut();
        // A result that somebody holds is not handed on: it may be an error of the past.
        if let Some(shared) = running.as_ref().and_then(WeakShared::upgrade)
            && shared.peek().is_none()
        {
            return shared;
        }
        let shared = begin().shared();
        *running = shared.downgrade();
        shared
    }
}
