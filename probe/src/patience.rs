//! How long to wait for a server, given how it has answered so far.

use std::{cell::Cell, time::Duration};

/// What a client waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// The end of a handshake, from the start of the connection.
    Handshake,
    /// The answer to a GET over the HTTP/2 that the server chose.
    Http2,
    /// An answer that the server did not promise. A server of another protocol than HTTP/2 may never
    /// answer, and does not have to.
    Unpromised,
}

/// The limit of [`Wait::Unpromised`].
const UNPROMISED: Duration = Duration::from_secs(1);

/// Once a wait was in vain, the next ones of its kind have this part of the time: twenty offers then
/// cost as much as the first.
const PART: u32 = 20;

/// The shortest wait: a busy machine may need this long for one handshake.
const SHORTEST: Duration = Duration::from_millis(100);

/// A server that takes this long to close without an answer has let its own time-out pass.
const SLOW: Duration = Duration::from_millis(500);

/// How much longer than the slowest answer so far a wait has to be, to be fair to distant servers. A
/// handshake is at least two round trips, an answer to what follows it is one.
const SLOWER: u32 = 2;

/// Waits in full until a server leaves one offer without an answer, and then less: that row shows the
/// fault already, and each further offer would cost the whole time-out.
#[derive(Debug)]
pub(crate) struct Patience {
    timeout: Duration,
    slowest: Cell<Duration>,
    in_vain: [Cell<bool>; 3],
}

impl Patience {
    pub(crate) fn new(timeout: Duration) -> Self {
        Self {
            timeout,
            slowest: Cell::new(Duration::ZERO),
            in_vain: Default::default(),
        }
    }

    /// How long one connection may take in all.
    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// How long to wait now.
    pub(crate) fn limit(&self, wait: Wait) -> Duration {
        let full = match wait {
            Wait::Handshake | Wait::Http2 => self.timeout,
            Wait::Unpromised => UNPROMISED.min(self.timeout),
        };
        let in_vain = |wait: Wait| self.in_vain[wait as usize].get();
        // A server that leaves a promise unanswered is not waited for without one.
        if !(in_vain(wait) || wait == Wait::Unpromised && in_vain(Wait::Http2)) {
            return full;
        }
        let fair = self.slowest.get() * SLOWER;
        // In whole milliseconds, as it is shown.
        let fair = Duration::from_millis(fair.as_millis().try_into().unwrap_or(u64::MAX));
        (full / PART).max(SHORTEST).max(fair).min(full)
    }

    /// A wait ended without an answer.
    pub(crate) fn was_in_vain(&self, wait: Wait) {
        self.in_vain[wait as usize].set(true);
    }

    /// The server has closed or failed without an answer, so long after the start of the connection.
    pub(crate) fn failed_after(&self, wait: Wait, time: Duration) {
        if time >= SLOW {
            self.was_in_vain(wait);
        }
    }

    /// The server has answered, so long after the start of the connection.
    pub(crate) fn answered_after(&self, time: Duration) {
        self.slowest.set(self.slowest.get().max(time));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn waits_less_after_a_wait_in_vain() {
        let patience = Patience::new(ms(5000));
        assert_eq!(patience.limit(Wait::Http2), ms(5000));
        assert_eq!(patience.limit(Wait::Unpromised), ms(1000));
        patience.was_in_vain(Wait::Unpromised);
        assert_eq!(patience.limit(Wait::Unpromised), ms(100));
        assert_eq!(patience.limit(Wait::Http2), ms(5000));
        patience.was_in_vain(Wait::Http2);
        assert_eq!(patience.limit(Wait::Http2), ms(250));
        // What a server leaves unanswered is not a reason to hurry its handshake.
        assert_eq!(patience.limit(Wait::Handshake), ms(5000));
        let patience = Patience::new(ms(5000));
        patience.was_in_vain(Wait::Http2);
        assert_eq!(patience.limit(Wait::Unpromised), ms(100));
    }

    #[test]
    fn a_server_that_closes_after_a_while_let_the_wait_be_in_vain() {
        let patience = Patience::new(ms(5000));
        patience.failed_after(Wait::Http2, ms(499));
        assert_eq!(patience.limit(Wait::Http2), ms(5000));
        patience.failed_after(Wait::Http2, ms(500));
        assert_eq!(patience.limit(Wait::Http2), ms(250));
    }

    #[test]
    fn waits_longer_for_a_distant_server() {
        let patience = Patience::new(ms(5000));
        patience.was_in_vain(Wait::Http2);
        patience.answered_after(ms(700));
        patience.answered_after(ms(300));
        assert_eq!(patience.limit(Wait::Http2), ms(1400));
        patience.answered_after(ms(4000));
        assert_eq!(patience.limit(Wait::Http2), ms(5000));
        // A time-out of the user's below the shortest wait.
        let patience = Patience::new(ms(50));
        patience.was_in_vain(Wait::Handshake);
        assert_eq!(patience.limit(Wait::Handshake), ms(50));
    }

    /// A run of the default offers has nine by each of three TLS libraries, seven of which wait for
    /// HTTP/2, and five malformed ones.
    #[test]
    fn a_run_in_vain_takes_less_than_thirteen_seconds() {
        let patience = Patience::new(crate::options::TIMEOUT);
        let mut sum = Duration::ZERO;
        for _ in 0..32 {
            sum += patience.limit(Wait::Http2);
            patience.was_in_vain(Wait::Http2);
        }
        assert_eq!(sum, ms(5000 + 31 * 250));
    }
}
