//! The PROXY header in arbitrary bytes.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use futures_util::FutureExt;
use tokio::io::{AsyncRead, ReadBuf};

use super::pieces;
use crate::{
    config::MAX_PROXY_HEADER,
    io::{parse_proxy_header, read_proxy_header},
};

/// Checks that the parsed PROXY header does not depend on the pieces in which it arrives, that no
/// more bytes are read than allowed, and that the bytes after it are returned unchanged.
pub fn proxy_header(bytes: &[u8], sizes: &[usize]) {
    let mut socket = Pieces {
        pieces: pieces(bytes, sizes),
        given: 0,
    };
    let mut received = Vec::new();
    let read = read_proxy_header(&mut socket, &mut received).now_or_never();
    let read = read.expect("nothing to wait for");
    let given = socket.given;
    assert!(given <= MAX_PROXY_HEADER, "{given} bytes were read");
    let whole = parse_proxy_header(&bytes[..bytes.len().min(MAX_PROXY_HEADER)]);
    match (read, whole) {
        (Ok(read), Ok(Some((client, length)))) => {
            assert_eq!(read, client);
            assert_eq!(received, bytes[length..given]);
        }
        (Err(error), Ok(None)) => {
            assert!(error.is_truncated(), "{error:?}");
            assert!(
                bytes.len() < MAX_PROXY_HEADER,
                "it waits for what never comes"
            );
        }
        (Err(error), Err(whole)) => {
            assert!(error.is_proxy_header(), "{error:?}");
            assert_eq!(error.to_string(), whole.to_string());
        }
        (read, whole) => panic!("in pieces {read:?}, whole {whole:?}"),
    }
}

/// A socket that yields these pieces and then ends.
struct Pieces<'a> {
    pieces: Vec<&'a [u8]>,
    given: usize,
}

impl AsyncRead for Pieces<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(&piece) = self.pieces.first() {
            let (now, later) = piece.split_at(piece.len().min(buf.remaining()));
            buf.put_slice(now);
            self.given += now.len();
            match later.is_empty() {
                true => drop(self.pieces.remove(0)),
                false => self.pieces[0] = later,
            }
        }
        Poll::Ready(Ok(()))
    }
}
