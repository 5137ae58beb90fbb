//! A task without a runtime, and the events that it sees.

use std::{
    future::Future,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use futures_util::future::AbortHandle;

use super::{clock, socket::Socket};
use crate::{closing::Closed, error::Error};

/// An event on a connection.
#[derive(Clone, Debug)]
pub enum Step {
    /// The client sends this.
    Sends(Vec<u8>),
    /// The socket takes this many more bytes. It starts without a limit.
    Takes(usize),
    /// The clock advances.
    Advance(Duration),
    /// The server shuts down.
    Shutdown,
}

pub(super) type Served = Result<Closed, Error>;

/// A task that is polled only when it was woken, so that a missing wake-up is found.
pub(super) struct Task<'a> {
    future: Pin<Box<dyn Future<Output = Served> + 'a>>,
    woken: Arc<Woken>,
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, SeqCst);
    }
}

/// The maximum number of polls without input from outside: far more than one step needs.
const MAX_POLLS: usize = 10_000;

impl<'a> Task<'a> {
    pub(super) fn new(future: impl Future<Output = Served> + 'a) -> Self {
        Self {
            future: Box::pin(future),
            woken: Arc::new(Woken(AtomicBool::new(true))),
        }
    }

    /// Polls until it is done, or waits.
    pub(super) fn run(&mut self) -> Option<Served> {
        let waker = Waker::from(Arc::clone(&self.woken));
        let mut polls = 0;
        while self.woken.0.swap(false, SeqCst) {
            let future = pin!(&mut self.future);
            if let Poll::Ready(served) = future.poll(&mut Context::from_waker(&waker)) {
                return Some(served);
            }
            polls += 1;
            assert!(polls < MAX_POLLS, "the task wakes itself without end");
        }
        None
    }

    /// The same for a task that may not have been woken.
    pub(super) fn run_again(&mut self) -> Option<Served> {
        self.woken.0.store(true, SeqCst);
        self.run()
    }

    /// Plays the steps, until the connection is done, and then the end of the client, which reads
    /// everything. `stop` shuts the server down, and `check` looks at it after each step.
    pub(super) fn play(
        &mut self,
        socket: &Socket,
        stop: &AbortHandle,
        steps: &[Step],
        mut check: impl FnMut(),
    ) -> Option<Served> {
        let mut result = self.run();
        for step in steps {
            if result.is_some() {
                break;
            }
            match step {
                Step::Sends(bytes) => socket.receives(bytes),
                Step::Takes(room) => socket.takes(*room),
                Step::Advance(time) => clock::pass(*time),
                Step::Shutdown => stop.abort(),
            }
            result = self.run();
            check();
        }
        socket.takes(usize::MAX);
        socket.ends();
        result.or_else(|| self.run())
    }
}
