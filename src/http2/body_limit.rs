//! How large a request's body may be.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};

use crate::error::{Error, Kind};

/// What is left of the limit, and the word to whoever answers that it was passed.
///
/// A body may be read on another task, and has to be `Send` for services that want that.
pub(super) struct BodyLimit {
    left: u64,
    passed: TooLarge,
}

/// Whether the body is larger than is allowed.
#[derive(Clone, Default)]
pub(super) struct TooLarge(Arc<AtomicBool>);

impl BodyLimit {
    pub(super) fn new(limit: u64, declared: Option<u64>) -> (Self, TooLarge) {
        let passed = TooLarge::default();
        passed.0.store(declared > Some(limit), Relaxed);
        let limit = Self {
            left: limit,
            passed: passed.clone(),
        };
        (limit, passed)
    }

    /// Called for data that has come in.
    pub(super) fn take(&mut self, length: usize) -> Result<(), Error> {
        match self.left.checked_sub(length as u64) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => {
                self.left = 0;
                self.passed.0.store(true, Relaxed);
                Err(Error::new(
                    Kind::BodyTooLarge,
                    "the request's body is larger than is allowed",
                ))
            }
        }
    }
}

impl TooLarge {
    pub(super) fn is(&self) -> bool {
        self.0.load(Relaxed)
    }
}
