//! The demonstration: what a newcomer sees, and paths to test clients with.

use std::{
    fmt::Write,
    pin::Pin,
    sync::LazyLock,
    task::{Context, Poll},
};

use bytes::Bytes;
use corelane::{Body, ConnectionInfo, Error};
use corelane_gateway::ResponseBody;
use corelane_ops::Health;
use http::{Method, Request, Response, StatusCode, header::CONTENT_TYPE};
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;

use super::text::text;
use crate::{digest::Sha256, negotiated::negotiated, status::Status};

pub(super) struct Demo {
    health: Health,
    status: Status,
}

/// The longest response of /bytes/N: 1 GiB, more than a measurement needs, so that one request does not
/// keep a server busy for days.
const MAX_BYTES: u64 = 1 << 30;

impl Demo {
    pub(super) fn new(health: Health, status: Status) -> Self {
        Self { health, status }
    }

    /// Whether the path is one of the demonstration's that are served beside routes.
    pub(super) fn has(&self, path: &str) -> bool {
        matches!(path, "/echo" | "/drain") || path.starts_with("/bytes/") || self.status.has(path)
    }

    pub(super) async fn respond(&self, request: Request<Body>) -> Response<ResponseBody> {
        if request.method() == Method::CONNECT {
            // A 2xx would promise the protocol that the client asks for (RFC 8441 section 5).
            let message = "upgrades are for upstreams\n".into();
            return text(StatusCode::NOT_IMPLEMENTED, message);
        }
        if let Some(response) = self.status.respond(&request) {
            return response;
        }
        match request.uri().path() {
            "/" => text(StatusCode::OK, page(request.body().connection())),
            "/echo" => echo(request),
            "/drain" => drain(request.into_body()).await,
            path => match path.strip_prefix("/bytes/").map(str::parse) {
                Some(Ok(length)) if length <= MAX_BYTES => {
                    Response::new(ResponseBody::new(Repeated { left: length }))
                }
                Some(_) => text(
                    StatusCode::BAD_REQUEST,
                    format!("/bytes/N needs a number of bytes, {MAX_BYTES} at most\n"),
                ),
                None => match self.health.response(path) {
                    Some((status, words)) => text(status, words.into_owned()),
                    None => text(
                        StatusCode::NOT_FOUND,
                        "not found; the routes are /, /bytes/N, /echo, /drain, /healthz and /readyz\n"
                            .into(),
                    ),
                },
            },
        }
    }
}

/// The result of this client's handshake, one value per line.
fn page(connection: &ConnectionInfo) -> String {
    let mut page = String::new();
    for (name, value) in negotiated(connection) {
        // Writing to a String cannot fail.
        let _ = writeln!(page, "{name}: {value}");
    }
    page
}

/// Sends the request's body and trailers back as they arrive.
fn echo(request: Request<Body>) -> Response<ResponseBody> {
    let content_type = request.headers().get(CONTENT_TYPE).cloned();
    let mut response = Response::new(ResponseBody::new(request.into_body()));
    if let Some(content_type) = content_type {
        response.headers_mut().insert(CONTENT_TYPE, content_type);
    }
    response
}

/// Reads the whole body and answers its length and SHA-256.
async fn drain(mut body: Body) -> Response<ResponseBody> {
    let mut length = 0;
    let mut sha256 = Sha256::default();
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => {
                if let Some(data) = frame.data_ref() {
                    length += data.len();
                    sha256.update(data);
                }
            }
            Err(error) => {
                let message = format!("the request's body ended early: {error}\n");
                return text(StatusCode::BAD_REQUEST, message);
            }
        }
    }
    let mut line = format!("{length} ");
    match sha256.finish() {
        Some(digest) => {
            for byte in digest {
                let _ = write!(line, "{byte:02x}");
            }
        }
        None => line.push_str("(no SHA-256: built without TLS)"),
    }
    line.push('\n');
    text(StatusCode::OK, line)
}

/// Lines of 64 characters, repeated up to `left` bytes.
struct Repeated {
    left: u64,
}

static BLOCK: LazyLock<Bytes> = LazyLock::new(|| {
    const LINE: &[u8; 64] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-\n";
    Bytes::from(LINE.repeat(1024))
});

impl http_body::Body for Repeated {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let n = usize::try_from(self.left).map_or(BLOCK.len(), |left| left.min(BLOCK.len()));
        self.left -= n as u64;
        Poll::Ready(Some(Ok(Frame::data(BLOCK.slice(..n)))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
