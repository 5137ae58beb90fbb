//! One connection after another.

use std::fs;

use super::inputs::GARBAGE;
use crate::{
    backend::Backend,
    session::{Client, Pair, Peer, pattern},
};

/// Resident memory of this process that is not of files, bytes. It counts what any library allocates.
fn resident() -> Option<usize> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"))?;
    let kib: usize = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// How a connection ends.
#[derive(Clone, Copy, Debug)]
enum End {
    InHandshake,
    CloseNotify,
    Failure,
    WithBlockedWrites,
    Dropped,
}

const ENDS: [End; 5] = [
    End::InHandshake,
    End::CloseNotify,
    End::Failure,
    End::WithBlockedWrites,
    End::Dropped,
];

/// Connections of each kind before the measurement: caches fill, the allocator gets its memory.
const BEFORE: usize = 50;

/// Connections of each kind that are measured.
const MEASURED: usize = 400;

/// What a connection may leave behind on average, bytes: less than any session, and more than the noise
/// of the measurement.
const EACH: usize = 1024;

pub(super) fn connections_leave_no_memory_behind(backend: &Backend) {
    let kinds = |n: usize| {
        for peer in backend.peers() {
            for end in ENDS {
                (0..n).for_each(|_| connection(backend, peer, end));
            }
        }
    };
    kinds(BEFORE);
    for peer in backend.peers() {
        for end in ENDS {
            // Twice, because other threads may allocate meanwhile.
            let mut grown = usize::MAX;
            for _ in 0..2 {
                let before = resident().expect("RssAnon in /proc");
                (0..MEASURED).for_each(|_| connection(backend, peer, end));
                let after = resident().expect("RssAnon in /proc");
                grown = grown.min(after.saturating_sub(before) / MEASURED);
                if grown <= EACH {
                    break;
                }
            }
            assert!(grown <= EACH, "{peer:?}, {end:?}: {grown} bytes each");
        }
    }
}

fn connection(backend: &Backend, peer: Peer, end: End) {
    // Each client has a new configuration, so it has no session to resume.
    let mut pair = Pair::begin(backend.acceptor(), Client::new(peer));
    if let End::InHandshake = end {
        let _ = pair.handshake();
        return;
    }
    pair.shake_hands();
    pair.client.send(b"data", &mut pair.wire);
    assert_eq!(pair.read_all(4), b"data");
    pair.write_all(b"answer");
    match end {
        End::CloseNotify => {
            pair.client.close(&mut pair.wire);
            let _ = pair.read();
            pair.session.send_close_notify();
            pair.flush();
        }
        End::Failure => {
            pair.wire.incoming.extend(GARBAGE);
            let _ = pair.read();
        }
        End::WithBlockedWrites => drop(pair.write_until_blocked(&pattern(30_000))),
        End::InHandshake | End::Dropped => {}
    }
}
