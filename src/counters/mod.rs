//! Counters of the workers, and the metrics made of them.

mod metrics;
mod worker;

pub(crate) use self::worker::Counters;
pub use self::{
    metrics::{METRICS, Metric, MetricKind},
    worker::WorkerCounters,
};
