//! Counts the responses of each route, for the admin port.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use http::StatusCode;
use metrics::{Label, Unit, counter, describe_counter};

/// The classes of statuses. A handler's only 1xx is 101, an upgrade of HTTP/1.1.
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// The responses of one route on one worker, by class.
#[derive(Debug, Default)]
pub(super) struct RouteCounts([AtomicU64; CLASSES.len()]);

impl RouteCounts {
    pub(super) fn count(&self, status: StatusCode) {
        let class = usize::from(status.as_u16() / 100).checked_sub(1);
        if let Some(count) = class.and_then(|class| self.0.get(class)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The counts of all workers, by the label of the route. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct AllCounts(Arc<Mutex<BTreeMap<String, Vec<Arc<RouteCounts>>>>>);

impl AllCounts {
    /// The counts of a route on one more worker.
    pub(super) fn add(&self, route: &str) -> Arc<RouteCounts> {
        let counts = Arc::<RouteCounts>::default();
        let mut all = self.lock();
        let workers = all.entry(route.to_owned()).or_default();
        workers.push(Arc::clone(&counts));
        counts
    }

    /// Records the metric: for the admin port.
    pub(crate) fn record(&self) {
        const NAME: &str = "corelane_route_responses_total";
        describe_counter!(
            NAME,
            Unit::Count,
            "Responses by route and class of status; `demo` is the demonstration, `none` a path of no route."
        );
        for (route, workers) in self.lock().iter() {
            for (index, class) in CLASSES.into_iter().enumerate() {
                let counts = workers.iter();
                let counts = counts.map(|worker| worker.0[index].load(Ordering::Relaxed));
                let labels = vec![
                    Label::new("route", route.clone()),
                    Label::from_static_parts("class", class),
                ];
                counter!(NAME, labels).absolute(counts.sum());
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Vec<Arc<RouteCounts>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
