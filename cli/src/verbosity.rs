//! Which events are logged: `--verbose`, which a reload can change.

use tracing_subscriber::{
    Registry,
    filter::{LevelFilter, Targets},
    reload::{Handle, Layer},
};

/// Changes the verbosity of the log.
pub(crate) struct Verbosity(Handle<Targets, Registry>);

impl Verbosity {
    pub(crate) fn set(&self, verbose: u8) {
        if let Err(error) = self.0.reload(targets(verbose)) {
            tracing::warn!(%error, "cannot change the verbosity of the log");
        }
    }
}

pub(crate) fn filter(verbose: u8) -> (Layer<Targets, Registry>, Verbosity) {
    let (filter, handle) = Layer::new(targets(verbose));
    (filter, Verbosity(handle))
}

/// Messages of other libraries only from -vvv on.
fn targets(verbose: u8) -> Targets {
    let (own, others) = match verbose {
        0 => (LevelFilter::WARN, LevelFilter::WARN),
        1 => (LevelFilter::INFO, LevelFilter::WARN),
        2 => (LevelFilter::DEBUG, LevelFilter::WARN),
        _ => (LevelFilter::DEBUG, LevelFilter::DEBUG),
    };
    Targets::new()
        .with_default(others)
        .with_target("corelane", own)
}
