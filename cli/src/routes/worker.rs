//! The routes on one worker.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc, sync::Arc};

use corelane::Body;
use corelane_gateway::{Files, ResponseBody, WorkerProxy};
use http::{Request, Response, StatusCode, Uri};

use super::{
    by_prefix::ByPrefix,
    counts::{AllCounts, RouteCounts},
    prefix::Prefix,
    table::{Service, Table},
    text::text,
};

/// A table, with the worker's own connections to upstreams.
pub(super) struct WorkerTable {
    routes: ByPrefix<WorkerRoute>,
    /// Whether the demonstration's paths are served too.
    pub(super) demo: bool,
}

/// What answers the requests below a prefix.
pub(super) struct WorkerRoute {
    prefix: Prefix,
    service: WorkerService,
    pub(super) counts: Arc<RouteCounts>,
}

enum WorkerService {
    Files(Files),
    Proxy(WorkerProxy),
    /// The upstream does not see the prefix.
    StripPrefix(WorkerProxy),
}

impl WorkerTable {
    pub(super) fn new(table: &Table, counts: &WorkerCounts) -> Self {
        let routes = table.routes.iter().map(|route| {
            let worker_route = WorkerRoute {
                service: match &route.service {
                    Service::Files(files) => WorkerService::Files(files.clone()),
                    Service::Proxy {
                        proxy,
                        strip_prefix: false,
                    } => WorkerService::Proxy(proxy.on_worker()),
                    Service::Proxy { proxy, .. } => WorkerService::StripPrefix(proxy.on_worker()),
                },
                counts: counts.of(&route.prefix.to_string()),
                prefix: route.prefix.clone(),
            };
            (route.prefix.clone(), worker_route)
        });
        Self {
            routes: routes.collect(),
            demo: table.demo,
        }
    }

    /// Whether this is the demonstration alone.
    pub(super) fn is_demo(&self) -> bool {
        self.routes.is_empty()
    }

    /// The route of a normal path.
    pub(super) fn find(&self, path: &str) -> Option<&WorkerRoute> {
        self.routes.find(path)
    }
}

impl WorkerRoute {
    pub(super) async fn respond(&self, mut request: Request<Body>) -> Response<ResponseBody> {
        match &self.service {
            WorkerService::Files(files) => files.respond(request).await,
            WorkerService::Proxy(proxy) => proxy.respond(request).await,
            WorkerService::StripPrefix(proxy) => match strip_prefix(request.uri(), &self.prefix) {
                Some(uri) => {
                    *request.uri_mut() = uri;
                    proxy.respond(request).await
                }
                None => text(StatusCode::NOT_FOUND, "write the prefix as it is\n".into()),
            },
        }
    }
}

/// `None` for a prefix that the client has encoded.
fn strip_prefix(uri: &Uri, prefix: &Prefix) -> Option<Uri> {
    let path = uri.path_and_query()?.as_str();
    let rest = path.strip_prefix(prefix.as_str())?;
    let rest = match rest.starts_with('/') {
        true => rest.to_owned(),
        false => format!("/{rest}"),
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(rest.parse().ok()?);
    Uri::from_parts(parts).ok()
}

/// One worker's part of the counts. A route keeps its own when a reload replaces the table.
pub(super) struct WorkerCounts {
    all: AllCounts,
    known: RefCell<BTreeMap<String, Arc<RouteCounts>>>,
}

impl WorkerCounts {
    pub(super) fn new(all: AllCounts) -> Rc<Self> {
        let known = RefCell::default();
        Rc::new(Self { all, known })
    }

    pub(super) fn of(&self, route: &str) -> Arc<RouteCounts> {
        let mut known = self.known.borrow_mut();
        let counts = known.entry(route.to_owned());
        Arc::clone(counts.or_insert_with(|| self.all.add(route)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upstreams_get_the_rest_of_the_path() {
        let prefix: Prefix = "/api".parse().expect("a prefix");
        for (uri, stripped) in [
            ("https://a.example/api/b?c", Some("https://a.example/b?c")),
            ("https://a.example/api/", Some("https://a.example/")),
            ("https://a.example/api", Some("https://a.example/")),
            ("https://a.example/api?c", Some("https://a.example/?c")),
            ("/api//b", Some("//b")),
            ("/%61pi/b", None),
        ] {
            let uri: Uri = uri.parse().expect("a URI");
            let found = strip_prefix(&uri, &prefix).map(|uri| uri.to_string());
            assert_eq!(found.as_deref(), stripped, "{uri}");
        }
    }
}
