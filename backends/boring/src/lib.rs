//! A TLS backend for [corelane] on BoringSSL, by crate [boring], on corelane's public traits alone.
//!
//! ```no_run
//! use std::convert::Infallible;
//!
//! use corelane::{
//!     Body, Server,
//!     http::{Request, Response},
//!     service_fn,
//!     tls::{Identity, TlsConfig},
//! };
//! use corelane_boring::BoringAcceptor;
//!
//! async fn hello(_request: Request<Body>) -> Result<Response<String>, Infallible> {
//!     Ok(Response::new("hello\n".to_owned()))
//! }
//!
//! fn main() -> Result<(), corelane::Error> {
//!     let identity = Identity::from_pem_files("cert.pem", "key.pem")?;
//!     let acceptor = BoringAcceptor::new(&TlsConfig::new(identity))?;
//!     let handle = Server::builder(acceptor)
//!         .listen("0.0.0.0:8443")
//!         .bind()?
//!         .serve(|_worker| service_fn(hello))?;
//!     handle.wait()
//! }
//! ```
//!
//! It negotiates TLS 1.2 and 1.3, and the key exchange X25519MLKEM768, which is secure against quantum
//! computers, with clients that prefer it. The `README.md` of this crate lists what it does not support, and why.
//!
//! Do not link OpenSSL into the same program: BoringSSL and OpenSSL have symbols of the same names. So the
//! features `openssl` and `native-tls` of corelane have to be off. rustls can be on.

#![forbid(unsafe_code)]
#![deny(missing_docs, missing_debug_implementations)]
#![warn(unreachable_pub, clippy::missing_errors_doc)]
#![cfg_attr(
    not(test),
    warn(clippy::unwrap_used, clippy::expect_used, clippy::panic)
)]

mod acceptor;
mod clients;
mod context;
mod groups;
mod identity;
mod stream;

#[doc(no_inline)]
pub use {boring, corelane};

pub use self::acceptor::BoringAcceptor;
