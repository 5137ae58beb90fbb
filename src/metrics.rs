//! Publishes the counters of the workers through the crate metrics.

use metrics::{Label, Unit, counter, describe_counter, describe_gauge, gauge};

use crate::{
    counters::{METRICS, Metric, MetricKind},
    server::{Handle, Observer},
};

impl Handle {
    /// Publishes the metrics of all workers: [`Observer::record_metrics`].
    pub fn record_metrics(&self) {
        self.observer().record_metrics();
    }
}

impl Observer {
    /// Publishes the counters of the workers, with descriptions and units, to the recorder of the
    /// crate metrics: the global one, or the one of `metrics::with_local_recorder`.
    ///
    /// Call it before each answer to Prometheus, or every few seconds: between two calls nothing is
    /// published. Publishing only reads the counters; the workers count in the same way without the
    /// feature. Each value belongs to one worker, which the label `worker` names. docs/metrics.md in
    /// the repository lists all names and labels.
    pub fn record_metrics(&self) {
        for status in self.workers() {
            let info = status.info;
            let worker = Label::new("worker", info.index.to_string());
            let cpu = info.cpu.map(|cpu| cpu.to_string()).unwrap_or_default();
            let about = vec![
                worker.clone(),
                Label::new("cpu", cpu),
                Label::new("driver", info.driver.to_string()),
            ];
            let help =
                "Always 1: the labels name the worker's driver and its CPU, empty if not pinned.";
            publish("corelane_worker_info", MetricKind::Gauge, help, about, 1);
            let backend = Label::from_static_parts("backend", self.backend());
            for metric in METRICS {
                let Metric {
                    name,
                    kind,
                    help,
                    by_backend,
                    label,
                    values,
                } = *metric;
                for (label_value, count) in values {
                    let mut labels = vec![worker.clone()];
                    if by_backend {
                        labels.push(backend.clone());
                    }
                    if !label.is_empty() {
                        labels.push(Label::from_static_parts(label, label_value));
                    }
                    publish(name, kind, help, labels, count(&status.counters));
                }
            }
        }
    }
}

fn publish(
    name: &'static str,
    kind: MetricKind,
    help: &'static str,
    labels: Vec<Label>,
    value: u64,
) {
    let unit = match kind {
        MetricKind::Bytes => Unit::Bytes,
        MetricKind::Counter | MetricKind::Gauge => Unit::Count,
    };
    match kind {
        MetricKind::Gauge => {
            describe_gauge!(name, unit, help);
            // Exact up to 2^53, more than any of these can reach.
            gauge!(name, labels).set(value as f64);
        }
        MetricKind::Counter | MetricKind::Bytes => {
            describe_counter!(name, unit, help);
            counter!(name, labels).absolute(value);
        }
    }
}
