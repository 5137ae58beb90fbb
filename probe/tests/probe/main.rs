//! The prober against servers that behave and servers that misbehave on purpose.
#![cfg(all(
    feature = "rustls",
    feature = "openssl",
    feature = "native-tls",
    any(feature = "aws-lc-rs", feature = "ring")
))]

mod ask;
mod certificate;
mod server;

mod absent;
mod choice;
mod client_certificate;
mod groups;
mod hostile;
mod http2;
mod limits;
mod malformed;
mod silent;
mod trust;
mod usage;
mod versions;
