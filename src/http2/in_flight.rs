//! The requests in flight on a connection, polled in its task.

use std::{
    cell::RefCell,
    future::Future,
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Waker},
};

use super::turn::{RequestWaker, Turn};

/// Futures with a waker each, in memory that goes from one to the next: what a `FuturesUnordered`
/// would ask the allocator for with every one of them.
pub(super) struct InFlight<F> {
    turn: Arc<Turn>,
    pool: Rc<Pool<F>>,
    places: Vec<Place<F>>,
    free: Vec<usize>,
    /// Taken and not polled yet.
    fresh: Vec<usize>,
    /// Only for its memory.
    woken: Vec<usize>,
}

struct Place<F> {
    future: Option<Memory<F>>,
    waker: Waker,
    queued: Arc<RequestWaker>,
}

type Memory<F> = Pin<Box<Option<F>>>;

/// Memory of futures that are over, for the next ones of whichever connection.
pub(super) struct Pool<F>(RefCell<Vec<Memory<F>>>);

/// How much a pool keeps, in futures: the bursts of a few connections.
const KEPT: usize = 128;

/// How many places a connection keeps, of about 100 bytes: a usual burst.
const KEPT_PLACES: usize = 32;

impl<F> Pool<F> {
    pub(super) fn new() -> Self {
        Self(RefCell::default())
    }

    fn put(&self, future: F) -> Memory<F> {
        match self.0.borrow_mut().pop() {
            Some(mut memory) => {
                memory.set(Some(future));
                memory
            }
            None => Box::pin(Some(future)),
        }
    }

    fn take_back(&self, mut memory: Memory<F>) {
        memory.set(None);
        let mut kept = self.0.borrow_mut();
        if kept.len() < KEPT {
            kept.push(memory);
        }
    }
}

impl<F: Future<Output = ()>> InFlight<F> {
    pub(super) fn new(turn: &Arc<Turn>, pool: Rc<Pool<F>>) -> Self {
        Self {
            turn: Arc::clone(turn),
            pool,
            places: Vec::new(),
            free: Vec::new(),
            fresh: Vec::new(),
            woken: Vec::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.free.len() == self.places.len()
    }

    /// Takes a future, to be polled with the next call of `poll`.
    pub(super) fn push(&mut self, future: F) {
        let future = Some(self.pool.put(future));
        let number = match self.free.pop() {
            Some(number) => {
                self.places[number].future = future;
                number
            }
            None => {
                let number = self.places.len();
                let (waker, queued) = self.turn.request_waker(number);
                self.places.push(Place {
                    future,
                    waker,
                    queued,
                });
                number
            }
        };
        self.fresh.push(number);
    }

    /// Polls what is new, and what was woken before this call, each once.
    pub(super) fn poll(&mut self) {
        let mut fresh = std::mem::take(&mut self.fresh);
        for number in fresh.drain(..) {
            self.poll_one(number);
        }
        self.fresh = fresh;
        let mut woken = std::mem::take(&mut self.woken);
        self.turn.swap_requests(&mut woken);
        for number in woken.drain(..) {
            self.poll_one(number);
        }
        self.woken = woken;
    }

    /// An earlier request's waker may have outlived it: the place may be empty or someone else's.
    fn poll_one(&mut self, number: usize) {
        let Some(place) = self.places.get_mut(number) else {
            return;
        };
        place.queued.unqueue();
        let cx = &mut Context::from_waker(&place.waker);
        let future = place.future.as_mut();
        let Some(future) = future.and_then(|memory| memory.as_mut().as_pin_mut()) else {
            return;
        };
        if future.poll(cx).is_ready() {
            if let Some(memory) = place.future.take() {
                self.pool.take_back(memory);
            }
            self.free.push(number);
        }
    }

    /// Gives back what a burst has needed, where nothing is in flight.
    pub(super) fn shrink(&mut self) {
        if self.is_empty() && self.places.len() > KEPT_PLACES {
            self.places.truncate(KEPT_PLACES);
            self.places.shrink_to_fit();
            self.free = (0..KEPT_PLACES).rev().collect();
            self.fresh = Vec::new();
            self.woken = Vec::new();
        }
    }
}
