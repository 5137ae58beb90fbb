//! What a connection may hold.

use std::alloc::System;

use cap::Cap;

/// Counts what connections allocate.
#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

/// Adds to `held` what the call allocates and does not free.
pub fn count<T>(held: &mut isize, call: impl FnOnce() -> T) -> T {
    let before = ALLOCATOR.allocated();
    let result = call();
    *held += ALLOCATOR.allocated() as isize - before as isize;
    result
}

/// The largest limits.
pub const STREAMS: u32 = 8;
pub const LIST: u32 = 4096;
pub const TABLE: u32 = 8192;
pub const FRAME: u32 = 20_000;

/// What a connection holds but for its output, bytes: the table on `Connection`.
pub const HELD: isize = {
    let partial = FRAME + 9;
    let block = 5 * LIST;
    let hpack = 44 * (TABLE + 4096) / 32 + 2048;
    let cache = 32 * 376;
    // Trailers that wait for data are the caller's.
    let streams = STREAMS * (200 + 100 + 1024);
    let few = 2048;
    (partial + block + hpack + cache + streams + few) as isize
};
