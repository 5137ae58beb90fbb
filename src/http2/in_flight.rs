//! The requests in flight on a connection, polled in its task.

use std::{
    cell::RefCell,
    future::Future,
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Waker},
};

use crate::schedule::{RequestWaker, Wakeups};

/// Futures with a waker each, in reused memory.
///
/// `FuturesUnordered` allocates for every future. `futures-buffered` keeps its slots for each
/// collection, so that idle connections hold them; here all connections of a worker share a pool.
pub(super) struct InFlight<F> {
    wakeups: Arc<Wakeups>,
    pool: Rc<Pool<F>>,
    slots: Vec<Slot<F>>,
    free: Vec<usize>,
    /// Slots whose future was not polled yet.
    fresh: Vec<usize>,
    /// Empty between calls: kept for its memory.
    woken: Vec<usize>,
}

struct Slot<F> {
    future: Option<Memory<F>>,
    waker: Waker,
    queued: Arc<RequestWaker>,
}

type Memory<F> = Pin<Box<Option<F>>>;

/// Memory of futures that are done, for the next ones of all connections.
pub(super) struct Pool<F>(RefCell<Vec<Memory<F>>>);

/// Futures whose memory a pool keeps: the bursts of a few connections.
const KEPT: usize = 128;

/// Slots that a connection keeps, about 100 bytes each: a usual burst.
const KEPT_SLOTS: usize = 32;

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
    pub(super) fn new(wakeups: &Arc<Wakeups>, pool: Rc<Pool<F>>) -> Self {
        Self {
            wakeups: Arc::clone(wakeups),
            pool,
            slots: Vec::new(),
            free: Vec::new(),
            fresh: Vec::new(),
            woken: Vec::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.free.len() == self.slots.len()
    }

    /// Takes a future. The next call of `poll` polls it.
    pub(super) fn push(&mut self, future: F) {
        let future = Some(self.pool.put(future));
        let number = match self.free.pop() {
            Some(number) => {
                self.slots[number].future = future;
                number
            }
            None => {
                let number = self.slots.len();
                let (waker, queued) = self.wakeups.request_waker(number);
                self.slots.push(Slot {
                    future,
                    waker,
                    queued,
                });
                number
            }
        };
        self.fresh.push(number);
    }

    /// The next call of `poll` polls all futures.
    pub(super) fn poll_all(&mut self) {
        self.fresh = (0..self.slots.len()).collect();
    }

    /// Polls the futures that are new, and those that were woken before this call, each once.
    pub(super) fn poll(&mut self) {
        let mut fresh = std::mem::take(&mut self.fresh);
        for number in fresh.drain(..) {
            self.poll_one(number);
        }
        self.fresh = fresh;
        let mut woken = std::mem::take(&mut self.woken);
        self.wakeups.swap_requests(&mut woken);
        for number in woken.drain(..) {
            self.poll_one(number);
        }
        self.woken = woken;
    }

    /// The waker of an earlier request may have outlived it: the slot may be empty, or another
    /// request's.
    fn poll_one(&mut self, number: usize) {
        let Some(slot) = self.slots.get_mut(number) else {
            return;
        };
        slot.queued.unqueue();
        let cx = &mut Context::from_waker(&slot.waker);
        let future = slot.future.as_mut();
        let Some(future) = future.and_then(|memory| memory.as_mut().as_pin_mut()) else {
            return;
        };
        if future.poll(cx).is_ready() {
            if let Some(memory) = slot.future.take() {
                self.pool.take_back(memory);
            }
            self.free.push(number);
        }
    }

    /// Frees the memory of a burst, if nothing is in flight.
    pub(super) fn shrink(&mut self) {
        if self.is_empty() && self.slots.len() > KEPT_SLOTS {
            self.slots.truncate(KEPT_SLOTS);
            self.slots.shrink_to_fit();
            self.free = (0..KEPT_SLOTS).rev().collect();
            self.fresh = Vec::new();
            self.woken = Vec::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, future::poll_fn, task::Poll};

    use super::*;

    type Boxed = Pin<Box<dyn Future<Output = ()>>>;

    fn in_flight() -> (Arc<Wakeups>, InFlight<Boxed>) {
        let wakeups = Arc::<Wakeups>::default();
        let in_flight = InFlight::new(&wakeups, Rc::new(Pool::new()));
        (wakeups, in_flight)
    }

    /// Pending until it was polled `until` times. Reports the number of polls and the last waker.
    fn counting(polls: &Rc<Cell<u32>>, until: u32, waker: &Rc<RefCell<Option<Waker>>>) -> Boxed {
        let (polls, waker) = (Rc::clone(polls), Rc::clone(waker));
        Box::pin(poll_fn(move |cx| {
            polls.set(polls.get() + 1);
            *waker.borrow_mut() = Some(cx.waker().clone());
            match polls.get() >= until {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        }))
    }

    #[test]
    fn only_woken_futures_are_polled_again() {
        let (_wakeups, mut in_flight) = in_flight();
        let (polls, waker) = <(Rc<Cell<u32>>, Rc<RefCell<Option<Waker>>>)>::default();
        in_flight.push(counting(&polls, 2, &waker));
        in_flight.poll();
        in_flight.poll();
        assert_eq!(polls.get(), 1);
        for _ in 0..3 {
            waker.borrow().as_ref().expect("polled").wake_by_ref();
        }
        in_flight.poll();
        assert_eq!(polls.get(), 2);
        assert!(in_flight.is_empty());
    }

    #[test]
    fn a_waker_may_outlive_its_request() {
        let (_wakeups, mut in_flight) = in_flight();
        let (polls, waker) = <(Rc<Cell<u32>>, Rc<RefCell<Option<Waker>>>)>::default();
        for _ in 0..100 {
            in_flight.push(counting(&polls, 1, &waker));
        }
        in_flight.poll();
        let old = waker.take().expect("polled");
        in_flight.shrink();
        old.wake_by_ref();
        in_flight.poll();
        assert!(in_flight.is_empty());
        assert_eq!(polls.get(), 100);
    }

    #[test]
    fn memory_is_reused() {
        let (_wakeups, mut in_flight) = in_flight();
        let (polls, waker) = <(Rc<Cell<u32>>, Rc<RefCell<Option<Waker>>>)>::default();
        for _ in 0..10_000 {
            in_flight.push(counting(&polls, 1, &waker));
            in_flight.poll();
        }
        assert_eq!(in_flight.slots.len(), 1);
        assert_eq!(in_flight.pool.0.borrow().len(), 1);
        for _ in 0..2 * KEPT {
            in_flight.push(counting(&polls, 1, &waker));
        }
        in_flight.poll();
        in_flight.shrink();
        assert_eq!(in_flight.slots.len(), KEPT_SLOTS);
        assert_eq!(in_flight.pool.0.borrow().len(), KEPT);
    }
}
