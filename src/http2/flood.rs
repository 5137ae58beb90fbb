//! Peers that only make work: too many frames beside requests, too many requests taken back.

use std::{
    cell::Cell,
    fmt,
    time::{Duration, Instant},
};

use super::connection::Scope;
use crate::config::Http2Config;

/// What is counted in: a slow drip is no flood.
const PERIOD: Duration = Duration::from_secs(10);

/// Frames that a request accounts for: its head in a few frames, a change of priority, the
/// acknowledgement of its response's bytes, a PING to see how long that took.
const PER_REQUEST: u32 = 8;

/// What SETTINGS count for behind the first: each may change the windows of all streams, and no
/// client has reason to send many.
const SETTINGS_WEIGHT: u32 = 100;

/// What requests and responses account for, since it was looked at last.
#[derive(Default)]
pub(super) struct Tally {
    /// Frames that are not DATA.
    pub(super) accounted: Cell<u32>,
    pub(super) early_resets: Cell<u32>,
    pub(super) answered: Cell<u32>,
}

impl Tally {
    pub(super) fn request(&self) {
        add(&self.accounted, PER_REQUEST);
    }

    /// Peers acknowledge what they read by WINDOW_UPDATE; some do it for each DATA frame. One that
    /// is short because their window is accounts for nothing: `whole` is what ends a piece of the
    /// handler's.
    pub(super) fn sent(&self, bytes: usize, whole: bool) {
        let frames = u32::try_from(bytes / 256).unwrap_or(u32::MAX);
        add(&self.accounted, frames.saturating_add(4 * u32::from(whole)));
    }

    pub(super) fn answered(&self) {
        add(&self.answered, 1);
    }

    pub(super) fn early_reset(&self) {
        add(&self.early_resets, 1);
    }
}

fn add(cell: &Cell<u32>, n: u32) {
    cell.set(cell.get().saturating_add(n));
}

/// What a peer does too much of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flood {
    Frames,
    Resets,
}

impl Flood {
    pub(super) fn tell(self, scope: &Scope) {
        match self {
            Self::Frames => scope.counters.frame_floods.add(),
            Self::Resets => scope.counters.reset_floods.add(),
        }
        scope.counters.floods.add();
        tracing::info!(peer = %scope.info.peer_addr, why = %self, "a peer is told to calm down");
    }
}

/// h2 has limits of its own.
pub(super) fn note_flood(error: &h2::Error, scope: &Scope) {
    if error.is_library() && error.reason() == Some(h2::Reason::ENHANCE_YOUR_CALM) {
        scope.counters.floods.add();
        tracing::info!(peer = %scope.info.peer_addr, why = %error, "a peer is told to calm down");
    }
}

impl fmt::Display for Flood {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Frames => "the peer sent too many frames beside requests",
            Self::Resets => "the peer reset too many requests before they were answered",
        })
    }
}

/// Compares what a peer causes with what it is good for.
pub(super) struct FloodGate {
    frames: Excess,
    resets: Excess,
}

impl FloodGate {
    pub(super) fn new(config: &Http2Config) -> Self {
        Self {
            frames: Excess::new(config.max_extra_frames),
            resets: Excess::new(config.max_early_resets),
        }
    }

    /// Looks at what has come since the last time.
    pub(super) fn look(&mut self, frames: u32, tally: &Tally) -> Option<Flood> {
        if self.frames.exceeds(frames, tally.accounted.take()) {
            return Some(Flood::Frames);
        }
        if self
            .resets
            .exceeds(tally.early_resets.take(), tally.answered.take())
        {
            return Some(Flood::Resets);
        }
        None
    }
}

/// How far one count is ahead of another within a period.
struct Excess {
    most: u32,
    ahead: u32,
    since: Instant,
}

impl Excess {
    fn new(most: u32) -> Self {
        Self {
            most,
            ahead: 0,
            since: Instant::now(),
        }
    }

    /// The clock is asked only where there is too much: mostly there is not.
    fn exceeds(&mut self, more: u32, less: u32) -> bool {
        self.ahead = self.ahead.saturating_add(more).saturating_sub(less);
        if self.ahead <= self.most {
            return false;
        }
        if self.since.elapsed() < PERIOD {
            return true;
        }
        self.ahead = 0;
        self.since = Instant::now();
        false
    }
}

/// Reads the heads of frames out of what passes (RFC 9113 section 4.1), and counts those that are
/// not DATA: these are bounded by flow control, and by h2 where they are small or empty.
pub(super) struct FrameCounter {
    /// Of the preface or a payload.
    skip: usize,
    head: [u8; 4],
    /// Bytes of the head that have passed, of nine.
    have: usize,
    counted: u32,
    /// SETTINGS that any peer sends: its own, and that it has seen ours.
    first_settings: u8,
}

impl FrameCounter {
    pub(super) fn new() -> Self {
        const PREFACE: usize = 24;
        Self {
            skip: PREFACE,
            head: [0; 4],
            have: 0,
            counted: 0,
            first_settings: 2,
        }
    }

    /// How many since the last time.
    pub(super) fn take(&mut self) -> u32 {
        std::mem::take(&mut self.counted)
    }

    pub(super) fn read(&mut self, mut bytes: &[u8]) {
        const HEAD: usize = 9;
        const DATA: u8 = 0;
        const SETTINGS: u8 = 4;
        loop {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            bytes = &bytes[skipped..];
            if bytes.is_empty() {
                return;
            }
            let passing = (HEAD - self.have).min(bytes.len());
            for &byte in &bytes[..passing] {
                if let Some(place) = self.head.get_mut(self.have) {
                    *place = byte;
                }
                self.have += 1;
            }
            bytes = &bytes[passing..];
            if self.have < HEAD {
                return;
            }
            let [a, b, c, kind] = self.head;
            self.skip = u32::from_be_bytes([0, a, b, c]) as usize;
            self.have = 0;
            let weight = match kind {
                DATA => 0,
                SETTINGS if self.first_settings == 0 => SETTINGS_WEIGHT,
                SETTINGS => {
                    self.first_settings -= 1;
                    1
                }
                _ => 1,
            };
            self.counted = self.counted.saturating_add(weight);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

    fn frame(kind: u8, payload: usize) -> Vec<u8> {
        let length = u8::try_from(payload).expect("short");
        let head = [0, 0, length, kind, 0, 0, 0, 0, 1];
        [&head[..], &vec![0xff; payload]].concat()
    }

    #[test]
    fn frames_are_counted_however_they_are_cut() {
        let frames = [frame(4, 0), frame(1, 30), frame(0, 200), frame(6, 8)];
        let bytes = [PREFACE, &frames.concat()].concat();
        for size in 1..bytes.len() {
            let mut counter = FrameCounter::new();
            bytes.chunks(size).for_each(|piece| counter.read(piece));
            assert_eq!(counter.take(), 3, "in pieces of {size}");
            assert_eq!(counter.take(), 0, "they are counted once");
        }
    }

    fn gate(most: u32) -> FloodGate {
        let config = Http2Config {
            max_extra_frames: most,
            max_early_resets: most,
            ..Http2Config::default()
        };
        FloodGate::new(&config)
    }

    #[test]
    fn what_requests_account_for_is_no_flood() {
        let mut gate = gate(10);
        let tally = Tally::default();
        for _ in 0..1000 {
            tally.request();
            assert_eq!(gate.look(PER_REQUEST, &tally), None);
        }
        assert_eq!(gate.look(10, &tally), None);
        assert_eq!(gate.look(1, &tally), Some(Flood::Frames));
    }

    #[test]
    fn nothing_is_saved_up() {
        let mut gate = gate(10);
        let tally = Tally::default();
        tally.sent(1024 * 1024, true);
        assert_eq!(gate.look(0, &tally), None);
        assert_eq!(gate.look(11, &tally), Some(Flood::Frames));
    }

    #[test]
    fn resets_are_set_off_by_answers() {
        let mut gate = gate(10);
        let tally = Tally::default();
        for _ in 0..1000 {
            tally.early_reset();
            tally.answered();
            assert_eq!(gate.look(0, &tally), None);
        }
        (0..11).for_each(|_| tally.early_reset());
        assert_eq!(gate.look(0, &tally), Some(Flood::Resets));
    }

    #[test]
    fn a_new_period_forgives() {
        let mut gate = gate(10);
        let tally = Tally::default();
        gate.frames.since = Instant::now().checked_sub(PERIOD).expect("up for as long");
        assert_eq!(gate.look(11, &tally), None);
        assert_eq!(gate.look(11, &tally), Some(Flood::Frames));
    }
}
