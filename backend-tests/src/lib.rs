//! Holds a TLS backend for corelane to the contract of [`TlsAcceptor`] and [`TlsSession`].
//!
//! A backend is an implementation of two traits. Their documentation states the contract; each row of
//! this kit tests one clause of it, with a rustls client and with raw bytes, on a wire made of two byte
//! queues.
//!
//! ```ignore
//! use corelane::{Error, tls::TlsConfig};
//! use corelane_backend_tests::{Capability, Kit, backend_tests};
//!
//! fn my_acceptor(config: &TlsConfig) -> Result<MyAcceptor, Error> {
//!     MyAcceptor::new(config)
//! }
//!
//! backend_tests!(my_acceptor);
//! ```
//!
//! A backend that lacks something says so, with a reason. The row then checks that it is really missing:
//!
//! ```ignore
//! backend_tests!(Kit::new(my_acceptor).lacks(Capability::TicketKeys, "the library has no call for it"));
//! ```
//!
//! The macro makes one `#[test]` of each row, in a module `backend`; `backend_tests!(mod name, ...)` names
//! it. Keep the kit in a test file of its own: one row measures the memory of the process.
//! [`Kit::run`] runs all rows without the macro and returns a table.
//!
//! Every call of a session is also checked for what holds in any state: `WouldBlock` only if the wire
//! blocked in the same call, `read` returns what it appended, `write` takes no more than it got, `flush`
//! returns `Ok` only if nothing is left.
//!
//! # Features
//!
//! `aws-lc-rs` (default) or `ring`: the crypto provider of the client. The kit links no OpenSSL and no
//! BoringSSL, so that backends with either can be tested.
//!
//! [`TlsAcceptor`]: corelane::tls::TlsAcceptor
//! [`TlsSession`]: corelane::tls::TlsSession

#![forbid(unsafe_code)]
#![deny(missing_docs, missing_debug_implementations)]
#![warn(unreachable_pub)]

mod backend;
mod capability;
mod certs;
mod client;
mod document;
mod kit;
mod report;
mod rows;
pub mod session;

pub use self::{
    capability::Capability,
    client::client_config,
    document::check_table,
    kit::{IntoKit, Kit},
    report::{Outcome, Report},
    rows::list::{ROWS, Row},
};

/// Makes a `#[test]` of each row, for a backend: see the first page of this crate.
///
/// It takes a [`Kit`], or a function `Fn(&TlsConfig) -> Result<impl TlsAcceptor, Error>`. The tests are in
/// a module `backend`, or in one that you name: `backend_tests!(mod on_my_tls, my_acceptor)`. `KIT` in it is
/// the kit.
#[macro_export]
macro_rules! backend_tests {
    (mod $module:ident, $kit:expr $(,)?) => {
        mod $module {
            #[allow(unused_imports)]
            use super::*;

            pub(crate) static KIT: ::std::sync::LazyLock<$crate::Kit> =
                ::std::sync::LazyLock::new(|| $crate::IntoKit::into_kit($kit));

            $crate::__each_row! { __tests KIT; }
        }
    };
    ($kit:expr $(,)?) => {
        $crate::backend_tests!(mod backend, $kit);
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __tests {
    ($kit:ident; $(($module:ident::$name:ident $($rest:tt)*))*) => {
        $(#[test]
        fn $name() {
            $kit.check(stringify!($name));
        })*
    };
}
