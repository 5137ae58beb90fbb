//! ctrl-c and SIGTERM: the run ends at the next step, as by any other error, so that the servers
//! are stopped and the files removed on the way out. A second signal ends the process at once; the
//! kernel then stops the servers and what makes their load (`cores.rs`).

use std::sync::{
    Arc, LazyLock,
    atomic::{AtomicBool, Ordering},
};

use signal_hook::{
    consts::{SIGINT, SIGTERM},
    flag,
};

static ASKED_TO_STOP: LazyLock<Arc<AtomicBool>> = LazyLock::new(Default::default);

pub fn catch() -> std::io::Result<()> {
    for signal in [SIGINT, SIGTERM] {
        // In this order: the first signal finds the flag down and only raises it.
        flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&ASKED_TO_STOP))?;
        flag::register(signal, Arc::clone(&ASKED_TO_STOP))?;
    }
    Ok(())
}

pub fn check() -> anyhow::Result<()> {
    anyhow::ensure!(
        !ASKED_TO_STOP.load(Ordering::Relaxed),
        "stopped by a signal"
    );
    Ok(())
}
