//! Why the command cannot go on.

use std::fmt;

use super::setting::without_usage;

#[derive(Debug)]
pub(crate) enum Stop {
    /// clap's own message, help and version among them.
    Clap(clap::Error),
    /// Mistakes in the environment or the file, one per line.
    Mistakes(String),
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Clap(error) => f.write_str(&without_usage(&error.to_string())),
            Self::Mistakes(mistakes) => f.write_str(mistakes),
        }
    }
}
