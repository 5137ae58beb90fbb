//! The body of a request on its way to the upstream.

use std::{
    cell::Cell,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use bytes::Bytes;
use corelane::{Body, Error, monoio::time::Instant};
use http_body::{Frame, SizeHint};

/// How far a request's body is: for the time limits, and to decide whether its connection can be used
/// again.
#[derive(Debug)]
pub(super) struct Upload {
    state: Cell<State>,
    moved: Cell<Option<Instant>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The upstream has to take what was read, or the body was not begun.
    Sending,
    /// The client has to send more.
    WaitingForClient,
    /// The client's stream has failed.
    Failed,
    /// The whole body was read, or hyper has dropped it.
    Over,
}

impl Upload {
    /// When the upstream became the one that the exchange waits for.
    pub(super) fn waiting_since(&self) -> Option<Instant> {
        match self.state.get() {
            State::WaitingForClient => Some(Instant::now()),
            _ => self.moved.get(),
        }
    }

    pub(super) fn has_failed(&self) -> bool {
        self.state.get() == State::Failed
    }

    pub(super) fn is_over(&self) -> bool {
        self.state.get() == State::Over
    }
}

/// The client's body, which reports its progress. A body without data has no progress to report.
pub(super) struct RequestBody {
    body: Body,
    upload: Option<Rc<Upload>>,
}

impl RequestBody {
    pub(super) fn new(body: Body) -> Self {
        let upload = (!http_body::Body::is_end_stream(&body)).then(|| {
            Rc::new(Upload {
                state: Cell::new(State::Sending),
                moved: Cell::new(None),
            })
        });
        Self { body, upload }
    }

    pub(super) fn upload(&self) -> Option<Rc<Upload>> {
        self.upload.clone()
    }
}

impl http_body::Body for RequestBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.body).poll_frame(cx);
        if let Some(upload) = &this.upload {
            upload.state.set(match &polled {
                Poll::Pending => State::WaitingForClient,
                Poll::Ready(Some(Ok(_))) => State::Sending,
                Poll::Ready(Some(Err(_))) => State::Failed,
                Poll::Ready(None) => State::Over,
            });
            upload.moved.set(Some(Instant::now()));
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        http_body::Body::is_end_stream(&self.body)
    }

    fn size_hint(&self) -> SizeHint {
        http_body::Body::size_hint(&self.body)
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        if let Some(upload) = &self.upload
            && !upload.has_failed()
        {
            upload.state.set(State::Over);
        }
    }
}
