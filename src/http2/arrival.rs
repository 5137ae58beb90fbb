//! How a request's body comes in: watched where the response is made, as the body itself may be
//! anywhere and has no timer.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use futures_util::task::AtomicWaker;
use h2::RecvStream;
use http::StatusCode;

use super::context::ConnectionContext;
use crate::time::{Deadline, LeastRate};

/// The body's end of it.
#[derive(Clone, Default)]
pub(super) struct Arrival(Arc<Shared>);

#[derive(Default)]
struct Shared {
    /// Somebody waits for more of the body.
    waiting: AtomicBool,
    received: AtomicU64,
    unread: Mutex<Unread>,
    watcher: AtomicWaker,
    /// The status of what the server has answered in place of the handler, or 0.
    refused: AtomicU16,
}

/// What nobody has read yet of the body.
#[derive(Default)]
enum Unread {
    /// Its reader's.
    #[default]
    Held,
    /// Its reader is gone.
    Left(RecvStream),
    /// There is nothing, or nobody to read it.
    Over,
}

/// Whether the server has answered a request in place of its handler: 408 or 413, because of the
/// request's body. For those who log what becomes of requests; see [`Body::rejection`](super::Body::rejection).
///
/// It is told before the handler, or the body of its response, is dropped.
#[derive(Clone, Default)]
pub struct Rejection(Option<Arrival>);

impl Rejection {
    pub(super) fn of(arrival: Option<&Arrival>) -> Self {
        Self(arrival.cloned())
    }

    /// The status of the server's own answer, if there was one.
    pub fn status(&self) -> Option<StatusCode> {
        let refused = self.0.as_ref()?.0.refused.load(Relaxed);
        StatusCode::from_u16(refused).ok()
    }
}

impl std::fmt::Debug for Rejection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Rejection").field(&self.status()).finish()
    }
}

impl Arrival {
    pub(super) fn waits(&self) {
        self.0.waiting.store(true, Relaxed);
    }

    pub(super) fn received(&self, bytes: usize) {
        let before = self.0.received.load(Relaxed);
        self.0.received.store(before + bytes as u64, Relaxed);
        self.0.waiting.store(false, Relaxed);
    }

    /// Nobody will wait any more: it has failed.
    pub(super) fn failed(&self) {
        self.0.waiting.store(false, Relaxed);
    }

    /// There is nothing more to read.
    pub(super) fn ended(&self) {
        self.0.waiting.store(false, Relaxed);
        self.0.replace_unread(Unread::Over);
    }

    /// What the body's reader has left unread, once it is gone.
    fn poll_left(&self, cx: &mut Context<'_>) -> Poll<Option<RecvStream>> {
        self.0.watcher.register(cx.waker());
        let mut slot = self.0.unread();
        if matches!(*slot, Unread::Held) {
            return Poll::Pending;
        }
        Poll::Ready(match std::mem::replace(&mut *slot, Unread::Over) {
            Unread::Left(unread) => Some(unread),
            Unread::Held | Unread::Over => None,
        })
    }

    /// Nobody will read what is still to come, but the response's end.
    pub(super) fn dropped(&self, unread: RecvStream) {
        if unread.is_end_stream() {
            return self.ended();
        }
        self.0.waiting.store(false, Relaxed);
        let mut slot = self.0.unread();
        if matches!(*slot, Unread::Held) {
            *slot = Unread::Left(unread);
            drop(slot);
            self.0.watcher.wake();
        }
    }
}

impl Shared {
    fn unread(&self) -> MutexGuard<'_, Unread> {
        self.unread.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn replace_unread(&self, with: Unread) -> Unread {
        std::mem::replace(&mut *self.unread(), with)
    }
}

/// The response's end of it.
pub(super) struct Watch {
    arrival: Arrival,
    seen: u64,
    rate: LeastRate,
    /// Read and forgotten here, so long at most.
    unread: Option<RecvStream>,
    end: Deadline,
    /// How long the peer may be as good as silent once it has its response.
    silence: LeastRate,
}

/// How long what nobody reads is read all the same: nginx' `lingering_time`.
const LINGER: Duration = Duration::from_secs(30);

/// The same for a peer that has its response and sends nothing more: nginx' `lingering_timeout`.
const SILENCE: Duration = Duration::from_secs(5);

impl Watch {
    pub(super) fn new(arrival: Arrival, context: &ConnectionContext) -> Self {
        let (timer, limits) = (context.timer, &context.limits);
        Self {
            arrival,
            seen: 0,
            rate: LeastRate::new(timer, limits.body, limits.min_rate),
            unread: None,
            end: Deadline::new(timer, LINGER.min(limits.body)),
            silence: LeastRate::new(timer, SILENCE.min(limits.body), limits.min_rate),
        }
    }

    /// Ready once the body has kept its handler waiting for too long.
    pub(super) fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let received = self.arrival.0.received.load(Relaxed);
        let more = received.saturating_sub(self.seen);
        self.seen = received;
        self.rate.moved(usize::try_from(more).unwrap_or(usize::MAX));
        match self.arrival.0.waiting.load(Relaxed) {
            true => self.rate.poll_waiting(cx),
            false => {
                self.rate.pause();
                Poll::Pending
            }
        }
    }

    pub(super) fn refuse(&self, status: StatusCode) {
        self.arrival.0.refused.store(status.as_u16(), Relaxed);
    }

    /// Reads what nobody else will, for some time; ready when there is no more of it.
    ///
    /// Left to h2 it would be reset right behind the response, and clients that are still sending
    /// take the reset for a failure (curl 7.88 for one), or do not get to see the response.
    pub(super) fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let unread = match &mut self.unread {
            Some(unread) => unread,
            none => match ready!(self.arrival.poll_left(cx)) {
                Some(left) => none.insert(left),
                None => return Poll::Ready(()),
            },
        };
        if self.end.poll_waiting(cx).is_pending() {
            while let Some(data) = ready!(unread.poll_data(cx)) {
                let Ok(data) = data else { break };
                self.silence.moved(data.len());
                if unread.flow_control().release_capacity(data.len()).is_err() {
                    break;
                }
            }
        }
        self.unread = None;
        Poll::Ready(())
    }

    /// The same behind the response: past it h2 resets the rest (`NO_ERROR`).
    pub(super) fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.poll_discard(cx).is_ready() {
            return Poll::Ready(());
        }
        self.silence.poll_waiting(cx)
    }
}

impl Drop for Watch {
    /// A body that outlives its response is h2's to reset when it is dropped.
    fn drop(&mut self) {
        self.arrival.0.replace_unread(Unread::Over);
    }
}
