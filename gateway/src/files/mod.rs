//! Static files.

mod body;
mod conditions;
mod disk;
mod path;
mod response;

use std::{
    fs,
    io::{self, ErrorKind},
    path::PathBuf,
};

use corelane::Error;
use http::{
    HeaderValue, Method, Request, Response, StatusCode, Uri,
    header::{ACCEPT, RANGE},
    request::Parts,
};
use nix::errno::Errno;
use tower_http::services::ServeDir;

use self::{body::FileResponse, disk::Disk};
use crate::ResponseBody;

/// Serves the files of a folder by tower-http's [`ServeDir`].
///
/// - GET and HEAD; other methods get 405. Ranges, also with `if-range`, and all conditions of RFC
///   9110 section 13. Several ranges at once get the whole file.
/// - A folder is served by its `index.html`; without the slash at its end, the path is redirected by
///   307 to the one with it. There is no listing.
/// - `FILE.br`, `FILE.gz` and `FILE.zst` beside a `FILE` are sent in its place, with
///   `content-encoding`, to clients that accept them.
/// - 404 without a file, and for all that may name none: segments `.` and `..`, an encoded slash, a
///   backslash or NUL, names that begin with a dot (but [`hidden`](Self::hidden)), FIFOs, sockets and
///   devices. 403 for a file that this process may not read.
/// - Symbolic links are followed wherever they lead, as by nginx: who can make them below the root can
///   publish what this process can read.
/// - A file that is truncated while it is sent resets the stream.
///
/// The type of a file follows from its name, with `charset=utf-8` for text, and browsers are told not
/// to guess another one (`x-content-type-options: nosniff`).
///
/// Files are opened and read by calls that block the worker. They return at once for what the kernel
/// has in its page cache; a cold or remote disk holds up all connections of the worker.
///
/// ```
/// use corelane::{Body, service_fn};
/// use corelane_gateway::Files;
/// use http::Request;
///
/// # fn main() -> Result<(), corelane::Error> {
/// let files = Files::new(".")?;
/// let service = service_fn(move |request: Request<Body>| {
///     let files = files.clone();
///     async move { Ok::<_, std::convert::Infallible>(files.respond(request).await) }
/// });
/// # let _: &dyn Fn(corelane::WorkerInfo) -> _ = &|_worker| service.clone();
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Files {
    root: PathBuf,
    prefix: String,
    hidden: bool,
    spa: bool,
    cache_control: Option<HeaderValue>,
}

/// The page of a folder, and of all paths with [`Files::spa`].
const INDEX: &str = "/index.html";

/// How much of a file is read at once: a multiple of HTTP/2's smallest frame, and the largest block that
/// jemalloc's threads keep for reuse.
const CHUNK: usize = 32 * 1024;

impl Files {
    /// The files below this folder. An error if it is not a folder, or may not be searched.
    pub fn new(root: impl Into<PathBuf>) -> Result<Self, Error> {
        let root = root.into();
        // The dot requires that the folder may be searched.
        if let Err(error) = fs::metadata(root.join(".")) {
            let advice = match error.kind() {
                ErrorKind::PermissionDenied => {
                    "the user of this process needs permission to read and search it"
                }
                _ => "it has to be a folder that exists",
            };
            let message = format!("cannot serve files from {}: {advice}", root.display());
            return Err(Error::config(message).with_source(error));
        }
        Ok(Self {
            root,
            prefix: String::new(),
            hidden: false,
            spa: false,
            cache_control: None,
        })
    }

    /// Serves the files below this path: with `/static`, `/static/a.css` is `a.css` in the folder. By
    /// default the folder is `/`. Paths outside get 404.
    #[must_use]
    pub fn prefix(mut self, prefix: &str) -> Self {
        self.prefix = prefix.trim_end_matches('/').to_owned();
        self
    }

    /// Whether to serve files and folders whose names begin with a dot. Default: no, but for
    /// `/.well-known` (RFC 8615).
    #[must_use]
    pub fn hidden(mut self, hidden: bool) -> Self {
        self.hidden = hidden;
        self
    }

    /// Whether to answer paths without a file by the root's `index.html` and 200, for applications that
    /// choose the page in the browser (nginx's `try_files $uri $uri/ /index.html`).
    ///
    /// Paths whose last segment contains a dot, such as scripts and pictures, get it only if the client
    /// asks for `text/html`, as a browser does that opens a page; otherwise 404. The page gets
    /// `cache-control: no-cache`, so that browsers see a new version of the application. Default: no.
    #[must_use]
    pub fn spa(mut self, spa: bool) -> Self {
        self.spa = spa;
        self
    }

    /// The `cache-control` of files (200, 206 and 304). Default: none, so that caches guess by
    /// `last-modified`.
    #[must_use]
    pub fn cache_control(mut self, value: HeaderValue) -> Self {
        self.cache_control = Some(value);
        self
    }

    /// Answers a request. Its body is dropped.
    pub async fn respond<B>(&self, request: Request<B>) -> Response<ResponseBody> {
        let (mut parts, _) = request.into_parts();
        if ![Method::GET, Method::HEAD].contains(&parts.method) {
            return response::method_not_allowed();
        }
        let Some(path) = self.below_prefix(parts.uri.path()) else {
            return response::plain(StatusCode::NOT_FOUND);
        };
        if path.is_empty() {
            return response::redirect(&format!("{}/", self.prefix), parts.uri.query());
        }
        if !path::is_servable(path, self.hidden) {
            return response::plain(StatusCode::NOT_FOUND);
        }
        let is_page = path == "/" || path == INDEX;
        let fallback = (self.spa && !is_page).then(|| Fallback::new(&parts, path));
        match path::uri(path, parts.uri.query()) {
            Some(uri) => parts.uri = uri,
            None => return response::plain(StatusCode::NOT_FOUND),
        }
        match (self.file(parts).await, fallback) {
            (Err(StatusCode::NOT_FOUND), Some(fallback)) => {
                let mut response = match fallback.request {
                    Some(request) => self.finish(self.file(request).await, true),
                    None => response::plain(StatusCode::NOT_FOUND),
                };
                if fallback.varies {
                    response::vary_by(response.headers_mut(), ACCEPT);
                }
                response
            }
            (found, _) => self.finish(found, self.spa && is_page),
        }
    }

    /// The rest of the path, empty for the prefix itself. `None`: it is elsewhere.
    fn below_prefix<'a>(&self, path: &'a str) -> Option<&'a str> {
        let rest = path.strip_prefix(&*self.prefix)?;
        (rest.is_empty() || rest.starts_with('/')).then_some(rest)
    }

    /// Reads a file, or the index of a folder. Otherwise returns the status to answer.
    async fn file(&self, mut request: Parts) -> Result<FileResponse, StatusCode> {
        conditions::remove_foreign_ranges(&mut request);
        let whole = conditions::has_if_range(&request.headers).then(|| {
            let mut whole = request.clone();
            whole.headers.remove(RANGE);
            whole
        });
        let response = self.open(request).await?;
        match whole {
            Some(whole) if !conditions::if_range_holds(&whole.headers, response.headers()) => {
                self.open(whole).await
            }
            _ => Ok(response),
        }
    }

    async fn open(&self, request: Parts) -> Result<FileResponse, StatusCode> {
        let path = request.uri.path().to_owned();
        let opens = request.method == Method::GET;
        let mut directory = ServeDir::with_backend(&self.root, Disk::new(opens))
            .redirect_path_prefix(&*self.prefix)
            .precompressed_br()
            .precompressed_gzip()
            .precompressed_zstd()
            .ignore_multi_range_requests(true)
            .with_buf_chunk_size(CHUNK);
        match directory.try_call(Request::from_parts(request, ())).await {
            Ok(response) if response.status() == StatusCode::NOT_FOUND => {
                Err(StatusCode::NOT_FOUND)
            }
            Ok(response) => Ok(response),
            Err(error) => Err(status(&error, &path)),
        }
    }

    fn finish(
        &self,
        found: Result<FileResponse, StatusCode>,
        is_page: bool,
    ) -> Response<ResponseBody> {
        const NO_CACHE: HeaderValue = HeaderValue::from_static("no-cache");
        match found {
            Ok(found) => {
                let cache_control = match is_page {
                    true => Some(NO_CACHE),
                    false => self.cache_control.clone(),
                };
                response::of_file(found, cache_control)
            }
            Err(status) => response::plain(status),
        }
    }
}

/// The status for a file that cannot be opened.
fn status(error: &io::Error, path: &str) -> StatusCode {
    match error.kind() {
        ErrorKind::NotFound
        | ErrorKind::NotADirectory
        | ErrorKind::IsADirectory
        | ErrorKind::InvalidFilename
        | ErrorKind::InvalidInput => StatusCode::NOT_FOUND,
        ErrorKind::PermissionDenied => StatusCode::FORBIDDEN,
        _ => match error.raw_os_error().map(Errno::from_raw) {
            // A symbolic link to itself; a socket.
            Some(Errno::ELOOP | Errno::ENXIO) => StatusCode::NOT_FOUND,
            _ => {
                tracing::warn!(path, %error, "cannot open a file");
                StatusCode::INTERNAL_SERVER_ERROR
            }
        },
    }
}

/// The request for the page of a single-page application, if a path has no file.
struct Fallback {
    /// `None`: the client does not expect a page.
    request: Option<Parts>,
    /// Whether the client's `accept` decided that.
    varies: bool,
}

impl Fallback {
    fn new(request: &Parts, path: &str) -> Self {
        let varies = path
            .rsplit('/')
            .next()
            .is_some_and(|last| last.contains('.'));
        let wants_page = !varies || conditions::accepts_html(&request.headers);
        let request = wants_page.then(|| {
            let mut request = request.clone();
            request.uri = Uri::from_static(INDEX);
            request
        });
        Self { request, varies }
    }
}
