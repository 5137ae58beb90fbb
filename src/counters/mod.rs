//! Counters of the workers, and the metrics made of them.

mod counter;
mod durations;
mod metrics;
mod worker;

pub(crate) use self::worker::Counters;
pub use self::{
    durations::Durations,
    metrics::{METRICS, Metric, MetricKind},
    worker::WorkerCounters,
};
