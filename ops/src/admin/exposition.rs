//! All metrics in Prometheus' text format.

use std::{
    cell::RefCell,
    fmt::Write,
    time::{Duration, Instant},
};

use bytes::Bytes;
use corelane::Observer;
use metrics::{Label, Unit, describe_gauge, gauge, with_local_recorder};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use metrics_process::Collector;
use nix::sys::{
    resource::{UsageWho, getrusage},
    time::TimeValLike,
};

use crate::log_writer;

/// How old a response may be: 100 ms, so that clients that ask more often cost nothing.
const MAX_AGE: Duration = Duration::from_millis(100);

/// Collects the metrics when a client asks for them.
pub(super) struct Exposition {
    observer: Observer,
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
    process: Collector,
    record: Box<dyn Fn()>,
    last: RefCell<Option<(Instant, Bytes)>>,
}

impl Exposition {
    /// The content type of [`render`](Self::render).
    pub(super) const TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

    pub(super) fn new(observer: Observer, record: Box<dyn Fn()>) -> Self {
        let recorder = PrometheusBuilder::new().build_recorder();
        let process = Collector::default();
        with_local_recorder(&recorder, || {
            process.describe();
            record_build_info(&observer);
        });
        Self {
            observer,
            handle: recorder.handle(),
            recorder,
            process,
            record,
            last: RefCell::default(),
        }
    }

    pub(super) fn render(&self) -> Bytes {
        let mut last = self.last.borrow_mut();
        if let Some((at, text)) = &*last
            && at.elapsed() < MAX_AGE
        {
            return text.clone();
        }
        with_local_recorder(&self.recorder, || {
            self.observer.record_metrics();
            self.process.collect();
            log_writer::record();
            (self.record)();
        });
        let mut text = self.handle.render();
        add_fractions_of_cpu_time(&mut text);
        add_request_durations(&mut text, &self.observer);
        let text = Bytes::from(text);
        *last = Some((Instant::now(), text.clone()));
        text
    }
}

/// metrics-process publishes whole seconds, which do not show the work of a minute.
fn add_fractions_of_cpu_time(text: &mut String) {
    const NAME: &str = "\nprocess_cpu_seconds_total ";
    let (Some(at), Ok(usage)) = (text.find(NAME), getrusage(UsageWho::RUSAGE_SELF)) else {
        return;
    };
    let value = at + NAME.len();
    let end = text[value..].find('\n').map_or(text.len(), |n| value + n);
    let [user, system] = [usage.user_time(), usage.system_time()].map(|time| {
        let micros = time.num_microseconds();
        Duration::from_micros(u64::try_from(micros).unwrap_or_default())
    });
    let seconds = (user + system).as_secs_f64();
    text.replace_range(value..end, &seconds.to_string());
}

/// The exporter makes histograms of single values only, and the workers count.
fn add_request_durations(text: &mut String, observer: &Observer) {
    const NAME: &str = "corelane_request_duration_seconds";
    // Writing to a String cannot fail.
    let _ = write!(
        text,
        "# HELP {NAME} The time from a request's head to the end of its response, if it was answered.\n\
         # TYPE {NAME} histogram\n"
    );
    for status in observer.workers() {
        let (worker, durations) = (status.info.index, status.counters.request_durations);
        for (bound, count) in durations.cumulative() {
            let bound = bound.as_secs_f64();
            let _ = writeln!(
                text,
                "{NAME}_bucket{{worker=\"{worker}\",le=\"{bound}\"}} {count}"
            );
        }
        let (count, sum) = (durations.count(), durations.sum().as_secs_f64());
        let _ = write!(
            text,
            "{NAME}_bucket{{worker=\"{worker}\",le=\"+Inf\"}} {count}\n\
             {NAME}_sum{{worker=\"{worker}\"}} {sum}\n\
             {NAME}_count{{worker=\"{worker}\"}} {count}\n"
        );
    }
}

fn record_build_info(observer: &Observer) {
    describe_gauge!(
        "corelane_build_info",
        Unit::Count,
        "Always 1: the labels name version, TLS backend and driver, `mixed` if the workers differ in it."
    );
    let mut drivers: Vec<_> = observer
        .workers()
        .map(|worker| worker.info.driver)
        .collect();
    drivers.dedup();
    let driver = match &drivers[..] {
        [driver] => driver.to_string(),
        _ => "mixed".into(),
    };
    let labels = vec![
        // All crates of the workspace have one version.
        Label::from_static_parts("version", env!("CARGO_PKG_VERSION")),
        Label::from_static_parts("backend", observer.backend()),
        Label::new("driver", driver),
    ];
    gauge!("corelane_build_info", labels).set(1.0);
}
