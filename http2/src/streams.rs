//! The streams of a connection, and what is remembered of closed ones (RFC 9113 section 5.1).

use std::{
    collections::{HashMap, VecDeque},
    hash::{BuildHasherDefault, Hasher},
};

use crate::stream::{Stream, StreamId};

/// Streams that the connection has reset and whose late frames it ignores (RFC 9113 section 5.4.2).
/// The oldest is forgotten first. 64 is more than what clients have on their way.
const MAX_REMEMBERED: usize = 64;

/// The streams that are not closed, in slots that are used again.
///
/// Holds [`Config::max_concurrent_streams`](crate::Config::max_concurrent_streams) streams at most,
/// and the identifiers of 64 closed ones.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    slots: Vec<Option<Stream>>,
    free: Vec<u32>,
    slot_of: HashMap<u32, u32, BuildHasherDefault<NumberHasher>>,
    /// The highest identifier that the client has used.
    last: u32,
    /// Bit `i` says that the client has used the identifier `last - 2 * i`.
    used: u64,
    reset: VecDeque<u32>,
}

/// What an identifier stands for when a frame arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// Never used, and above all that were: only HEADERS and PRIORITY may come.
    Idle,
    /// The slot of a stream that is not closed.
    Live(u32),
    /// The connection has reset it: frames that were on their way are ignored.
    Reset,
    /// Closed otherwise.
    Closed,
    /// Left out by the client, so that it can never be used.
    Skipped,
}

impl Streams {
    pub(crate) fn len(&self) -> usize {
        self.slot_of.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.slot_of.is_empty()
    }

    /// The highest identifier that the client has used, 0 if none.
    pub(crate) fn last(&self) -> u32 {
        self.last
    }

    pub(crate) fn find(&self, number: u32) -> Found {
        if number > self.last || number.is_multiple_of(2) {
            return Found::Idle;
        }
        if let Some(&slot) = self.slot_of.get(&number) {
            return Found::Live(slot);
        }
        if self.reset.contains(&number) {
            return Found::Reset;
        }
        match (self.last - number) / 2 {
            // It is forgotten, so the more likely.
            64.. => Found::Closed,
            age if self.used >> age & 1 == 1 => Found::Closed,
            _ => Found::Skipped,
        }
    }

    /// Notes that the client uses this identifier, which is above all that it used before.
    pub(crate) fn open(&mut self, number: u32) {
        let age = number.saturating_sub(self.last) / 2;
        // The first identifier is 1: its distance to 0 says nothing.
        self.used = match self.last {
            0 => 1,
            _ => self.used.checked_shl(age).unwrap_or(0) | 1,
        };
        self.last = number;
    }

    pub(crate) fn insert(&mut self, stream: Stream) -> StreamId {
        let number = stream.number;
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slots[slot as usize] = Some(stream);
                slot
            }
            None => {
                self.slots.push(Some(stream));
                self.slots.len() as u32 - 1
            }
        };
        self.slot_of.insert(number, slot);
        StreamId { number, slot }
    }

    pub(crate) fn remove(&mut self, slot: u32) -> Option<Stream> {
        let stream = self.slots.get_mut(slot as usize)?.take()?;
        self.free.push(slot);
        self.slot_of.remove(&stream.number);
        Some(stream)
    }

    #[inline]
    pub(crate) fn at(&mut self, slot: u32) -> Option<&mut Stream> {
        self.slots.get_mut(slot as usize)?.as_mut()
    }

    /// The stream, unless it is closed.
    #[inline]
    pub(crate) fn get(&mut self, id: StreamId) -> Option<&mut Stream> {
        self.at(id.slot).filter(|stream| stream.number == id.number)
    }

    #[inline]
    pub(crate) fn peek(&self, id: StreamId) -> Option<&Stream> {
        let stream = self.slots.get(id.slot as usize)?.as_ref();
        stream.filter(|stream| stream.number == id.number)
    }

    /// Ignores further frames of a stream that the connection has reset.
    pub(crate) fn remember_reset(&mut self, number: u32) {
        if self.reset.len() == MAX_REMEMBERED {
            self.reset.pop_front();
        }
        self.reset.push_back(number);
    }

    /// Slots are below this number.
    pub(crate) fn slots(&self) -> u32 {
        self.slots.len() as u32
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (u32, &mut Stream)> {
        let slots = self.slots.iter_mut().enumerate();
        slots.filter_map(|(slot, stream)| Some((slot as u32, stream.as_mut()?)))
    }

    pub(crate) fn clear(&mut self) {
        self.slots = Vec::new();
        self.free = Vec::new();
        self.slot_of = HashMap::default();
        self.reset = VecDeque::new();
    }

    /// Frees the memory of streams if none is open.
    pub(crate) fn shrink(&mut self) {
        if self.is_empty() {
            self.slots = Vec::new();
            self.free = Vec::new();
            self.slot_of = HashMap::default();
            self.reset.shrink_to_fit();
        }
    }
}

/// Spreads identifiers, which are odd and mostly consecutive. A client can choose ones that
/// collide, but each stands for an open stream, of which there are few.
#[derive(Default)]
pub(crate) struct NumberHasher(u64);

impl Hasher for NumberHasher {
    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u32(u32::from(byte));
        }
    }

    #[inline]
    fn write_u32(&mut self, number: u32) {
        // The golden ratio times 2^64: the upper bits of the product depend on all of the number's.
        let product = (self.0 ^ u64::from(number >> 1)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = product ^ product >> 32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closed_and_skipped_identifiers_are_told_apart() {
        let mut streams = Streams::default();
        assert_eq!(streams.find(1), Found::Idle);
        streams.open(5);
        streams.open(9);
        assert_eq!(streams.find(9), Found::Closed);
        assert_eq!(streams.find(7), Found::Skipped);
        assert_eq!(streams.find(5), Found::Closed);
        assert_eq!(streams.find(3), Found::Skipped);
        assert_eq!(streams.find(11), Found::Idle);
        assert_eq!(streams.find(4), Found::Idle);
        streams.open(9 + 128);
        assert_eq!(streams.find(9), Found::Closed);
        assert_eq!(streams.find(11), Found::Skipped);
        streams.open((1 << 31) - 1);
        assert_eq!(streams.find(9 + 128), Found::Closed);
    }

    #[test]
    fn few_resets_are_remembered() {
        let mut streams = Streams::default();
        for number in (1..=2 * MAX_REMEMBERED as u32 + 1).step_by(2) {
            streams.open(number);
            streams.remember_reset(number);
        }
        assert_eq!(streams.find(1), Found::Closed);
        assert_eq!(streams.find(3), Found::Reset);
        assert_eq!(streams.reset.len(), MAX_REMEMBERED);
    }
}
