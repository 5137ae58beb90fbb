//! All metrics in Prometheus' text format.

use std::{
    cell::RefCell,
    time::{Duration, Instant},
};

use bytes::Bytes;
use corelane::Observer;
use metrics::{Label, Unit, describe_gauge, gauge, with_local_recorder};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use metrics_process::Collector;

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
        let text = Bytes::from(self.handle.render());
        *last = Some((Instant::now(), text.clone()));
        text
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
