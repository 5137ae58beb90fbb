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

use crate::{
    error::{Error, Kind},
    response::remove_framing,
};

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
const COMPLETE_WITH_TRAILERS: u8 = 2;
const MALFORMED: u8 = 3;
const CUT_OFF: u8 = 4;

impl Progress {
    /// All of the body was read.
    pub(crate) fn is_complete(&self) -> bool {
        [COMPLETE, COMPLETE_WITH_TRAILERS].contains(&self.0.load(Acquire))
    }

    /// Where the next request begins is not certain: hyper ends trailers at CRLF CRLF, and takes lines
    /// that end in LF alone. Another server may have seen their end before.
    pub(crate) fn has_uncertain_end(&self) -> bool {
        self.0.load(Acquire) == COMPLETE_WITH_TRAILERS
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
        Poll::Ready(match ready!(Pin::new(&mut self.incoming).poll_frame(cx)) {
            Some(Ok(mut frame)) => match frame.trailers_mut() {
                // LF alone at the end, behind which hyper has read on.
                Some(trailers) if trailers.is_empty() => {
                    self.progress.set(MALFORMED);
                    let message = "the request body ends in a bare LF";
                    Some(Err(Error::new(Kind::Http1, message)))
                }
                Some(trailers) => {
                    self.progress.set(COMPLETE_WITH_TRAILERS);
                    remove_framing(trailers);
                    Some(Ok(frame))
                }
                None => {
                    if self.incoming.is_end_stream() {
                        self.progress.set(COMPLETE);
                    }
                    Some(Ok(frame))
                }
            },
            Some(Err(error)) => {
                self.progress.set(match is_malformed(&error) {
                    true => MALFORMED,
                    false => CUT_OFF,
                });
                Some(Err(failed(error)))
            }
            None => {
                self.progress.set(COMPLETE);
                None
            }
        })
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
