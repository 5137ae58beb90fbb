//! A TLS session and a rustls client, joined by a wire made of two byte queues.

mod pair;
mod steps;

pub use self::{
    pair::{Client, GARBAGE, Pair, Wire, kind, pattern, start, versions},
    steps::{Step, failure_is_final, take},
};
