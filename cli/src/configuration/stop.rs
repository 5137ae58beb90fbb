//! Why the command cannot go on.

#[derive(Debug)]
pub(crate) enum Stop {
    /// clap's own message, help and version among them.
    Clap(clap::Error),
    /// Mistakes in the environment or the file, one per line.
    Mistakes(String),
}
