//! How many lines the logs of this process have lost.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The lines that the logs of one kind have lost since the process started.
pub(crate) struct LostLines {
    /// The kind.
    pub(super) log: &'static str,
    count: AtomicU64,
}

#[cfg_attr(
    not(feature = "access-log"),
    allow(dead_code, reason = "there is no access log")
)]
pub(crate) static ACCESS_LOG: LostLines = LostLines::of("access");
pub(crate) static EVENT_LOG: LostLines = LostLines::of("events");

impl LostLines {
    pub(super) const fn of(log: &'static str) -> Self {
        Self {
            log,
            count: AtomicU64::new(0),
        }
    }

    pub(super) fn add(&self, lines: u64) {
        self.count.fetch_add(lines, Relaxed);
    }

    #[cfg(any(feature = "admin", all(test, feature = "access-log")))]
    pub(super) fn count(&self) -> u64 {
        self.count.load(Relaxed)
    }
}

/// Records the metric of all logs.
#[cfg(feature = "admin")]
pub(crate) fn record() {
    use metrics::{Label, Unit, counter, describe_counter};

    const NAME: &str = "corelane_log_lines_dropped_total";
    describe_counter!(
        NAME,
        Unit::Count,
        "Lines that a log has lost because its output took no more; log: access or events."
    );
    for lost in [&ACCESS_LOG, &EVENT_LOG] {
        let label = Label::from_static_parts("log", lost.log);
        counter!(NAME, vec![label]).absolute(lost.count());
    }
}
