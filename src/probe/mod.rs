//! Offers ALPN to a server, any server, and reports what it chose (RFC 7301).

mod offer;
mod report;

pub use self::{
    offer::{Malformed, Offer},
    report::{Client, Http2, Outcome, Report, Row, Verdict},
};
