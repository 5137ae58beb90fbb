//! SIGINT and SIGTERM. The first signal ends the run at its next step, as an error does, so that the
//! servers are stopped and the files removed. A second signal ends the process at once, and the kernel
//! ends the servers and clients (`cores.rs`).

use std::sync::{
    Arc, LazyLock,
    atomic::{AtomicBool, Ordering},
};

use signal_hook::{
    consts::{SIGINT, SIGTERM},
    flag,
};

static STOP_REQUESTED: LazyLock<Arc<AtomicBool>> = LazyLock::new(Default::default);

pub fn catch() -> std::io::Result<()> {
    for signal in [SIGINT, SIGTERM] {
        // The order matters: at the first signal the flag is not set yet, so it is only set.
        flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&STOP_REQUESTED))?;
        flag::register(signal, Arc::clone(&STOP_REQUESTED))?;
    }
    Ok(())
}

pub fn check() -> anyhow::Result<()> {
    anyhow::ensure!(
        !STOP_REQUESTED.load(Ordering::Relaxed),
        "stopped by a signal"
    );
    Ok(())
}
