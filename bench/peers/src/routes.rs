//! The request handlers, the same for all servers.

use std::{convert::Infallible, fs, path::Path};

use anyhow::Context;
use bytes::{Buf, Bytes};
use http::{HeaderValue, Method, Request, Response, StatusCode, header::CONTENT_TYPE};
use http_body::Body;
use http_body_util::BodyExt;

/// The type of all responses.
pub const OCTETS: &str = "application/octet-stream";

/// The response bodies. They live as long as the process, so that a response copies only a pointer and
/// a length.
#[derive(Debug)]
pub struct Bodies {
    pub tiny: Bytes,
    pub k16: Bytes,
    pub k64: Bytes,
    pub m1: Bytes,
    zeros: Bytes,
}

/// The longest body of GET /bytes/N.
const MAX_BYTES: usize = 16 << 20;

impl Bodies {
    pub fn read(directory: &Path) -> anyhow::Result<&'static Self> {
        let read = |name| {
            let path = directory.join(name);
            let bytes =
                fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
            anyhow::Ok(Bytes::from_static(bytes.leak()))
        };
        Ok(Box::leak(Box::new(Self {
            tiny: read("tiny")?,
            k16: read("16k")?,
            k64: read("64k")?,
            m1: read("1m")?,
            // Not resident before it is read.
            zeros: Bytes::from_static(vec![0; MAX_BYTES].leak()),
        })))
    }

    /// The body of GET /bytes/N.
    fn bytes(&self, path: &str) -> Option<Bytes> {
        let length: usize = path.strip_prefix("/bytes/")?.parse().ok()?;
        (length <= MAX_BYTES).then(|| self.zeros.slice(..length))
    }
}

pub async fn answer<B: Body, R: From<Bytes>>(
    bodies: &'static Bodies,
    request: Request<B>,
) -> Result<Response<R>, Infallible> {
    Ok(match (request.method(), request.uri().path()) {
        (&Method::GET, "/tiny") => octets(bodies.tiny.clone()),
        (&Method::GET, "/16k") => octets(bodies.k16.clone()),
        (&Method::GET, "/64k") => octets(bodies.k64.clone()),
        (&Method::GET, "/1m") => octets(bodies.m1.clone()),
        (&Method::POST, "/upload") => received(request.into_body()).await,
        (&Method::GET, path) => match bodies.bytes(path) {
            Some(body) => octets(body),
            None => status(StatusCode::NOT_FOUND),
        },
        _ => status(StatusCode::NOT_FOUND),
    })
}

/// Reads a request's body and answers with its length.
pub async fn received<B: Body, R: From<Bytes>>(body: B) -> Response<R> {
    let mut body = std::pin::pin!(body);
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => length += frame.data_ref().map_or(0, Buf::remaining),
            Err(_) => return status(StatusCode::BAD_REQUEST),
        }
    }
    octets(Bytes::from(format!("{length}\n")))
}

pub fn octets<R: From<Bytes>>(body: Bytes) -> Response<R> {
    let mut response = Response::new(R::from(body));
    let octets = HeaderValue::from_static(OCTETS);
    response.headers_mut().insert(CONTENT_TYPE, octets);
    response
}

fn status<R: From<Bytes>>(status: StatusCode) -> Response<R> {
    let mut response = Response::new(R::from(Bytes::new()));
    *response.status_mut() = status;
    response
}
