//! The body of a response on its way to the client.

use std::{
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use bytes::Bytes;
use corelane::Error;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::{
    connect::Socket, deadline::Deadline, http1, http2, request_body::Upload, upstream::Upstream,
};

/// The body of a response that is forwarded. It ends with an error, so that the client's stream is
/// reset, if the upstream sends less than it declared, resets the connection or is silent for too
/// long. If it is dropped before its end, the upstream's connection is closed or its stream reset.
pub(crate) struct UpstreamBody {
    incoming: Incoming,
    upstream: Rc<Upstream>,
    /// `None` after the end.
    lease: Option<Lease>,
}

pub(super) enum Lease {
    Http1(Box<http1::Lease>),
    Http2 {
        _stream: http2::Stream,
        deadline: Deadline,
        upload: Option<Rc<Upload>>,
    },
}

impl Lease {
    /// See [`http1::Lease::into_upgraded`].
    pub(super) fn into_upgraded(self) -> Option<(Socket, Bytes)> {
        match self {
            Self::Http1(lease) => lease.into_upgraded(),
            Self::Http2 { .. } => None,
        }
    }

    pub(super) fn finish(self) {
        match self {
            Self::Http1(lease) => lease.finish(),
            Self::Http2 { .. } => {}
        }
    }
}

impl UpstreamBody {
    /// A body with its connection. A response without a body returns the connection at once.
    pub(super) fn new(incoming: Incoming, upstream: &Rc<Upstream>, lease: Lease) -> Self {
        let mut body = Self {
            incoming,
            upstream: Rc::clone(upstream),
            lease: Some(lease),
        };
        body.finish_at_end();
        body
    }

    fn finish_at_end(&mut self) {
        if self.incoming.is_end_stream() {
            self.finish();
        }
    }

    fn finish(&mut self) {
        if let Some(lease) = self.lease.take() {
            lease.finish();
        }
    }

    fn fail(&mut self, kind: io::ErrorKind, why: &str, source: Option<hyper::Error>) -> Error {
        self.lease = None;
        let upstream = &self.upstream;
        let message = match source {
            Some(source) => format!("{upstream}: {why}: {}", corelane::Chain(&source)),
            None => format!("{upstream}: {why}"),
        };
        Error::from(io::Error::new(kind, message))
    }

    fn poll_incoming(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let incoming = &mut self.incoming;
        let mut poll = |cx: &mut Context<'_>| Pin::new(&mut *incoming).poll_frame(cx);
        match &mut self.lease {
            Some(Lease::Http1(lease)) => lease.connection().poll_body(cx, poll),
            _ => poll(cx),
        }
    }

    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let (deadline, upload) = match &mut self.lease {
            None => return Poll::Pending,
            Some(Lease::Http1(lease)) => {
                let upload = lease.upload().cloned();
                (lease.connection().deadline(), upload)
            }
            Some(Lease::Http2 {
                deadline, upload, ..
            }) => (deadline, upload.clone()),
        };
        // A stream in both directions may rest while the client says nothing. What the client said last
        // counts, too, when its side is over.
        deadline.poll(cx, || upload.as_ref()?.waiting_since())
    }

    fn restart_deadline(&mut self) {
        match &mut self.lease {
            None => {}
            Some(Lease::Http1(lease)) => lease.connection().deadline().restart(),
            Some(Lease::Http2 { deadline, .. }) => deadline.restart(),
        }
    }
}

impl Body for UpstreamBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = self.get_mut();
        match this.poll_incoming(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                this.restart_deadline();
                this.finish_at_end();
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(None) => {
                this.finish();
                Poll::Ready(None)
            }
            Poll::Ready(Some(Err(error))) => {
                let why = "the response ended before it was complete";
                let error = this.fail(io::ErrorKind::Other, why, Some(error));
                Poll::Ready(Some(Err(error)))
            }
            Poll::Pending => this.poll_deadline(cx).map(|()| {
                let why = "the response stopped for longer than the response timeout";
                Some(Err(this.fail(io::ErrorKind::TimedOut, why, None)))
            }),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
