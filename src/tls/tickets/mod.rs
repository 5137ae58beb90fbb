//! Session tickets: the keys, the ticketer that uses them, and how long a session may be resumed.

mod keys;

cfg_if::cfg_if! {
    if #[cfg(any(feature = "rustls", feature = "openssl"))] {
        mod lifetime;
    }
}

cfg_if::cfg_if! {
    if #[cfg(feature = "openssl")] {
        pub(super) use self::{
            keys::KeysNow,
            lifetime::{is_current, now},
        };
    }
}

cfg_if::cfg_if! {
    if #[cfg(feature = "rustls")] {
        mod session_age;
        pub(super) use self::session_age::{SessionAge, SessionCache};
    }
}

// Tickets are sealed by the crate that the provider of `RustlsAcceptor::new` is built on.
cfg_if::cfg_if! {
    if #[cfg(feature = "aws-lc-rs")] {
        use ::aws_lc_rs::{aead, digest, hkdf, rand};
        mod ticketer;
        pub(super) use self::ticketer::ticketer;
    } else if #[cfg(feature = "ring")] {
        use ::ring::{aead, digest, hkdf, rand};
        mod ticketer;
        pub(super) use self::ticketer::ticketer;
    } else if #[cfg(feature = "rustls")] {
        mod unsupported;
        pub(super) use self::unsupported::ticketer;
    }
}

pub use self::keys::TicketKeys;
