//! The streams of a connection, and what is remembered of closed ones (RFC 9113 section 5.1).

use std::collections::VecDeque;

use crate::stream::{Stream, StreamId};

/// Streams that the connection has reset and whose late frames it ignores (RFC 9113 section 5.4.2).
/// The oldest is forgotten first. 64 is more than what clients have on their way.
const MAX_REMEMBERED: usize = 64;

/// Slots that an idle connection keeps: a vector begins with as many.
const KEPT: usize = 4;

/// The streams that are not closed, in slots that are used again.
///
/// Holds [`Config::max_concurrent_streams`](crate::Config::max_concurrent_streams) streams at most,
/// and the identifiers of 64 closed ones.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    slots: Vec<Option<Stream>>,
    free: Vec<u32>,
    /// Identifiers and slots, by identifier. New ones come last, as a client counts upwards, and most
    /// streams are closed in their order: both ends are cheap.
    by_number: VecDeque<(u32, u32)>,
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
        self.by_number.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_number.is_empty()
    }

    /// The highest identifier that the client has used, 0 if none.
    pub(crate) fn last(&self) -> u32 {
        self.last
    }

    pub(crate) fn find(&self, number: u32) -> Found {
        if number > self.last || number.is_multiple_of(2) {
            return Found::Idle;
        }
        if let Some(&(_, slot)) = self
            .place(number)
            .and_then(|place| self.by_number.get(place))
        {
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
        self.by_number.push_back((number, slot));
        StreamId { number, slot }
    }

    /// Where `by_number` has this identifier.
    #[inline]
    fn place(&self, number: u32) -> Option<usize> {
        let (&(first, _), &(last, _)) = (self.by_number.front()?, self.by_number.back()?);
        if number == first {
            return Some(0);
        }
        if number == last {
            return Some(self.by_number.len() - 1);
        }
        self.by_number
            .binary_search_by_key(&number, |(it, _)| *it)
            .ok()
    }

    pub(crate) fn remove(&mut self, slot: u32) -> Option<Stream> {
        let stream = self.slots.get_mut(slot as usize)?.take()?;
        self.free.push(slot);
        if let Some(place) = self.place(stream.number) {
            self.by_number.remove(place);
        }
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
        self.by_number = VecDeque::new();
        self.reset = VecDeque::new();
    }

    /// Frees the memory of streams if none is open, but for the few that one request at a time needs.
    pub(crate) fn shrink(&mut self) {
        if self.is_empty() && self.slots.len() > KEPT {
            self.slots = Vec::new();
            self.free = Vec::new();
            self.by_number = VecDeque::new();
            self.reset.shrink_to_fit();
        }
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
    fn streams_are_found_by_identifier_in_whatever_order_they_close() {
        let mut streams = Streams::default();
        let numbers = [1, 3, 7, 9, 15];
        for number in numbers {
            streams.open(number);
            streams.insert(crate::schedule_tests::stream(number));
        }
        for closed in [7, 15, 1, 3, 9] {
            let Found::Live(slot) = streams.find(closed) else {
                panic!("{closed} is open");
            };
            let removed = streams.remove(slot).map(|stream| stream.number);
            assert_eq!(removed, Some(closed));
            assert_eq!(streams.find(closed), Found::Closed);
        }
        assert!(streams.is_empty());
        assert_eq!(streams.find(5), Found::Skipped);
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
