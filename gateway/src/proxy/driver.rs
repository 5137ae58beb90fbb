//! Runs a connection of HTTP/1.1 to an upstream in the task of the request that uses it.
//!
//! A task of its own would be woken and scheduled several times for each request.

use std::{
    future::Future as _,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use bytes::Bytes;
use futures_util::{
    FutureExt as _,
    future::{AbortHandle, abortable},
    task::AtomicWaker,
};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;

use super::{connect::Socket, request_body::RequestBody, spawn::spawn};

type Http1 = http1::Connection<TokioIo<Socket>, RequestBody>;

/// hyper's side of a connection. If it is dropped, the connection is closed.
pub(super) struct Driver {
    state: State,
    events: Arc<Events>,
    waker: Waker,
    /// The request asks for an upgrade: keep the socket when hyper has done its part.
    upgradable: bool,
}

enum State {
    Here(Box<Http1>),
    Spawned(AbortHandle),
    /// hyper is done with a request that asked for an upgrade.
    Done(Box<Http1>),
    Ended,
}

/// How often a call polls the connection: the head of a response, and the body that is wanted then.
/// What is left, the task does after others.
const TURNS: u32 = 2;

/// The waker of the connection. It stays the same, so that the socket's operation and hyper's channels
/// need not replace theirs when the connection serves another request.
struct Events {
    /// Something has happened since the connection was polled.
    pending: AtomicBool,
    /// The request's task, while it waits.
    task: AtomicWaker,
}

impl Wake for Events {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.pending.store(true, Ordering::Release);
        self.task.wake();
    }
}

impl Driver {
    pub(super) fn new(connection: Http1) -> Self {
        let events = Arc::new(Events {
            pending: AtomicBool::new(true),
            task: AtomicWaker::new(),
        });
        Self {
            state: State::Here(Box::new(connection)),
            waker: Waker::from(Arc::clone(&events)),
            events,
            upgradable: false,
        }
    }

    /// The next request asks for an upgrade.
    pub(super) fn expect_upgrade(&mut self) {
        self.upgradable = true;
    }

    /// The response refuses the upgrade: the connection is one like all others. One that has ended must not be
    /// kept, because its request channel would look open.
    pub(super) fn forget_upgrade(&mut self) {
        self.upgradable = false;
        if matches!(self.state, State::Done(_)) {
            self.state = State::Ended;
        }
    }

    /// The socket of an upgraded connection, and what was read from it already.
    pub(super) fn take_upgraded(&mut self) -> Option<(Socket, Bytes)> {
        match std::mem::replace(&mut self.state, State::Ended) {
            State::Done(connection) => {
                let parts = connection.into_parts();
                // A copy, without the rest of hyper's buffer.
                let read = Bytes::copy_from_slice(&parts.read_buf);
                Some((parts.io.into_inner(), read))
            }
            other => {
                self.state = other;
                None
            }
        }
    }

    /// Polls `wanted`, which the connection makes ready, and the connection if something has happened.
    ///
    /// The task is woken by what happens later, not by what this call itself causes.
    pub(super) fn poll<T>(
        &mut self,
        cx: &mut Context<'_>,
        mut wanted: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        if matches!(self.state, State::Spawned(_)) {
            return wanted(cx);
        }
        self.forget_task();
        let silent = &mut Context::from_waker(Waker::noop());
        for _ in 0..TURNS {
            self.drive();
            if let Poll::Ready(value) = wanted(silent) {
                return Poll::Ready(value);
            }
            if !self.has_events() {
                break;
            }
        }
        self.wake_on_event(cx.waker());
        Poll::Pending
    }

    /// Polls the connection if something has happened.
    pub(super) fn drive(&mut self) {
        if !self.has_events() {
            return;
        }
        let State::Here(connection) = &mut self.state else {
            return;
        };
        self.events.pending.store(false, Ordering::Relaxed);
        let cx = &mut Context::from_waker(&self.waker);
        match catch_unwind(AssertUnwindSafe(|| Pin::new(connection).poll(cx))) {
            Ok(Poll::Pending) => {}
            Ok(Poll::Ready(Ok(()))) if self.upgradable => {
                if let State::Here(connection) = std::mem::replace(&mut self.state, State::Ended) {
                    self.state = State::Done(connection);
                }
            }
            // Its errors reach the request or the body.
            Ok(Poll::Ready(_)) => self.state = State::Ended,
            Err(_) => {
                tracing::error!("a connection to an upstream panicked");
                self.state = State::Ended;
            }
        }
    }

    fn has_events(&self) -> bool {
        matches!(self.state, State::Here(_)) && self.events.pending.load(Ordering::Acquire)
    }

    /// Nothing wakes the task that waited.
    pub(super) fn forget_task(&self) {
        drop(self.events.task.take());
    }

    /// Wakes the task when something happens, or at once if it has happened.
    pub(super) fn wake_on_event(&self, task: &Waker) {
        self.events.task.register(task);
        if self.has_events() {
            self.events.task.wake();
        }
    }

    /// Continues in a task of its own: nothing polls the response's body while the client does not read
    /// it, and the request's body has to be sent nevertheless.
    pub(super) fn spawn(&mut self) {
        match std::mem::replace(&mut self.state, State::Ended) {
            State::Here(connection) => {
                let (connection, abort) = abortable(connection);
                spawn(connection.map(drop));
                self.state = State::Spawned(abort);
            }
            other => self.state = other,
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        if let State::Spawned(abort) = &self.state {
            abort.abort();
        }
    }
}
