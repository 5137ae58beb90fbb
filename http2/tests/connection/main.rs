//! What a connection does with frames, commands and windows, on bytes in memory.

mod bounds;
mod priorities;
mod receiving;
mod requests;
mod sending;
mod shutdown;
mod support;
