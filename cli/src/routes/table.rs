//! All routes of the server.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

use corelane::Error;
use corelane_gateway::Files;

use super::{
    args::RouteArgs,
    prefix::Prefix,
    spec::{FilesSpec, RouteSpec, Target},
};

/// The routes, longest prefix first.
#[derive(Debug)]
pub(crate) struct Table {
    pub(super) routes: Vec<Route>,
    pub(super) demo: bool,
}

#[derive(Debug)]
pub(super) struct Route {
    pub(super) prefix: Prefix,
    pub(super) service: Service,
    /// For the introduction.
    text: String,
}

#[derive(Clone, Debug)]
pub(super) enum Service {
    Files(Files),
}

impl Table {
    /// An error names the flag.
    pub(crate) fn new(args: &RouteArgs) -> Result<Self, Error> {
        let mut routes = Vec::new();
        if let Some(root) = &args.root {
            let target = Target::Files(FilesSpec::new(root.clone()));
            routes.push(Route::new(Prefix::root(), &target, args, "--root")?);
        }
        for RouteSpec { prefix, target } in &args.route {
            if routes.iter().any(|route| route.prefix == *prefix) {
                let why = match prefix.as_str() {
                    "" if args.root.is_some() => "--root serves this prefix already",
                    _ => "another route has this prefix already",
                };
                return Err(Error::config(format!("--route {prefix}: {why}")));
            }
            let flag = format!("--route {prefix}");
            routes.push(Route::new(prefix.clone(), target, args, &flag)?);
        }
        let has_files = routes
            .iter()
            .any(|route| matches!(route.service, Service::Files(_)));
        for (given, flag) in [
            (args.spa, "--spa"),
            (args.hidden_files, "--hidden-files"),
            (args.cache_control.is_some(), "--cache-control"),
        ] {
            if given && !has_files {
                let message = format!("{flag} is for files, and no folder is served: add --root");
                return Err(Error::config(message));
            }
        }
        routes.sort_by_key(|route| std::cmp::Reverse(route.prefix.as_str().len()));
        let demo = args.demo || routes.is_empty();
        Ok(Self { routes, demo })
    }

    /// Whether this is the demonstration alone.
    pub(super) fn is_demo(&self) -> bool {
        self.routes.is_empty()
    }

    /// What is served, a line for each prefix.
    pub(crate) fn introduction(&self) -> String {
        if self.is_demo() {
            return "serving a demonstration; try --root DIR for files\n".into();
        }
        let lines = self
            .routes
            .iter()
            .map(|route| format!("serving {}: {}\n", route.prefix, route.text));
        lines.collect()
    }
}

impl Route {
    fn new(prefix: Prefix, target: &Target, args: &RouteArgs, flag: &str) -> Result<Self, Error> {
        let text = target.to_string();
        let service = match target {
            Target::Files(spec) => {
                let files = Files::new(&spec.root);
                let files = files
                    .map_err(|error| Error::config(format!("{flag}")).with_source(error))?
                    .prefix(prefix.as_str())
                    .hidden(spec.hidden_files.unwrap_or(args.hidden_files))
                    .spa(spec.spa.unwrap_or(args.spa));
                let cache_control = spec.cache_control.as_ref().or(args.cache_control.as_ref());
                Service::Files(match cache_control {
                    Some(value) => files.cache_control(value.clone()),
                    None => files,
                })
            }
        };
        Ok(Self {
            prefix,
            service,
            text,
        })
    }
}

/// The table that is used now, for all workers. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct CurrentTable(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    table: Mutex<Arc<Table>>,
    /// Counts the tables, so that workers look at the mutex only after a change.
    version: AtomicUsize,
}

impl CurrentTable {
    pub(crate) fn new(table: Table) -> Self {
        Self(Arc::new(Shared {
            table: Mutex::new(Arc::new(table)),
            version: AtomicUsize::new(0),
        }))
    }

    /// For requests from now on.
    pub(crate) fn replace(&self, table: Table) {
        let mut current = self.0.table.lock().unwrap_or_else(PoisonError::into_inner);
        *current = Arc::new(table);
        self.0.version.fetch_add(1, Ordering::Release);
    }

    pub(super) fn version(&self) -> usize {
        self.0.version.load(Ordering::Acquire)
    }

    /// The table and its version.
    pub(super) fn load(&self) -> (Arc<Table>, usize) {
        let table = self.0.table.lock().unwrap_or_else(PoisonError::into_inner);
        (Arc::clone(&table), self.version())
    }
}
