//! A request on its way to an upstream, which may be sent again.

use std::{io, rc::Rc};

use http::{Request, request::Parts};

use super::{
    failure::Failure,
    request_body::{RequestBody, Upload},
    send_error::SendError,
};

/// A request on its way, with what a second try needs.
pub(super) struct Outgoing {
    pub(super) head: Parts,
    pub(super) body: RequestBody,
}

/// A request that may be sent again.
pub(super) struct Again {
    pub(super) outgoing: Box<Outgoing>,
    /// It failed on a connection that was kept since an earlier request, and had probably been closed.
    pub(super) stale: bool,
}

pub(super) type Exchanged<T> = Result<T, (Failure, Option<Again>)>;

pub(super) fn again(outgoing: Option<Outgoing>, stale: bool) -> Option<Again> {
    Some(Again {
        outgoing: Box::new(outgoing?),
        stale,
    })
}

/// The failure of a request, and whether it may be sent again: if it was not sent at all, or if it may
/// be repeated (`copy`).
pub(super) fn failed(
    error: SendError,
    upload: Option<&Upload>,
    copy: Option<Outgoing>,
    stale: bool,
) -> (Failure, Option<Again>) {
    match error {
        SendError::NotSent(request) => {
            let closed = Rc::new(io::ErrorKind::ConnectionAborted.into());
            (
                Failure::Connect(closed),
                again(Some((*request).into()), stale),
            )
        }
        SendError::Timeout => (Failure::ResponseTimeout, None),
        SendError::Failed(error) if upload.is_some_and(Upload::has_failed) => {
            (Failure::RequestBody(error), None)
        }
        SendError::Failed(error) => (Failure::NoResponse(error), again(copy, stale)),
    }
}

impl From<Outgoing> for Request<RequestBody> {
    fn from(Outgoing { head, body }: Outgoing) -> Self {
        Self::from_parts(head, body)
    }
}

impl From<Request<RequestBody>> for Outgoing {
    fn from(request: Request<RequestBody>) -> Self {
        let (head, body) = request.into_parts();
        Self { head, body }
    }
}
