//! Descriptors in reserve for the admin port: handlers of the server may open files and sockets until
//! none is left.

use std::{cell::RefCell, fs::File};

/// One for a client, and three for the files in /proc that metrics are read from.
const SPARES: usize = 4;

/// Open files that can be closed to make room.
pub(super) struct Spares(RefCell<Vec<File>>);

impl Spares {
    pub(super) fn new() -> Self {
        let spares = Self(RefCell::default());
        spares.refill();
        spares
    }

    /// Opens those that are missing, as far as there are free descriptors.
    pub(super) fn refill(&self) {
        let mut files = self.0.borrow_mut();
        while files.len() < SPARES
            && let Ok(file) = File::open("/dev/null")
        {
            files.push(file);
        }
    }

    /// Makes room for a moment. Returns whether there was something to close.
    pub(super) fn release(&self) -> bool {
        let files = self.0.take();
        !files.is_empty()
    }
}
