//! Which stream sends next (RFC 9218 section 10).

use crate::{priority::LEVELS, stream::NONE, streams::Streams};

/// The streams that have data and window, in lists that are linked through the streams. It needs no
/// memory of its own.
///
/// Streams of a lower urgency wait until no stream of a higher one can send. Within an urgency,
/// streams that are not incremental send one after the other in the order of their identifiers, and
/// incremental ones in turns, a frame each; where there are both, the two kinds take turns.
#[derive(Debug, Default)]
pub(crate) struct Schedule {
    levels: [Level; LEVELS],
    /// Bit `i` says that level `i` is not empty.
    occupied: u8,
}

#[derive(Clone, Copy, Debug, Default)]
struct Level {
    /// By identifier.
    sequence: List,
    turns: List,
    /// Whose turn it is.
    turns_first: bool,
}

#[derive(Clone, Copy, Debug)]
struct List {
    first: u32,
    last: u32,
}

impl Default for List {
    fn default() -> Self {
        Self {
            first: NONE,
            last: NONE,
        }
    }
}

impl Schedule {
    /// Adds a stream that has data and window, unless it is there already.
    pub(crate) fn add(&mut self, slot: u32, streams: &mut Streams) {
        let Some(stream) = streams.at(slot) else {
            return;
        };
        if std::mem::replace(&mut stream.scheduled, true) {
            return;
        }
        let (priority, number) = (stream.priority, stream.number);
        let urgency = usize::from(priority.urgency) % LEVELS;
        self.occupied |= 1 << urgency;
        let level = &mut self.levels[urgency];
        match priority.incremental {
            true => level.turns.push(slot, streams),
            false => {
                let mut after = level.sequence.last;
                while let Some(it) = streams.at(after)
                    && it.number > number
                {
                    after = it.previous;
                }
                level.sequence.insert(slot, after, streams);
            }
        }
    }

    /// Takes out a stream, if it is there.
    pub(crate) fn remove(&mut self, slot: u32, streams: &mut Streams) {
        let Some(stream) = streams.at(slot) else {
            return;
        };
        if !std::mem::replace(&mut stream.scheduled, false) {
            return;
        }
        let priority = stream.priority;
        let urgency = usize::from(priority.urgency) % LEVELS;
        let level = &mut self.levels[urgency];
        match priority.incremental {
            true => level.turns.remove(slot, streams),
            false => level.sequence.remove(slot, streams),
        }
        if level.sequence.first == NONE && level.turns.first == NONE {
            self.occupied &= !(1 << urgency);
        }
    }

    /// The slot of the stream that sends a frame now.
    #[inline]
    pub(crate) fn next(&self) -> Option<u32> {
        if self.occupied == 0 {
            return None;
        }
        let level = &self.levels[self.occupied.trailing_zeros() as usize];
        let (one, other) = match level.turns_first {
            true => (level.turns.first, level.sequence.first),
            false => (level.sequence.first, level.turns.first),
        };
        Some(if one == NONE { other } else { one })
    }

    /// The stream has sent a frame. `more` says whether it has data and window left.
    pub(crate) fn sent(&mut self, slot: u32, more: bool, streams: &mut Streams) {
        let Some(stream) = streams.at(slot) else {
            return;
        };
        let priority = stream.priority;
        let level = &mut self.levels[usize::from(priority.urgency) % LEVELS];
        level.turns_first = !priority.incremental;
        if !more {
            self.remove(slot, streams);
        } else if priority.incremental && level.turns.last != slot {
            level.turns.remove(slot, streams);
            level.turns.push(slot, streams);
        }
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

impl List {
    /// Inserts behind the last one.
    fn push(&mut self, slot: u32, streams: &mut Streams) {
        self.insert(slot, self.last, streams);
    }

    /// Inserts behind `after`, or as the first one.
    fn insert(&mut self, slot: u32, after: u32, streams: &mut Streams) {
        let next = match streams.at(after) {
            Some(stream) => std::mem::replace(&mut stream.next, slot),
            None => std::mem::replace(&mut self.first, slot),
        };
        match streams.at(next) {
            Some(stream) => stream.previous = slot,
            None => self.last = slot,
        }
        if let Some(stream) = streams.at(slot) {
            (stream.previous, stream.next) = (after, next);
        }
    }

    fn remove(&mut self, slot: u32, streams: &mut Streams) {
        let Some(stream) = streams.at(slot) else {
            return;
        };
        let (previous, next) = (stream.previous, stream.next);
        (stream.previous, stream.next) = (NONE, NONE);
        match streams.at(previous) {
            Some(stream) => stream.next = next,
            None => self.first = next,
        }
        match streams.at(next) {
            Some(stream) => stream.previous = previous,
            None => self.last = previous,
        }
    }
}
