//! Read buffers that a thread lends to its connections.

use std::{
    cell::RefCell,
    ops::{Deref, DerefMut},
};

/// A buffer for one record. A connection has one only while it reads.
pub(crate) struct Scratch(Box<[u8]>);

/// The largest record on the wire, bytes: header, plaintext and the overhead that TLS 1.2 allows
/// (RFC 5246 section 6.2.3).
pub(crate) const MAX_RECORD: usize = 5 + 16 * 1024 + 2048;

thread_local! {
    static IDLE: RefCell<Vec<Box<[u8]>>> = const { RefCell::new(Vec::new()) };
}

/// How many buffers a thread keeps.
const KEPT: usize = 16;

impl Scratch {
    pub(crate) fn take() -> Self {
        let idle = IDLE.with_borrow_mut(Vec::pop);
        Self(idle.unwrap_or_else(|| vec![0; MAX_RECORD].into()))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Fails while the thread ends; the buffer is freed then.
        let _ = IDLE.try_with(|idle| {
            let mut idle = idle.borrow_mut();
            if idle.len() < KEPT {
                idle.push(std::mem::take(&mut self.0));
            }
        });
    }
}

impl Deref for Scratch {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl DerefMut for Scratch {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}
