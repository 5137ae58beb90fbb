//! The routes of the command.

use std::{
    convert::Infallible,
    fmt::Write,
    pin::Pin,
    rc::Rc,
    sync::{Arc, LazyLock},
    task::{Context, Poll},
};

use bytes::Bytes;
use corelane::{Body, ConnectionInfo, Error};
use corelane_ops::Health;
use http::{HeaderValue, Request, Response, StatusCode, header::CONTENT_TYPE};
use http_body::{Frame, SizeHint};
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};

use crate::{
    digest::Sha256,
    negotiated::negotiated,
    status::{Source, Status},
};

type ResponseBody = UnsyncBoxBody<Bytes, Error>;

/// The routes of one worker.
#[derive(Clone)]
pub(crate) struct Routes(Rc<State>);

struct State {
    health: Health,
    status: Status,
}

impl Routes {
    /// Call it on the worker's thread.
    pub(crate) fn new(health: Health, source: Option<Arc<Source>>) -> Self {
        let status = Status::new(source);
        Self(Rc::new(State { health, status }))
    }

    pub(crate) async fn respond(
        self,
        request: Request<Body>,
    ) -> Result<Response<ResponseBody>, Infallible> {
        let state = &*self.0;
        if let Some(response) = state.status.respond(&request) {
            return Ok(response);
        }
        let path = request.uri().path().to_owned();
        Ok(match path.as_str() {
            "/" => text(StatusCode::OK, page(request.body().connection())),
            "/echo" => echo(request),
            "/drain" => drain(request.into_body()).await,
            _ => match path.strip_prefix("/bytes/").map(str::parse) {
                Some(Ok(length)) => Response::new(Repeated { left: length }.boxed_unsync()),
                Some(Err(_)) => text(
                    StatusCode::BAD_REQUEST,
                    "/bytes/N needs a number of bytes\n".into(),
                ),
                None => match state.health.response(&path) {
                    Some((status, words)) => text(status, words.into_owned()),
                    None => text(
                        StatusCode::NOT_FOUND,
                        "not found; the routes are /, /bytes/N, /echo, /drain, /healthz and /readyz\n"
                            .into(),
                    ),
                },
            },
        })
    }
}

fn text(status: StatusCode, text: String) -> Response<ResponseBody> {
    let body = Full::new(Bytes::from(text)).map_err(|never| match never {});
    let mut response = Response::new(body.boxed_unsync());
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, plain);
    response
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
    let mut response = Response::new(request.into_body().boxed_unsync());
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
