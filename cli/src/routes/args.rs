//! Options of what is served.

use std::{num::NonZeroU64, path::PathBuf};

use clap::Args;
use corelane::IpNet;
use corelane_gateway::Upstream;
use http::HeaderValue;

use super::spec::{RouteSpec, header_value};
use crate::network::network;

#[derive(Clone, Debug, PartialEq, Args)]
#[command(next_help_heading = "What to serve")]
pub(crate) struct RouteArgs {
    /// Serve the files of this folder.
    #[arg(long, value_name = "DIR", conflicts_with = "upstream")]
    pub(super) root: Option<PathBuf>,

    /// Forward requests to this server: http://HOST:PORT (HTTP/1.1), http2://HOST:PORT (HTTP/2 without
    /// TLS, as gRPC needs) or unix:PATH (HTTP/1.1); repeatable, the requests take turns.
    #[arg(long, value_name = "URL")]
    pub(super) upstream: Vec<Upstream>,

    /// Serve what is below a path from a folder or an upstream, for instance /static=/srv/www or
    /// /api=http://127.0.0.1:3000; repeatable. The longest prefix applies, in whole segments.
    #[arg(long, value_name = "PREFIX=TARGET")]
    pub(super) route: Vec<RouteSpec>,

    /// Answer paths without a file by the folder's index.html, for applications that choose the page in
    /// the browser. Paths with a dot in the last segment get it only if the client asks for text/html.
    #[arg(long)]
    pub(super) spa: bool,

    /// Serve files whose names begin with a dot too. [default: only those of /.well-known]
    #[arg(long)]
    pub(super) hidden_files: bool,

    /// Cache-control header of files, for instance "max-age=3600". With --spa, the page itself has
    /// no-cache. [default: none]
    #[arg(long, value_name = "VALUE", value_parser = header_value)]
    pub(super) cache_control: Option<HeaderValue>,

    /// Send upstreams their own name and port as the host, instead of the client's.
    #[arg(long)]
    pub(super) rewrite_host: bool,

    /// Believe the forwarded and x-forwarded-* headers of requests from this network, for instance
    /// 10.0.0.0/8; repeatable. Those of other peers are removed. [default: none]
    #[arg(long, value_name = "CIDR", value_parser = network)]
    pub(super) trusted_proxy: Vec<IpNet>,

    /// Answer 504 if connecting to an upstream takes longer, seconds.
    #[arg(long, value_name = "S", default_value = "5")]
    pub(super) connect_timeout: NonZeroU64,

    /// Answer 504 if an upstream takes longer to begin its response, seconds; reset the response if it
    /// then sends nothing for as long.
    #[arg(long, value_name = "S", default_value = "60")]
    pub(super) upstream_timeout: NonZeroU64,

    /// Answer the demonstration's paths too: /bytes/N (N bytes), /echo (the request's body and trailers),
    /// /drain (length and SHA-256 of the request's body) and the live page /status. [default: if there is
    /// nothing else to serve]
    #[arg(long)]
    pub(super) demo: bool,
}

impl RouteArgs {
    /// Whether there is nothing to serve but the demonstration.
    pub(crate) fn is_demo(&self) -> bool {
        self.root.is_none() && self.upstream.is_empty() && self.route.is_empty()
    }
}
