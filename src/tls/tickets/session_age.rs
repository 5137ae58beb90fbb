//! Limits the age of sessions. Resuming a session makes a new ticket, so the lifetime counts from the
//! full handshake that a chain of tickets goes back to (RFC 8446 section 4.6.1).
//!
//! The time of that handshake reaches the ticketer and the session cache through a thread-local.
//! rustls 0.23 calls them with opaque bytes only and names no connection. Its resumption data
//! (`ServerConnection::set_resumption_data`) cannot replace the thread-local: it is inside those
//! bytes, so expired tickets could not be refused, and in TLS 1.2 rustls opens the old ticket and
//! seals the new one within one call. A `ServerConfig` per connection could, but costs
//! allocations for every connection.

use std::{
    cell::Cell,
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};

use ::rustls::server::{ServerSessionMemoryCache, StoresServerSessions};

use super::lifetime::{is_current, now};

thread_local! {
    /// The full handshake of the connection that rustls works on, in seconds since 1970. Set only
    /// during [`SessionAge::during`].
    static FULL_HANDSHAKE: Cell<Option<u64>> = const { Cell::new(None) };
}

/// The time of the full handshake that the session of a connection goes back to, in seconds since
/// 1970; `None` for a session that was not resumed.
#[derive(Default)]
pub(crate) struct SessionAge(Option<u64>);

impl SessionAge {
    /// Runs a call into rustls that may open or seal tickets of this connection.
    pub(crate) fn during<T>(&mut self, work: impl FnOnce() -> T) -> T {
        FULL_HANDSHAKE.set(self.0);
        let result = work();
        self.0 = FULL_HANDSHAKE.take();
        result
    }

    /// Call it after a full handshake: rustls opened a ticket but did not resume its session.
    pub(crate) fn restart(&mut self) {
        self.0 = None;
    }
}

/// The length of the time before the state, bytes.
const STAMP_LEN: usize = 8;

/// Puts the time of the full handshake before the state of a session.
pub(super) fn stamped(state: &[u8], now: u64) -> Vec<u8> {
    let begun = FULL_HANDSHAKE.get().unwrap_or(now);
    [&begun.to_be_bytes(), state].concat()
}

/// Takes the time off the state again; `None` if the session has expired.
pub(super) fn unstamped(stamped: &[u8], now: u64, lifetime: Duration) -> Option<Vec<u8>> {
    let (stamp, state) = stamped.split_first_chunk::<STAMP_LEN>()?;
    let begun = u64::from_be_bytes(*stamp);
    if !is_current(begun, now, lifetime) {
        return None;
    }
    FULL_HANDSHAKE.set(Some(begun));
    Some(state.to_vec())
}

/// How much is left of the lifetime of the present session.
#[cfg_attr(
    not(any(test, feature = "aws-lc-rs", feature = "ring")),
    expect(dead_code, reason = "only tickets state it")
)]
pub(super) fn left(now: u64, lifetime: Duration) -> Duration {
    let begun = FULL_HANDSHAKE.get().unwrap_or(now);
    lifetime.saturating_sub(Duration::from_secs(now.saturating_sub(begun)))
}

/// The largest state of a session, bytes. Client certificates make it large, and would also make the
/// client's next ClientHello larger than the server reads.
pub(super) const MAX_STATE: usize = 8 * 1024;

/// Sessions of clients that resume without tickets, in memory, with the same lifetime.
pub(crate) struct SessionCache {
    /// Made for the first session: rustls allocates the places of all at once, and of many identities
    /// few have clients without tickets.
    sessions: OnceLock<Arc<ServerSessionMemoryCache>>,
    size: usize,
    lifetime: Duration,
}

impl SessionCache {
    pub(crate) fn new(size: usize, lifetime: Duration) -> Arc<Self> {
        Arc::new(Self {
            sessions: OnceLock::new(),
            size,
            lifetime,
        })
    }
}

impl StoresServerSessions for SessionCache {
    fn put(&self, key: Vec<u8>, value: Vec<u8>) -> bool {
        let make = || ServerSessionMemoryCache::new(self.size);
        value.len() <= MAX_STATE && {
            let sessions = self.sessions.get_or_init(make);
            sessions.put(key, stamped(&value, now()))
        }
    }

    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        unstamped(&self.sessions.get()?.get(key)?, now(), self.lifetime)
    }

    fn take(&self, key: &[u8]) -> Option<Vec<u8>> {
        unstamped(&self.sessions.get()?.take(key)?, now(), self.lifetime)
    }

    fn can_cache(&self) -> bool {
        true
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
    fn sessions_expire_an_hour_after_the_full_handshake() {
        let first = SessionAge::default().during(|| stamped(b"state", 10_000));
        let mut resumed = SessionAge::default();
        let state = resumed.during(|| unstamped(&first, 13_000, HOUR));
        assert_eq!(state.as_deref(), Some(&b"state"[..]));
        // A full handshake of another connection in between.
        SessionAge::default().during(|| assert_eq!(left(13_000, HOUR), HOUR));
        let second = resumed.during(|| {
            assert_eq!(left(13_000, HOUR).as_secs(), 600);
            stamped(b"state", 13_000)
        });
        let open = |ticket: &[u8], now| {
            SessionAge::default().during(|| unstamped(ticket, now, HOUR).is_some())
        };
        assert!(open(&second, 13_599));
        assert!(!open(&second, 13_600), "resuming does not extend it");
        resumed.restart();
        let third = resumed.during(|| stamped(b"state", 13_000));
        assert!(open(&third, 13_600));
    }

    #[test]
    fn the_first_session_allocates_the_cache() {
        let cache = SessionCache::new(2, HOUR);
        assert!(cache.can_cache());
        assert_eq!((cache.get(b"1"), cache.take(b"1")), (None, None));
        assert!(!cache.put(b"1".to_vec(), vec![0; MAX_STATE + 1]));
        assert!(cache.sessions.get().is_none());
        assert!(cache.put(b"1".to_vec(), b"state".to_vec()));
        assert_eq!(cache.get(b"1").as_deref(), Some(&b"state"[..]));
        assert_eq!(cache.take(b"1").as_deref(), Some(&b"state"[..]));
        assert_eq!(cache.get(b"1"), None);
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
