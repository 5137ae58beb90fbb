//! How old sessions get. To resume one makes a new ticket, and that one another: what has to come to
//! an end is all that goes back to one full handshake (RFC 8446 section 4.6.1).

use std::{
    cell::Cell,
    fmt,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use ::rustls::server::{ServerSessionMemoryCache, StoresServerSessions};

thread_local! {
    /// Of the connection that is being worked on: rustls asks for tickets without saying for whom.
    static FULL_HANDSHAKE: Cell<Option<u64>> = const { Cell::new(None) };
}

/// Of one connection: when the full handshake was that its session goes back to, in seconds since
/// 1970; `None` as long as that is this one.
#[derive(Default)]
pub(crate) struct SessionAge(Option<u64>);

impl SessionAge {
    /// Lets rustls work on this connection.
    pub(crate) fn during<T>(&mut self, work: impl FnOnce() -> T) -> T {
        FULL_HANDSHAKE.set(self.0);
        let result = work();
        self.0 = FULL_HANDSHAKE.take();
        result
    }

    /// What was offered was not resumed after all.
    pub(crate) fn begins_now(&mut self) {
        self.0 = None;
    }
}

/// How far the clock of who made a ticket may be ahead, seconds.
const SKEW: u64 = 60;

const STAMP: usize = 8;

pub(super) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

/// The session's state with the time of its full handshake before it.
pub(super) fn stamped(state: &[u8], now: u64) -> Vec<u8> {
    let begun = FULL_HANDSHAKE.get().unwrap_or(now);
    [&begun.to_be_bytes(), state].concat()
}

/// The state without the time, unless it is over by now.
pub(super) fn unstamped(stamped: &[u8], now: u64, lifetime: Duration) -> Option<Vec<u8>> {
    let (stamp, state) = stamped.split_first_chunk::<STAMP>()?;
    let begun = u64::from_be_bytes(*stamp);
    if begun > now + SKEW || now.saturating_sub(begun) >= lifetime.as_secs() {
        return None;
    }
    FULL_HANDSHAKE.set(Some(begun));
    Some(state.to_vec())
}

/// How much of the lifetime is left to the session under way.
#[cfg_attr(
    not(any(test, feature = "aws-lc-rs", feature = "ring")),
    expect(dead_code, reason = "it is told with tickets only")
)]
pub(super) fn left(now: u64, lifetime: Duration) -> Duration {
    let begun = FULL_HANDSHAKE.get().unwrap_or(now);
    lifetime.saturating_sub(Duration::from_secs(now.saturating_sub(begun)))
}

/// Sessions for clients that resume without tickets, in memory, with the same end to them.
pub(crate) struct SessionCache {
    sessions: Arc<ServerSessionMemoryCache>,
    lifetime: Duration,
}

impl SessionCache {
    pub(crate) fn new(size: usize, lifetime: Duration) -> Arc<Self> {
        Arc::new(Self {
            sessions: ServerSessionMemoryCache::new(size),
            lifetime,
        })
    }
}

impl StoresServerSessions for SessionCache {
    fn put(&self, key: Vec<u8>, value: Vec<u8>) -> bool {
        self.sessions.put(key, stamped(&value, now()))
    }

    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        unstamped(&self.sessions.get(key)?, now(), self.lifetime)
    }

    fn take(&self, key: &[u8]) -> Option<Vec<u8>> {
        unstamped(&self.sessions.take(key)?, now(), self.lifetime)
    }

    fn can_cache(&self) -> bool {
        self.sessions.can_cache()
    }
}

/// Never shows a session.
impl fmt::Debug for SessionCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionCache").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn it_is_over_an_hour_after_the_full_handshake() {
        let first = SessionAge::default().during(|| stamped(b"state", 10_000));
        let mut resumed = SessionAge::default();
        let state = resumed.during(|| unstamped(&first, 13_000, HOUR));
        assert_eq!(state.as_deref(), Some(&b"state"[..]));
        // Another connection in between, a full handshake.
        SessionAge::default().during(|| assert_eq!(left(13_000, HOUR), HOUR));
        let second = resumed.during(|| {
            assert_eq!(left(13_000, HOUR).as_secs(), 600);
            stamped(b"state", 13_000)
        });
        let open = |ticket: &[u8], now| {
            SessionAge::default().during(|| unstamped(ticket, now, HOUR).is_some())
        };
        assert!(open(&second, 13_599));
        assert!(!open(&second, 13_600), "no longer by having been resumed");
        resumed.begins_now();
        let third = resumed.during(|| stamped(b"state", 13_000));
        assert!(open(&third, 13_600));
    }

    #[test]
    fn clocks_may_differ_by_a_minute() {
        let ticket = SessionAge::default().during(|| stamped(b"state", 10_000));
        let open = |now| SessionAge::default().during(|| unstamped(&ticket, now, HOUR).is_some());
        assert!(open(9_940));
        assert!(!open(9_939));
        assert!(unstamped(&[0; 7], 0, HOUR).is_none());
    }
}
