//! The servers' processes: how each is started, and the one that is running.

mod caddy;
mod command;
mod h2o;
mod haproxy;
mod launch;
mod nghttpd;
mod nginx;
mod running;
mod rust;
mod start;
mod upstream;

pub use self::{
    running::Running,
    start::{start, start_with},
};
