//! Counts the bytes that the server's threads have allocated.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicIsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use corelane_test_support::client::DEADLINE;

struct Counting;

static ALLOCATED: AtomicIsize = AtomicIsize::new(0);

static MOST: AtomicIsize = AtomicIsize::new(0);

thread_local! {
    static IS_WORKER: Cell<bool> = const { Cell::new(false) };
}

// SAFETY: forwards all calls unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if IS_WORKER.get() {
            let size = layout.size().cast_signed();
            let now = ALLOCATED.fetch_add(size, Relaxed) + size;
            MOST.fetch_max(now, Relaxed);
        }
        // SAFETY: the caller upholds the contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        if IS_WORKER.get() {
            ALLOCATED.fetch_sub(layout.size().cast_signed(), Relaxed);
        }
        // SAFETY: the caller upholds the contract.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// One test at a time, as they share the count.
pub fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Counts what this thread allocates from now on.
pub fn count_this_thread() {
    IS_WORKER.set(true);
}

pub fn allocated() -> isize {
    ALLOCATED.load(Relaxed)
}

/// The most that was allocated at once since [`begin`].
pub fn most() -> isize {
    MOST.load(Relaxed)
}

/// Begins to measure the most, and returns what is allocated now.
pub fn begin() -> isize {
    let now = allocated();
    MOST.store(now, Relaxed);
    now
}

/// Waits until the amount of allocated memory is stable for this time, and returns it.
pub async fn settled(time: Duration) -> isize {
    let begun = Instant::now();
    let mut last = allocated();
    let mut since = Instant::now();
    while since.elapsed() < time {
        assert!(begun.elapsed() < DEADLINE, "it never settles");
        tokio::task::yield_now().await;
        let now = allocated();
        if now.abs_diff(last) > 1024 {
            (last, since) = (now, Instant::now());
        }
    }
    last
}
