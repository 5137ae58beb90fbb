//! The error of a connection or a stream.

use std::{error::Error as StdError, fmt, io};

use crate::error::{Error, Kind};

/// An error of crate h2. The caller converts it, because many of them only mean that the peer is
/// gone.
#[derive(Debug)]
pub(crate) struct ProtocolError(pub(super) h2::Error);

impl ProtocolError {
    /// The connection ends because the peer exceeded one of h2's own limits.
    pub(crate) fn is_flood(&self) -> bool {
        self.0.is_library() && self.0.reason() == Some(h2::Reason::ENHANCE_YOUR_CALM)
    }

    /// Converts it to the error that the crate's user sees: an error of the socket stays one, any
    /// other becomes the source.
    pub(crate) fn into_error(self) -> Error {
        if !self.0.is_io() {
            return Error::new(Kind::Http2, "HTTP/2 error").with_source(self.0);
        }
        match self.0.into_io() {
            Some(error) if ends_inside_frame(&error) => Error::new(
                Kind::Io,
                "the client closed the connection inside a frame of HTTP/2",
            ),
            Some(error) => error.into(),
            None => Error::new(Kind::Io, "the connection failed"),
        }
    }
}

/// Crate h2 reads frames by tokio-util's `FramedRead`, whose error for this has only its text.
fn ends_inside_frame(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::Other && error.to_string() == "bytes remaining on stream"
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl StdError for ProtocolError {}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use bytes::Bytes;
    use tokio::io::AsyncWriteExt;

    use super::super::handshake;
    use crate::{Chain, Http2Config, Http2Engine};

    /// The preface, empty SETTINGS and the first half of a PING.
    const CUT: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\
        \0\0\0\x04\0\0\0\0\0\0\0\x08\x06\0\0\0\0\0\0\0\0\0";

    #[test]
    fn end_inside_a_frame_is_named() {
        let (near, mut peer) = tokio::io::duplex(1024);
        let config = Http2Config::default();
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let error = runtime.expect("a runtime").block_on(async {
            peer.write_all(CUT).await.expect("memory");
            peer.shutdown().await.expect("memory");
            let connection = handshake::<_, Bytes>(near, &config, Http2Engine::H2, false).await;
            let mut connection = connection.expect("a preface");
            let request = poll_fn(|cx| connection.poll_request(cx)).await;
            request.expect("an error").err().expect("an error")
        });
        assert_eq!(
            Chain(&error.into_error()).to_string(),
            "the client closed the connection inside a frame of HTTP/2"
        );
    }
}
