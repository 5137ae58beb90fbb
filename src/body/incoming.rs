//! The body of a request of HTTP/1.1, from crate hyper.

use std::{
    error::Error as StdError,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{
            AtomicU8,
            Ordering::{Acquire, Release},
        },
    },
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body as _, Frame};
use hyper::body::Incoming;

use crate::error::{Error, Kind};

/// Yields data, then trailers.
pub(crate) struct IncomingBody {
    incoming: Incoming,
    progress: Progress,
}

/// How far the body has arrived, for its connection.
#[derive(Clone, Default)]
pub(crate) struct Progress(Arc<AtomicU8>);

const OPEN: u8 = 0;
const COMPLETE: u8 = 1;
const MALFORMED: u8 = 2;
const CUT_OFF: u8 = 3;

impl Progress {
    /// All of the body was read: the bytes behind it belong to the next request.
    pub(crate) fn is_complete(&self) -> bool {
        self.0.load(Acquire) == COMPLETE
    }

    /// Its framing is invalid (RFC 9112 section 7.1).
    pub(crate) fn is_malformed(&self) -> bool {
        self.0.load(Acquire) == MALFORMED
    }

    /// The connection ended before the body did.
    pub(crate) fn is_cut_off(&self) -> bool {
        self.0.load(Acquire) == CUT_OFF
    }

    fn set(&self, state: u8) {
        if self.0.load(Acquire) == OPEN {
            self.0.store(state, Release);
        }
    }
}

impl IncomingBody {
    pub(crate) fn new(incoming: Incoming) -> (Self, Progress) {
        let progress = Progress::default();
        let body = Self {
            incoming,
            progress: progress.clone(),
        };
        (body, progress)
    }

    pub(super) fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    pub(super) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let frame = ready!(Pin::new(&mut self.incoming).poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => {
                if frame.is_trailers() || self.incoming.is_end_stream() {
                    self.progress.set(COMPLETE);
                }
            }
            Some(Err(error)) => self.progress.set(match is_malformed(error) {
                true => MALFORMED,
                false => CUT_OFF,
            }),
            None => self.progress.set(COMPLETE),
        }
        Poll::Ready(frame.map(|result| result.map_err(failed)))
    }
}

/// Whether the decoder has refused the body. Otherwise the connection has failed or ended.
fn is_malformed(error: &hyper::Error) -> bool {
    let source = error.source().and_then(|it| it.downcast_ref::<io::Error>());
    source.is_some_and(|error| {
        matches!(
            error.kind(),
            io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput
        )
    })
}

fn failed(error: hyper::Error) -> Error {
    match is_malformed(&error) {
        true => Error::new(Kind::Http1, "the request body is malformed").with_source(error),
        false => {
            let message = "the client closed the connection before the request body was complete";
            Error::new(Kind::Io, message).with_source(error)
        }
    }
}
