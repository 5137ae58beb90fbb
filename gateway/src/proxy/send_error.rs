//! How sending a request to an upstream fails.

use http::Request;
use hyper::client::conn::TrySendError;

use super::request_body::RequestBody;

pub(super) enum SendError {
    /// The request was not sent: here it is.
    NotSent(Box<Request<RequestBody>>),
    Timeout,
    Failed(hyper::Error),
}

impl From<TrySendError<Request<RequestBody>>> for SendError {
    fn from(mut error: TrySendError<Request<RequestBody>>) -> Self {
        match error.take_message() {
            Some(request) => Self::NotSent(Box::new(request)),
            None => Self::Failed(error.into_error()),
        }
    }
}
