//! Clients and server of the soak test.

pub(crate) mod clients;
pub(crate) mod random;
pub(crate) mod server;
