//! The servers' processes: how each is started, and the one that is running.

mod h2o;
mod launch;
mod nghttpd;
mod nginx;
mod running;
mod rust;
mod start;

pub use self::{running::Running, start::start};
