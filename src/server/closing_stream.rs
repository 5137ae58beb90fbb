//! Closes a stream whose task is dropped.

use std::{
    rc::Rc,
    task::{Context, Poll, Waker},
};

use super::{protocol_stream::Shared, socket::Socket};
#[cfg(feature = "http1")]
use crate::http1;
use crate::io::TlsStream;

/// Closes a connection, as far as the socket takes it at once, also if its task is dropped, which
/// happens at the shutdown deadline.
pub(super) struct Closing<'a> {
    pub(super) stream: &'a mut TlsStream<Socket>,
    /// The stream outlives this.
    pub(super) goes_on: bool,
}

impl Closing<'_> {
    /// Returns whether both sides have ended in order, so that there is nothing to wait for.
    pub(super) fn close(mut self) -> bool {
        // The stream is closed here.
        self.goes_on = true;
        let closed = close_at_once(self.stream);
        closed && self.stream.has_ended() && !self.stream.was_truncated()
    }
}

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        // A second panic would end the process.
        if !self.goes_on && !std::thread::panicking() {
            close_at_once(self.stream);
        }
    }
}

/// Returns whether the socket has taken everything, the FIN too.
fn close_at_once(stream: &mut TlsStream<Socket>) -> bool {
    let mut cx = Context::from_waker(Waker::noop());
    matches!(stream.poll_close(&mut cx), Poll::Ready(Ok(())))
}

/// Leaves out close_notify where the client of HTTP/1.0 would take an incomplete response for a complete one.
#[cfg(feature = "http1")]
pub(super) struct OpenEnded<'a> {
    pub(super) stream: &'a mut TlsStream<Socket>,
    pub(super) context: Rc<http1::ConnectionContext>,
}

#[cfg(feature = "http1")]
impl Drop for OpenEnded<'_> {
    fn drop(&mut self) {
        if self.context.has_open_end() {
            self.stream.cut_off();
        }
    }
}

/// The same as [`Closing`] for the connection of another protocol.
pub(super) struct ClosingProtocol(pub(super) Rc<Shared>);

impl Drop for ClosingProtocol {
    fn drop(&mut self) {
        if let Some(mut stream) = self.0.take() {
            drop(Closing {
                stream: &mut stream,
                goes_on: false,
            });
        }
    }
}
