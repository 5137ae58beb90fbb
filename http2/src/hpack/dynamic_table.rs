//! The dynamic table (RFC 7541 sections 2.3.2 and 4).

use std::collections::VecDeque;

use super::FIELD_OVERHEAD;

/// The fields that were added last, up to a size in bytes.
///
/// All names and values lie in one buffer, oldest first. The buffer is never larger than the table's maximum
/// size, and there are never more entries than it holds of empty fields. The table thus holds at most
/// 44/32 of its maximum size, and nothing until a field is added.
pub(crate) struct DynamicTable {
    bytes: Vec<u8>,
    /// Oldest first.
    entries: VecDeque<Entry>,
    /// The position of `bytes[0]` in the stream of all bytes that were added, modulo 2^32.
    base: u32,
    /// Entries have numbers in the order in which they were added, from 1 on.
    next_number: u64,
    size: usize,
    max_size: usize,
}

/// Counted in the table's size as [`FIELD_OVERHEAD`].
struct Entry {
    /// The position of its name in the stream of all bytes; its value follows.
    start: u32,
    name_len: u32,
    value_len: u32,
}

/// The first allocation, in bytes: three or four fields of a request.
const FIRST_CAPACITY: usize = 256;
const FIRST_ENTRIES: usize = 8;

impl DynamicTable {
    pub fn new(max_size: usize) -> Self {
        Self {
            bytes: Vec::new(),
            entries: VecDeque::new(),
            base: 0,
            next_number: 1,
            size: 0,
            max_size,
        }
    }

    pub fn max_size(&self) -> usize {
        self.max_size
    }

    /// The sum of all entries, each with its overhead (section 4.1).
    #[cfg(test)]
    pub fn size(&self) -> usize {
        self.size
    }

    /// The memory that the table holds, in bytes.
    pub fn held(&self) -> usize {
        self.bytes.capacity() + self.entries.capacity() * size_of::<Entry>()
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// The number of the entry that is added next.
    pub fn next_number(&self) -> u64 {
        self.next_number
    }

    /// The entry that was added `age` entries before the newest one.
    pub fn get(&self, age: usize) -> Option<(&[u8], &[u8])> {
        let index = self.entries.len().checked_sub(age)?.checked_sub(1)?;
        let entry = self.entries.get(index)?;
        let start = entry.start.wrapping_sub(self.base) as usize;
        let field = self.bytes.get(start..)?;
        let (name, rest) = field.split_at_checked(entry.name_len as usize)?;
        Some((name, rest.get(..entry.value_len as usize)?))
    }

    /// Sets the maximum size, and evicts what is above it (section 4.3).
    pub fn set_max_size(&mut self, max_size: usize) {
        self.max_size = max_size;
        self.evict_to(max_size);
        if self.entries.is_empty() {
            self.clear();
            self.bytes = Vec::new();
            self.entries = VecDeque::new();
        } else if self.bytes.capacity() > max_size {
            self.drop_evicted();
            self.bytes.shrink_to(max_size);
            self.entries.shrink_to(self.max_entries());
        }
    }

    /// Adds a field and evicts the oldest ones for it. A field above the maximum size empties the table instead,
    /// and the result is false (section 4.4).
    pub fn add(&mut self, name: &[u8], value: &[u8]) -> bool {
        let len = name.len() + value.len();
        let Some(room) = self.max_size.checked_sub(len + FIELD_OVERHEAD) else {
            self.evict_to(0);
            return false;
        };
        self.evict_to(room);
        self.reserve(len);
        self.entries.push_back(Entry {
            start: self.base.wrapping_add(self.bytes.len() as u32),
            name_len: name.len() as u32,
            value_len: value.len() as u32,
        });
        self.bytes.extend_from_slice(name);
        self.bytes.extend_from_slice(value);
        self.size += len + FIELD_OVERHEAD;
        self.next_number += 1;
        true
    }

    fn max_entries(&self) -> usize {
        self.max_size / FIELD_OVERHEAD
    }

    fn evict_to(&mut self, size: usize) {
        while self.size > size {
            let Some(oldest) = self.entries.pop_front() else {
                break;
            };
            self.size -= (oldest.name_len + oldest.value_len) as usize + FIELD_OVERHEAD;
        }
        if self.entries.is_empty() {
            self.clear();
        }
    }

    fn clear(&mut self) {
        self.base = self.base.wrapping_add(self.bytes.len() as u32);
        self.bytes.clear();
        self.entries.clear();
        self.size = 0;
    }

    /// Makes room for one entry of `len` bytes, which fits.
    fn reserve(&mut self, len: usize) {
        if self.entries.len() == self.entries.capacity() {
            let capacity = (self.entries.len() * 2)
                .max(FIRST_ENTRIES)
                .min(self.max_entries());
            self.entries.reserve_exact(capacity - self.entries.len());
        }
        if self.bytes.capacity() - self.bytes.len() >= len {
            return;
        }
        let evicted = self.evicted_len();
        self.drop_evicted();
        // Moving the entries is repeated too often unless a good part of the buffer was free.
        let needed = self.bytes.len() + len;
        if needed > self.bytes.capacity() || evicted < self.bytes.capacity() / 4 {
            let capacity = needed
                .max(self.bytes.capacity() * 2)
                .max(FIRST_CAPACITY)
                .min(self.max_size);
            self.bytes.reserve_exact(capacity - self.bytes.len());
        }
    }

    /// The bytes of evicted entries that are still in the buffer.
    fn evicted_len(&self) -> usize {
        match self.entries.front() {
            Some(oldest) => oldest.start.wrapping_sub(self.base) as usize,
            None => self.bytes.len(),
        }
    }

    fn drop_evicted(&mut self) {
        let len = self.evicted_len();
        self.bytes.drain(..len);
        self.base = self.base.wrapping_add(len as u32);
    }
}
