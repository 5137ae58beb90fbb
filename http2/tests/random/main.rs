//! Random input: cuts make no difference, nor does the room for output, and windows are kept.

#[path = "../support/mod.rs"]
mod support;

mod cuts;
mod input;
mod rooms;
mod windows;
