//! Options of what is served.

use std::path::PathBuf;

use clap::Args;
use http::HeaderValue;

use super::spec::{RouteSpec, header_value};

#[derive(Debug, Args)]
#[command(next_help_heading = "What to serve")]
pub(crate) struct RouteArgs {
    /// Serve the files of this folder.
    #[arg(long, value_name = "DIR")]
    pub(super) root: Option<PathBuf>,

    /// Serve what is below a path from a folder, for instance /static=/srv/www; repeatable. The longest
    /// prefix applies, in whole segments.
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

    /// Answer the demonstration's paths too: /bytes/N (N bytes), /echo (the request's body and trailers),
    /// /drain (length and SHA-256 of the request's body) and the live page /status. [default: if there is
    /// nothing else to serve]
    #[arg(long)]
    pub(super) demo: bool,
}
