//! Closes a stream whose task is dropped.

use std::{
    rc::Rc,
    task::{Context, Waker},
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

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        // A second panic would end the process.
        if !self.goes_on && !std::thread::panicking() {
            let _ = self
                .stream
                .poll_close(&mut Context::from_waker(Waker::noop()));
        }
    }
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
