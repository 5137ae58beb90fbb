//! What the connections of both engines share.

use std::{
    pin::pin,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http::{HeaderValue, Response, header};

pub trait Connection {
    /// Does what is possible without waiting. False if the connection has ended.
    fn turn(&mut self, date: &HeaderValue) -> bool;
    /// Whether the socket is full.
    fn is_blocked(&self) -> bool;
}

/// Adds the fields that every server adds.
pub fn complete(response: &mut Response<Bytes>, date: &HeaderValue) {
    let length = response.body().len().into();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_LENGTH, length);
    headers.insert(header::DATE, date.clone());
}

/// The output of a future that waits for nothing.
pub fn now<F: Future>(future: F) -> Option<F::Output> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}
