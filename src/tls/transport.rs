//! What connects a session with the stream that its library owns. The trait is public in a private
//! module: it bounds a parameter of a public type, and is implemented here only.

use std::io;

use super::session::Wire;
use crate::{alert::AlertDescription, buffer::Buffer};

/// The session's end of the stream that the library owns.
pub trait Transport {
    /// How many buffers, each about as long as a record, the library frees at the end of a handshake. Their
    /// pages are resident, because it has written to them. HTTP/2 allocates its buffers next, and an idle
    /// connection uses little of them: in this memory they would cost all of its pages. So the session
    /// takes the memory itself, as blocks to which nothing is written, and frees them at the first read, when
    /// HTTP/2 has its buffers elsewhere. 0 if the library keeps its buffers, or if it does not matter.
    const HANDSHAKE_BUFFERS: usize = 0;

    /// Calls the library. A transport may let it read from the wire meanwhile, about one record.
    fn call<T>(&self, wire: &mut dyn Wire, call: impl FnOnce() -> T) -> T;

    /// Called if the library has no input left. A transport may read some from the wire before the library
    /// asks for it.
    fn fetch(&self, _wire: &mut dyn Wire) -> io::Result<()> {
        Ok(())
    }

    /// Gives the library the input that it has asked for. The end of the wire is `UnexpectedEof`.
    fn receive(&self, wire: &mut dyn Wire) -> io::Result<()>;

    /// How many bytes the library was given since the last call of this.
    fn take_received(&self) -> usize;

    /// How many bytes of the library wait for `send`.
    fn pending(&self) -> usize;

    /// Sends them.
    fn send(&self, wire: &mut dyn Wire) -> io::Result<()>;
}

pub(super) fn send(bytes: &mut Buffer, wire: &mut dyn Wire) -> io::Result<()> {
    while !bytes.is_empty() {
        match wire.write(bytes.as_slice())? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            n => bytes.consume(n),
        }
    }
    Ok(())
}

/// Gives an alert that the library has just sent in the clear another description.
#[cfg_attr(
    not(feature = "openssl"),
    expect(dead_code, reason = "only client certificates need it")
)]
pub(super) fn replace_alert(bytes: &mut Buffer, sent: AlertDescription, by: AlertDescription) {
    if let Some(last) = bytes.as_mut_slice().last_chunk_mut()
        && *last == sent.record()
    {
        *last = by.record();
    }
}
