//! Random input: cuts make no difference, windows are kept, and nothing is held above the bounds.

#[path = "../support/mod.rs"]
mod support;

mod cuts;
mod input;
mod windows;
