//! What the command serves: files and upstreams by path prefix, or the demonstration.

mod args;
mod by_prefix;
mod counts;
mod current;
mod demo;
mod prefix;
mod spec;
mod table;
mod text;
mod worker;

use std::{cell::RefCell, convert::Infallible, rc::Rc, sync::Arc};

use corelane::Body;
use corelane_gateway::ResponseBody;
use corelane_ops::Health;
use http::{Request, Response, StatusCode};

pub(crate) use self::{
    args::RouteArgs, counts::AllCounts, current::CurrentTable, spec::RouteSpec, table::Table,
};
use self::{
    counts::RouteCounts,
    demo::Demo,
    prefix::normalize,
    text::text,
    worker::{WorkerCounts, WorkerTable},
};
use crate::status::{Source, Status};

/// The routes of one worker.
#[derive(Clone)]
pub(crate) struct Routes(Rc<Worker>);

struct Worker {
    demo: Demo,
    current: CurrentTable,
    /// The table, and its version.
    table: RefCell<(Rc<WorkerTable>, usize)>,
    counts: Rc<WorkerCounts>,
    demo_counts: Arc<RouteCounts>,
    none_counts: Arc<RouteCounts>,
}

/// What all workers need.
#[derive(Clone)]
pub(crate) struct RoutesConfig {
    pub(crate) health: Health,
    pub(crate) source: Option<Arc<Source>>,
    pub(crate) table: CurrentTable,
    pub(crate) counts: AllCounts,
}

impl Routes {
    /// Call it on the worker's thread.
    pub(crate) fn new(config: RoutesConfig) -> Self {
        let counts = WorkerCounts::new(config.counts);
        let (table, version) = config.table.load();
        Self(Rc::new(Worker {
            demo: Demo::new(config.health, Status::new(config.source)),
            table: RefCell::new((Rc::new(WorkerTable::new(&table, &counts)), version)),
            current: config.table,
            demo_counts: counts.of("demo"),
            none_counts: counts.of("none"),
            counts,
        }))
    }

    pub(crate) async fn respond(
        self,
        request: Request<Body>,
    ) -> Result<Response<ResponseBody>, Infallible> {
        let worker = &*self.0;
        let table = worker.table();
        let path = normalize(request.uri().path());
        let is_demo = |path: &str| table.is_demo() || (table.demo && worker.demo.has(path));
        let (response, counts) = match path {
            None => {
                let message = "the path has segments . or ..\n".into();
                (text(StatusCode::BAD_REQUEST, message), &worker.none_counts)
            }
            Some(path) if is_demo(&path) => {
                drop(path);
                (worker.demo.respond(request).await, &worker.demo_counts)
            }
            Some(path) => match table.find(&path) {
                Some(route) => {
                    drop(path);
                    (route.respond(request).await, &route.counts)
                }
                None => {
                    let message = "no route has this path\n".into();
                    (text(StatusCode::NOT_FOUND, message), &worker.none_counts)
                }
            },
        };
        counts.count(response.status());
        Ok(response)
    }
}

impl Worker {
    /// The table now: a reload may have replaced it.
    fn table(&self) -> Rc<WorkerTable> {
        let mut table = self.table.borrow_mut();
        if table.1 != self.current.version() {
            let (new, version) = self.current.load();
            *table = (Rc::new(WorkerTable::new(&new, &self.counts)), version);
        }
        Rc::clone(&table.0)
    }
}
