//! The reverse proxy, in front of upstreams that are written by hand.

mod basics;
mod chunkings;
mod fields;
mod flow;
mod responses;
mod retries;
mod smuggling;
mod streams;
mod upgrades;
mod upstream;
