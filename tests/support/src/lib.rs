//! The support that the tests of all crates share: backends, servers and clients under test, and
//! TLS sessions that talk to each other in memory.

pub mod backends;
pub mod certs;
pub mod client;
pub mod ocsp;
pub mod pattern;
pub mod peer;
pub mod raw_tls;
pub mod reporter;
pub mod running;
pub mod server;
pub mod session;
pub mod visit;

pub use corelane_test_frames::{self as frames, hpack};

pub use self::{
    backends::Backend,
    client::{H2Client, deadline},
    pattern::Pattern,
    server::{Drivers, TestServer},
};
