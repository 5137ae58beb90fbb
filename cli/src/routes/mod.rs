//! What the command serves: files by path prefix, or the demonstration.

mod args;
mod demo;
mod prefix;
mod spec;
mod table;
mod text;

use std::{cell::RefCell, convert::Infallible, rc::Rc, sync::Arc};

use corelane::Body;
use corelane_gateway::ResponseBody;
use corelane_ops::Health;
use http::{Request, Response, StatusCode};

pub(crate) use self::{
    args::RouteArgs,
    spec::RouteSpec,
    table::{CurrentTable, Table},
};
use self::{demo::Demo, prefix::normalize, table::Service, text::text};
use crate::status::{Source, Status};

/// The routes of one worker.
#[derive(Clone)]
pub(crate) struct Routes(Rc<Worker>);

struct Worker {
    demo: Demo,
    current: CurrentTable,
    table: RefCell<(Arc<Table>, usize)>,
}

impl Routes {
    /// Call it on the worker's thread.
    pub(crate) fn new(health: Health, source: Option<Arc<Source>>, current: CurrentTable) -> Self {
        Self(Rc::new(Worker {
            demo: Demo::new(health, Status::new(source)),
            table: RefCell::new(current.load()),
            current,
        }))
    }

    pub(crate) async fn respond(
        self,
        request: Request<Body>,
    ) -> Result<Response<ResponseBody>, Infallible> {
        let worker = &*self.0;
        let table = worker.table();
        if table.is_demo() {
            return Ok(worker.demo.respond(request).await);
        }
        let Some(path) = normalize(request.uri().path()) else {
            let message = "the path has segments . or ..\n";
            return Ok(text(StatusCode::BAD_REQUEST, message.into()));
        };
        if table.demo && worker.demo.has(&path) {
            return Ok(worker.demo.respond(request).await);
        }
        let route = table
            .routes
            .iter()
            .find(|route| route.prefix.contains(&path));
        Ok(match route.map(|route| &route.service) {
            Some(Service::Files(files)) => files.respond(request).await,
            None => text(StatusCode::NOT_FOUND, "no route has this path\n".into()),
        })
    }
}

impl Worker {
    /// The table now: a reload may have replaced it.
    fn table(&self) -> Arc<Table> {
        let mut table = self.table.borrow_mut();
        if table.1 != self.current.version() {
            *table = self.current.load();
        }
        Arc::clone(&table.0)
    }
}
