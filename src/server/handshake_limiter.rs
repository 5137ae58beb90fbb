//! Limits how many handshakes a worker has in progress, and how long each may take.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    future::{Future, poll_fn},
    net::SocketAddr,
    num::NonZeroUsize,
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use super::{linger::close, log_rate_limiter::LogRateLimiter, runtime::TIMER, socket::Socket};
use crate::{
    connection_info::display_addr,
    counters::Counters,
    error::{Chain, Error, Kind},
    negotiated::{NamedGroup, Negotiated, TlsVersion},
    schedule::YieldQueue,
    time::Deadline,
};

/// Gives permits for handshakes. Past the limit a new handshake takes the permit of the oldest one.
///
/// Refusing the newest handshake would let a client block the worker with handshakes that it never
/// finishes. An honest client finishes within a few round trips, so the oldest handshakes are
/// mostly abandoned ones.
pub(super) struct HandshakeLimiter {
    /// `None`: no limit, and failures are not logged as warnings.
    limit: Cell<Option<NonZeroUsize>>,
    time_limit: Cell<Duration>,
    counters: Arc<Counters>,
    yields: Rc<YieldQueue>,
    next: Cell<u64>,
    /// Handshakes in progress by age, each with the task that its permit was taken from last.
    in_progress: RefCell<BTreeMap<u64, Option<Waker>>>,
    displaced: LogRateLimiter,
    missing_proxy_headers: LogRateLimiter,
}

/// The permission to continue a handshake. It returns to the limiter when it is dropped.
pub(super) struct HandshakePermit<'a> {
    limiter: &'a HandshakeLimiter,
    /// The key in `in_progress`; `None` without a limit.
    number: Option<u64>,
    started: Instant,
    /// Of all steps together.
    deadline: RefCell<Deadline>,
}

impl HandshakeLimiter {
    pub(super) fn new(
        limit: NonZeroUsize,
        time_limit: Duration,
        counters: &Arc<Counters>,
        yields: Rc<YieldQueue>,
    ) -> Self {
        Self {
            limit: Cell::new(Some(limit)),
            ..Self::unlimited(time_limit, counters, yields)
        }
    }

    /// Limits the time only.
    pub(super) fn unlimited(
        time_limit: Duration,
        counters: &Arc<Counters>,
        yields: Rc<YieldQueue>,
    ) -> Self {
        Self {
            limit: Cell::new(None),
            time_limit: Cell::new(time_limit),
            counters: Arc::clone(counters),
            yields,
            next: Cell::new(0),
            in_progress: RefCell::default(),
            displaced: LogRateLimiter::default(),
            missing_proxy_headers: LogRateLimiter::default(),
        }
    }

    /// Replaces both limits, also for handshakes in progress.
    pub(super) fn set_limits(&self, limit: NonZeroUsize, time_limit: Duration) {
        self.limit.set(Some(limit));
        self.time_limit.set(time_limit);
    }

    /// Starts the clock of a handshake. Past the limit the oldest handshake loses its permit.
    pub(super) fn start(&self) -> HandshakePermit<'_> {
        HandshakePermit {
            limiter: self,
            number: self.limit.get().map(|limit| self.enter(limit)),
            started: Instant::now(),
            deadline: RefCell::new(Deadline::begun(TIMER, self.time_limit.get())),
        }
    }

    fn enter(&self, limit: NonZeroUsize) -> u64 {
        let number = self.next.get();
        self.next.set(number + 1);
        let mut in_progress = self.in_progress.borrow_mut();
        in_progress.insert(number, None);
        if in_progress.len() > limit.get() {
            let oldest = in_progress.pop_first();
            drop(in_progress);
            self.counters.handshakes_displaced.add();
            if let Some(times) = self.displaced.occurred() {
                tracing::warn!(
                    limit,
                    times,
                    "too many handshakes in progress: closing the oldest"
                );
            }
            if let Some((_, Some(waker))) = oldest {
                waker.wake();
            }
        }
        number
    }
}

impl HandshakePermit<'_> {
    /// Runs one step of the handshake, until the time limit of the whole handshake has passed or a
    /// newer handshake has taken the permit. `step` names it in the error.
    pub(super) async fn run<F: Future + Unpin>(
        &self,
        step: &str,
        mut future: F,
    ) -> Result<F::Output, Error> {
        let limit = self.limiter.time_limit.get();
        self.deadline.borrow_mut().set_limit(limit);
        poll_fn(|cx| {
            if let Poll::Ready(output) = Pin::new(&mut future).poll(cx) {
                return Poll::Ready(Ok(output));
            }
            if self.deadline.borrow_mut().poll_waiting(cx).is_ready() {
                return Poll::Ready(Err(Error::timeout(step, limit)));
            }
            self.poll_displaced(cx).map(|()| {
                let message = format!("{step} was cancelled in favour of a newer handshake");
                Err(Error::new(Kind::Displaced, message))
            })
        })
        .await
    }

    /// Closes the socket of a failed handshake after the client has received the final bytes.
    pub(super) async fn close(&self, socket: &mut Socket, final_bytes: &[u8]) {
        let limiter = self.limiter;
        let limit = limiter.time_limit.get();
        close(socket, final_bytes, limit, &limiter.yields).await;
    }

    /// Counts and logs a complete TLS handshake.
    pub(super) fn completed(&self, peer: Option<SocketAddr>, negotiated: &Negotiated) {
        let counters = &self.limiter.counters;
        match negotiated.tls_version {
            Some(TlsVersion::TLS_1_2) => counters.handshakes_tls_1_2.add(),
            Some(TlsVersion::TLS_1_3) => counters.handshakes_tls_1_3.add(),
            _ => {}
        }
        match negotiated.key_exchange_group {
            Some(NamedGroup::X25519MLKEM768) => counters.key_exchanges_x25519mlkem768.add(),
            Some(NamedGroup::X25519) => counters.key_exchanges_x25519.add(),
            Some(NamedGroup::SECP256R1) => counters.key_exchanges_secp256r1.add(),
            Some(NamedGroup::SECP384R1) => counters.key_exchanges_secp384r1.add(),
            Some(_) => counters.key_exchanges_other.add(),
            None => {}
        }
        counters.handshakes_completed.add();
        if negotiated.resumed == Some(true) {
            counters.sessions_resumed.add();
        }
        tracing::debug!(
            peer = %display_addr(peer),
            version = negotiated.tls_version.map(tracing::field::display),
            cipher_suite = negotiated.cipher_suite.map(tracing::field::display),
            group = negotiated.key_exchange_group.map(tracing::field::display),
            alpn = negotiated.alpn_protocol.as_ref().map(tracing::field::display),
            server_name = negotiated.server_name.as_deref(),
            resumed = negotiated.resumed,
            time = ?self.started.elapsed(),
            "handshake completed"
        );
    }

    /// Counts and logs a failed handshake, and returns its error.
    pub(super) fn failed(&self, peer: Option<SocketAddr>, error: Error) -> Error {
        let counters = &self.limiter.counters;
        match error.kind() {
            Kind::AlpnMismatch => counters.alpn_refused.add(),
            Kind::AlpnDisagreement => counters.alpn_disagreements.add(),
            Kind::Timeout => counters.handshakes_timed_out.add(),
            Kind::PlainHttp => counters.plain_http_refused.add(),
            Kind::NothingSent => counters.handshakes_not_begun.add(),
            Kind::NotTls => counters.not_tls_refused.add(),
            Kind::ClientCertificate => counters.client_certificates_refused.add(),
            Kind::ProxyHeader => {
                counters.proxy_headers_refused.add();
                self.limiter.warn_of_proxy(peer, &error);
            }
            _ => {}
        }
        counters.handshakes_failed.add();
        tracing::info!(
            peer = %display_addr(peer),
            why = %Chain(&error),
            time = ?self.started.elapsed(),
            "handshake failed"
        );
        error
    }

    /// Ready when a newer handshake has taken the permit.
    fn poll_displaced(&self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(number) = self.number else {
            return Poll::Pending;
        };
        match self.limiter.in_progress.borrow_mut().get_mut(&number) {
            Some(waker) => {
                *waker = Some(cx.waker().clone());
                Poll::Pending
            }
            None => Poll::Ready(()),
        }
    }
}

impl HandshakeLimiter {
    /// A proxy without PROXY headers is a configuration error that locks out all of its clients, so
    /// it is logged as a warning.
    fn warn_of_proxy(&self, peer: Option<SocketAddr>, error: &Error) {
        if self.limit.get().is_some()
            && let Some(times) = self.missing_proxy_headers.occurred()
        {
            let peer = display_addr(peer);
            tracing::warn!(%peer, times, why = %Chain(error), "a proxy sent no valid PROXY header");
        }
    }
}

impl Drop for HandshakePermit<'_> {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.limiter.in_progress.borrow_mut().remove(&number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_handshake_takes_the_permit_of_the_oldest() {
        let counters = Arc::new(Counters::default());
        let displaced = |permit: &HandshakePermit<'_>| {
            let waker = Waker::noop();
            permit
                .poll_displaced(&mut Context::from_waker(waker))
                .is_ready()
        };
        let two = NonZeroUsize::MIN.saturating_add(1);
        let limiter = HandshakeLimiter::new(two, Duration::from_secs(10), &counters, Rc::default());
        let first = limiter.start();
        let second = limiter.start();
        assert!(!displaced(&first));
        let third = limiter.start();
        assert!(displaced(&first));
        assert!(!displaced(&second));
        drop(first);
        drop(third);
        let _fourth = limiter.start();
        assert!(!displaced(&second));
        assert_eq!(counters.read().handshakes_displaced, 1);
    }

    #[test]
    fn another_limit_holds_for_the_next_handshake() {
        let counters = Arc::new(Counters::default());
        let two = NonZeroUsize::MIN.saturating_add(1);
        let limiter = HandshakeLimiter::new(two, Duration::from_secs(10), &counters, Rc::default());
        let _first = limiter.start();
        limiter.set_limits(NonZeroUsize::MIN, Duration::from_secs(5));
        let _second = limiter.start();
        assert_eq!(counters.read().handshakes_displaced, 1);
        assert_eq!(limiter.time_limit.get(), Duration::from_secs(5));
    }

    #[test]
    fn without_a_limit_no_handshake_is_displaced() {
        let counters = Arc::new(Counters::default());
        let limiter =
            HandshakeLimiter::unlimited(Duration::from_secs(10), &counters, Rc::default());
        let permits: Vec<_> = (0..1_000).map(|_| limiter.start()).collect();
        let mut cx = Context::from_waker(Waker::noop());
        assert!(permits[0].poll_displaced(&mut cx).is_pending());
        assert_eq!(counters.read().handshakes_displaced, 0);
    }
}
