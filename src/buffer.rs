//! Byte queues that return their memory to the thread when they are empty.

use std::cell::RefCell;

/// A queue of bytes. An idle connection holds no memory, and a busy one does not call the allocator:
/// the thread keeps the memory of emptied queues and gives it to the next queue that is filled.
#[derive(Default)]
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    consumed: usize,
}

/// How many buffers a thread keeps: about as many as connections that send during one turn of its
/// runtime.
const KEPT: usize = 16;

/// The largest buffer that is kept, bytes: what a session seals before it sends, rounded up because
/// vectors grow in steps.
const LARGEST_KEPT: usize = 128 * 1024;

thread_local! {
    static IDLE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

impl Buffer {
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() - self.consumed
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.bytes[self.consumed..]
    }

    pub(crate) fn as_mut_slice(&mut self) -> &mut [u8] {
        &mut self.bytes[self.consumed..]
    }

    pub(crate) fn extend(&mut self, bytes: &[u8]) {
        if self.bytes.capacity() == 0 && !bytes.is_empty() {
            self.bytes = IDLE.with_borrow_mut(Vec::pop).unwrap_or_default();
        }
        if self.consumed > 0 && self.bytes.len() + bytes.len() > self.bytes.capacity() {
            // Otherwise a queue that never runs empty would grow without limit.
            self.bytes.drain(..self.consumed);
            self.consumed = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// Drops the first `n` bytes.
    pub(crate) fn consume(&mut self, n: usize) {
        self.consumed += n;
        if self.is_empty() {
            self.give_back();
        }
    }

    fn give_back(&mut self) {
        self.consumed = 0;
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.clear();
        if (1..=LARGEST_KEPT).contains(&bytes.capacity()) {
            // Fails while the thread ends; the memory is freed then.
            let _ = IDLE.try_with(|idle| {
                let mut idle = idle.borrow_mut();
                if idle.len() < KEPT {
                    idle.push(bytes);
                }
            });
        }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.give_back();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_out_in_the_order_they_went_in() {
        let mut buffer = Buffer::default();
        buffer.extend(b"ab");
        buffer.consume(1);
        buffer.extend(b"c");
        assert_eq!(buffer.as_slice(), b"bc");
        assert_eq!(buffer.len(), 2);
        buffer.consume(2);
        assert!(buffer.is_empty());
    }

    #[test]
    fn memory_of_an_empty_queue_is_reused() {
        let mut first = Buffer::default();
        first.extend(&[1; 1000]);
        let memory = first.as_slice().as_ptr();
        first.consume(1000);
        let mut second = Buffer::default();
        second.extend(b"x");
        assert_eq!(second.as_slice(), b"x");
        assert_eq!(second.as_slice().as_ptr(), memory);
        drop(second);
        let mut third = Buffer::default();
        third.extend(b"y");
        assert_eq!(third.as_slice().as_ptr(), memory);
    }

    #[test]
    fn a_queue_that_never_runs_empty_does_not_grow() {
        let mut buffer = Buffer::default();
        buffer.extend(&[0; 100]);
        for round in 0..10_000_u32 {
            buffer.extend(&round.to_be_bytes());
            buffer.consume(4);
        }
        assert_eq!(buffer.len(), 100);
        assert_eq!(buffer.as_slice()[96..], 9_999_u32.to_be_bytes());
        assert!(
            buffer.bytes.capacity() < 1000,
            "{}",
            buffer.bytes.capacity()
        );
    }

    #[test]
    fn large_memory_is_not_kept() {
        let mut buffer = Buffer::default();
        buffer.extend(&vec![0; LARGEST_KEPT + 1]);
        drop(buffer);
        assert!(IDLE.with_borrow(Vec::is_empty));
    }
}
