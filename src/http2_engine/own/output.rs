//! What the engine has written and the transport has not taken.

use std::{
    cell::RefCell,
    io::{self, IoSlice},
    ops::Range,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use corelane_http2::TransmitBuffer;
use tokio::io::AsyncWrite;

/// Bytes that are taken from the engine at once: the records that a session seals in one call.
pub(super) const AT_ONCE: usize = 64 * 1024;

/// Bytes. A copy of fewer costs less than a slice.
const COPIED: usize = 1024;

/// Slices of a vectored write: a frame's head and its data, for [`AT_ONCE`].
const SLICES: usize = 8;

/// At most [`AT_ONCE`] bytes. It has memory, of the thread's, only while it is not empty.
#[derive(Default)]
pub(super) struct Output(Option<Pieces>);

/// Bytes that were copied, and slices of responses' data between them.
#[derive(Default)]
pub(super) struct Pieces {
    copied: Vec<u8>,
    pieces: Vec<Piece>,
    /// Pieces before it are written.
    first: usize,
}

enum Piece {
    Copied(Range<usize>),
    Data(Bytes),
}

/// How many of them a thread keeps: more than one only if transports are full.
const KEPT: usize = 16;

/// The most memory for copied bytes that is kept, bytes.
const LARGEST_KEPT: usize = 32 * 1024;

thread_local! {
    static IDLE: RefCell<Vec<Pieces>> = const { RefCell::new(Vec::new()) };
}

impl Output {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Lets `fill` append to an empty output.
    pub(super) fn fill(&mut self, fill: impl FnOnce(&mut Pieces)) {
        let idle = IDLE.with_borrow_mut(Vec::pop);
        let pieces = self.0.insert(idle.unwrap_or_default());
        fill(pieces);
        if pieces.pieces.is_empty() {
            self.clear();
        }
    }

    /// Ready when everything is written.
    pub(super) fn poll_write<IO: AsyncWrite + Unpin>(
        &mut self,
        io: &mut IO,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while let Some(pieces) = &mut self.0 {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let filled = pieces.slices(&mut slices);
            let n = ready!(Pin::new(&mut *io).poll_write_vectored(cx, &slices[..filled]))?;
            if n == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            pieces.advance(n);
            if pieces.first == pieces.pieces.len() {
                self.clear();
            }
        }
        Poll::Ready(Ok(()))
    }

    fn clear(&mut self) {
        let Some(mut pieces) = self.0.take() else {
            return;
        };
        pieces.pieces.clear();
        pieces.copied.clear();
        pieces.first = 0;
        if pieces.copied.capacity() <= LARGEST_KEPT {
            // Fails while the thread ends; the memory is freed then.
            let _ = IDLE.try_with(|idle| {
                let mut idle = idle.borrow_mut();
                if idle.len() < KEPT {
                    idle.push(pieces);
                }
            });
        }
    }
}

impl Pieces {
    /// Returns how many of `slices` are filled.
    fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>; SLICES]) -> usize {
        let pieces = &self.pieces[self.first..];
        for (slice, piece) in slices.iter_mut().zip(pieces) {
            *slice = IoSlice::new(match piece {
                Piece::Copied(range) => &self.copied[range.clone()],
                Piece::Data(data) => data,
            });
        }
        pieces.len().min(SLICES)
    }

    /// Drops the first `n` bytes.
    fn advance(&mut self, mut n: usize) {
        while let Some(piece) = self.pieces.get_mut(self.first) {
            let left = match piece {
                Piece::Copied(range) => {
                    let taken = n.min(range.len());
                    range.start += taken;
                    n -= taken;
                    range.len()
                }
                Piece::Data(data) => {
                    let taken = n.min(data.len());
                    data.advance(taken);
                    n -= taken;
                    data.len()
                }
            };
            if left > 0 {
                return;
            }
            self.first += 1;
        }
    }
}

impl TransmitBuffer for Pieces {
    fn put_slice(&mut self, bytes: &[u8]) {
        let start = self.copied.len();
        self.copied.extend_from_slice(bytes);
        let end = self.copied.len();
        match self.pieces.last_mut() {
            Some(Piece::Copied(last)) => last.end = end,
            _ => self.pieces.push(Piece::Copied(start..end)),
        }
    }

    fn put_data(&mut self, data: &Bytes, length: usize) {
        match length < COPIED {
            true => self.put_slice(&data[..length]),
            false => self.pieces.push(Piece::Data(data.slice(..length))),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    /// Takes a few bytes of each write.
    struct Few(Vec<u8>);

    impl AsyncWrite for Few {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _cx: &mut Context<'_>,
            buf: &[u8],
        ) -> Poll<io::Result<usize>> {
            let taken = &buf[..buf.len().min(700)];
            self.0.extend_from_slice(taken);
            Poll::Ready(Ok(taken.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[test]
    fn pieces_are_written_in_their_order() {
        let mut output = Output::default();
        let mut expected = Vec::new();
        output.fill(|pieces| {
            for (i, length) in (0_u8..).zip([9, 3000, 9, 10, 9, 1024, 5000, 1]) {
                let data = Bytes::from(vec![i; length + 5]);
                pieces.put_slice(&[i]);
                pieces.put_data(&data, length);
                expected.push(i);
                expected.extend_from_slice(&data[..length]);
            }
        });
        let mut io = Few(Vec::new());
        let written = output.poll_write(&mut io, &mut Context::from_waker(Waker::noop()));
        assert!(matches!(written, Poll::Ready(Ok(()))));
        assert_eq!(io.0, expected);
        assert!(output.is_empty());
    }
}
