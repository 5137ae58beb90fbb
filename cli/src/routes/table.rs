//! All routes of the server.

use std::{cmp::Reverse, collections::HashSet, path::Path, time::Duration};

use corelane::Error;
use corelane_gateway::{Files, Proxy, ProxyOptions};

use super::{
    args::RouteArgs,
    prefix::Prefix,
    spec::{FilesSpec, RouteSpec, Target, UpstreamsSpec},
};

/// The routes, longest prefix first.
#[derive(Debug)]
pub(crate) struct Table {
    pub(super) routes: Vec<Route>,
    /// Whether the demonstration's paths are served too.
    pub(super) demo: bool,
    args: RouteArgs,
}

#[derive(Debug)]
pub(super) struct Route {
    pub(super) prefix: Prefix,
    pub(super) service: Service,
    /// For the introduction.
    text: String,
}

#[derive(Debug)]
pub(super) enum Service {
    Files(Files),
    Proxy { proxy: Proxy, strip_prefix: bool },
}

impl Table {
    /// An error names the flag.
    pub(crate) fn new(args: &RouteArgs) -> Result<Self, Error> {
        let (mut routes, mut prefixes) = (Vec::new(), HashSet::new());
        if let Some((flag, spec)) = root_route(args) {
            routes.push(Route::new(&spec, args, flag)?);
            prefixes.insert(spec.prefix);
        }
        for spec in &args.route {
            let flag = format!("--route {}", spec.prefix);
            if !prefixes.insert(spec.prefix.clone()) {
                let other = match root_route(args) {
                    Some((flag, root)) if root.prefix == spec.prefix => flag,
                    _ => "another route",
                };
                let message = format!("{flag}: {other} has this prefix already");
                return Err(Error::config(message));
            }
            routes.push(Route::new(spec, args, &flag)?);
        }
        check_options(args, &routes)?;
        routes.sort_by_key(|route| Reverse(route.prefix.as_str().len()));
        Ok(Self {
            demo: args.demo || routes.is_empty(),
            routes,
            args: args.clone(),
        })
    }

    /// Whether this is the demonstration alone.
    pub(super) fn is_demo(&self) -> bool {
        self.routes.is_empty()
    }

    /// Whether a route leads to an upstream.
    pub(crate) fn has_upstreams(&self) -> bool {
        let mut services = self.routes.iter().map(|route| &route.service);
        services.any(|service| matches!(service, Service::Proxy { .. }))
    }

    /// Whether the other table was made of the same options.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.args == other.args
    }

    /// What is served, a line for each prefix.
    pub(crate) fn introduction(&self) -> String {
        if self.is_demo() {
            return "serving a demonstration: --root DIR serves files, --upstream \
                    http://127.0.0.1:3000 an application\n"
                .into();
        }
        let lines = self
            .routes
            .iter()
            .map(|route| format!("serving {}: {}\n", route.prefix, route.text));
        lines.collect()
    }
}

/// The route of `--root` or `--upstream`.
fn root_route(args: &RouteArgs) -> Option<(&'static str, RouteSpec)> {
    let (flag, target) = match &args.root {
        Some(root) => {
            let root = root.clone();
            let files = FilesSpec {
                root,
                ..FilesSpec::default()
            };
            ("--root", Target::Files(files))
        }
        None if args.upstream.is_empty() => return None,
        None => {
            let upstreams = args.upstream.clone();
            let upstreams = UpstreamsSpec {
                upstreams,
                ..UpstreamsSpec::default()
            };
            ("--upstream", Target::Upstreams(upstreams))
        }
    };
    let prefix = Prefix::root();
    Some((flag, RouteSpec { prefix, target }))
}

/// Options of files need a folder, those of upstreams an upstream.
fn check_options(args: &RouteArgs, routes: &[Route]) -> Result<(), Error> {
    let is_files = |route: &Route| matches!(route.service, Service::Files(_));
    let for_files = [
        (args.spa, "--spa"),
        (args.hidden_files, "--hidden-files"),
        (args.cache_control.is_some(), "--cache-control"),
    ];
    let for_upstreams = [
        (args.rewrite_host, "--rewrite-host"),
        (!args.trusted_proxy.is_empty(), "--trusted-proxy"),
    ];
    for (options, has_target, advice) in [
        (
            &for_files[..],
            routes.iter().any(is_files),
            "no folder is served: add --root",
        ),
        (
            &for_upstreams[..],
            !routes.iter().all(is_files),
            "no upstream is used: add --upstream",
        ),
    ] {
        let given = options.iter().find(|(given, _)| *given);
        if let Some((_, flag)) = given.filter(|_| !has_target) {
            return Err(Error::config(format!("{flag} has no effect: {advice}")));
        }
    }
    Ok(())
}

impl Route {
    fn new(spec: &RouteSpec, args: &RouteArgs, flag: &str) -> Result<Self, Error> {
        let RouteSpec { prefix, target } = spec;
        let service = match target {
            Target::Files(spec) => files(spec, prefix, args),
            Target::Upstreams(spec) => proxy(spec, args),
        };
        Ok(Self {
            prefix: prefix.clone(),
            service: service.map_err(|error| Error::config(flag).with_source(error))?,
            text: target.to_string(),
        })
    }
}

fn files(spec: &FilesSpec, prefix: &Prefix, args: &RouteArgs) -> Result<Service, Error> {
    let root: &Path = &spec.root;
    let files = Files::new(root)?
        .prefix(prefix.as_str())
        .hidden(spec.hidden_files.unwrap_or(args.hidden_files))
        .spa(spec.spa.unwrap_or(args.spa));
    let cache_control = spec.cache_control.as_ref().or(args.cache_control.as_ref());
    Ok(Service::Files(match cache_control {
        Some(value) => files.cache_control(value.clone()),
        None => files,
    }))
}

fn proxy(spec: &UpstreamsSpec, args: &RouteArgs) -> Result<Service, Error> {
    let connect = spec.connect_timeout.unwrap_or(args.connect_timeout);
    let response = spec.upstream_timeout.unwrap_or(args.upstream_timeout);
    let mut options = ProxyOptions::default();
    options.connect_timeout = Duration::from_secs(connect.get());
    options.response_timeout = Duration::from_secs(response.get());
    options.preserve_host = !spec.rewrite_host.unwrap_or(args.rewrite_host);
    options.trusted_proxies.clone_from(&args.trusted_proxy);
    Ok(Service::Proxy {
        proxy: Proxy::new(spec.upstreams.clone(), options)?,
        strip_prefix: spec.strip_prefix,
    })
}
