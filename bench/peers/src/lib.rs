//! Code that all servers share, so that they differ only in the HTTP library.

#![forbid(unsafe_code)]

mod args;
mod routes;
mod tls;
mod workers;

pub use args::{Args, Backend};
pub use routes::{Bodies, OCTETS, answer, octets, received};
pub use tls::{native_tls_acceptor, openssl_acceptor, rustls_config};
pub use workers::{listen, on_each_thread, on_each_worker};

#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
