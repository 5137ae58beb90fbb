//! Values of the command line that more than one command takes, and how much a run measures.

use clap::ValueEnum;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Driver {
    Auto,
    IoUring,
    Epoll,
}

impl Driver {
    /// The value of corelane's `--driver`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::IoUring => "io-uring",
            Self::Epoll => "epoll",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Http2Engine {
    H2,
    Corelane,
}

impl Http2Engine {
    /// The value of corelane's `--http2-engine`.
    pub fn name(self) -> &'static str {
        match self {
            Self::H2 => "h2",
            Self::Corelane => "corelane",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Allocator {
    System,
    Jemalloc,
    Mimalloc,
}

impl Allocator {
    /// Also the name of the cargo feature in `bench/peers`.
    pub fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Jemalloc => "jemalloc",
            Self::Mimalloc => "mimalloc",
        }
    }
}

/// How much a run measures.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub rounds: u32,
    /// The number of requests of each shape is divided by this.
    pub divisor: u32,
    pub quick: bool,
}
