//! The support that the tests of all crates share: backends, servers and clients under test. TLS sessions
//! in memory are in `corelane-backend-tests`.

pub mod backends;
pub mod certs;
pub mod client;
pub mod http1;
pub mod ocsp;
pub mod openssl_conf;
pub mod openssl_peer;
pub mod pattern;
pub mod peer;
pub mod raw_tls;
pub mod reporter;
pub mod running;
pub mod server;
pub mod upgrade;
pub mod visit;

pub use corelane_test_frames::{self as frames, hpack};

pub use self::{
    backends::Backend,
    client::{H2Client, deadline},
    http1::{Http1Client, Http1Response},
    pattern::Pattern,
    server::{Drivers, TestServer, block_on},
};
