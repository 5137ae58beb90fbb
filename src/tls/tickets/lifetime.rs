//! How long after its full handshake a session may be resumed.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How far the clock of the host that sealed a ticket may be ahead, seconds.
const MAX_SKEW: u64 = 60;

/// The time in seconds since 1970.
pub(in crate::tls) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

/// Whether a session may be resumed whose full handshake was at `begun`, in seconds since 1970.
pub(in crate::tls) fn is_current(begun: u64, now: u64, lifetime: Duration) -> bool {
    begun <= now.saturating_add(MAX_SKEW) && now.saturating_sub(begun) < lifetime.as_secs()
}
