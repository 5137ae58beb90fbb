//! File descriptors: the limit of the process, and how many of them connections leave to the rest of
//! the process.

use std::{io, os::fd::RawFd};

use rlimit::Resource;

use crate::config::RESERVED_DESCRIPTORS;

/// How to raise the limit.
pub(super) const ADVICE: &str = "raise RLIMIT_NOFILE (`ulimit -n`, LimitNOFILE= in systemd)";

/// errno(3): too many open files in this process.
pub(super) const EMFILE: i32 = 24;

/// The limit that [`raise`] reaches.
pub(super) fn hard_limit() -> io::Result<u64> {
    Resource::NOFILE.get().map(|(_soft, hard)| hard)
}

/// Raises the soft limit to the hard one and returns the limit from now on.
pub(super) fn raise() -> u64 {
    // If it cannot be raised, the error at the limit says what to do.
    if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
        tracing::warn!(%error, "cannot raise the limit on open files");
    }
    Resource::NOFILE
        .get()
        .map_or(u64::MAX, |(soft, _hard)| soft)
}

/// The number that the descriptor of a connection has to stay below. The kernel always gives out the
/// lowest free number, so one from here on means that only the reserve is left.
///
/// Each of the `listeners` holds back one connection beside the reserve. A quarter of a low limit is
/// reserved at most.
pub(super) fn bound_of_connections(limit: u64, listeners: usize) -> RawFd {
    let reserve = (RESERVED_DESCRIPTORS + listeners) as u64;
    RawFd::try_from(limit - reserve.min(limit / 4)).unwrap_or(RawFd::MAX)
}

/// Warns if the connections that the workers may have do not fit into the limit.
pub(super) fn warn_if_short(limit: u64, max_connections: usize, workers: usize) {
    let needed = (max_connections as u64)
        .saturating_mul(workers as u64)
        .saturating_add(RESERVED_DESCRIPTORS as u64);
    if limit < needed {
        tracing::warn!(
            limit,
            needed,
            max_connections,
            workers,
            "the limit on open files is below the connections of all workers: at the limit new \
             connections wait until others end; {ADVICE}, or lower the number of connections"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_the_reserve() {
        assert_eq!(bound_of_connections(1024, 4), 1024 - 36);
        assert_eq!(bound_of_connections(60, 4), 45, "a low limit");
        assert_eq!(bound_of_connections(0, 4), 0);
        assert_eq!(bound_of_connections(u64::MAX, 4), RawFd::MAX);
    }
}
