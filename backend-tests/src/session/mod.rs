//! A session and a client in memory, joined by a wire made of two byte queues. The rows are written on
//! it, and so can be tests and fuzz targets of your own.

mod pair;
mod peer;
mod raw;
mod start;
mod steps;
mod watched;
mod wire;

pub use self::{
    pair::{Pair, kind, pattern},
    peer::{Client, Peer, SERVER_NAME},
    raw::RawClient,
    start::start,
    steps::{Step, failure_is_final, take},
    wire::Wire,
};
