//! The rows: each tests one clause of the contract.

pub(crate) mod absent;
mod alerts;
mod algorithms;
mod alpn;
mod blocking;
mod bounds;
mod bulk;
mod client_auth;
mod closing;
mod duplex;
mod failing;
mod floods;
mod identity;
mod inputs;
mod leaks;
pub(crate) mod list;
mod negotiated;
mod order;
mod reading;
mod resumption;
mod starting;
mod truncation;
mod versions;
