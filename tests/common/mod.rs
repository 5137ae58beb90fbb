//! What the tests share. Each test binary uses a part of it.
#![allow(dead_code, unused_imports, unused_macros)]

pub mod backends;
pub mod certs;
pub mod client;
pub mod pattern;
pub mod raw_tls;
pub mod running;
pub mod server;
pub mod visit;

pub use self::{
    backends::Backend,
    client::{H2Client, deadline},
    pattern::Pattern,
    server::{Drivers, TestServer},
};
