//! What was read and not given to the engine yet.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, ReadBuf};

use crate::scratch::Scratch;

/// One read at most. It has a buffer, of the thread's, only while it is not empty.
#[derive(Default)]
pub(super) struct Input(Option<Rest>);

struct Rest {
    buffer: Scratch,
    start: usize,
    end: usize,
}

impl Input {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Reads into an empty input. Ready with whether there was anything.
    pub(super) fn poll_read<IO: AsyncRead + Unpin>(
        &mut self,
        io: &mut IO,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<bool>> {
        let mut buffer = Scratch::take();
        let mut buf = ReadBuf::new(&mut buffer);
        ready!(Pin::new(io).poll_read(cx, &mut buf))?;
        let end = buf.filled().len();
        if end > 0 {
            self.0 = Some(Rest {
                buffer,
                start: 0,
                end,
            });
        }
        Poll::Ready(Ok(end > 0))
    }

    /// Lends what is left to `take`, which takes some off its front.
    pub(super) fn take<T>(&mut self, take: impl FnOnce(&mut &[u8]) -> T) -> T {
        let Some(rest) = &mut self.0 else {
            return take(&mut &[][..]);
        };
        let mut bytes = &rest.buffer[rest.start..rest.end];
        let result = take(&mut bytes);
        rest.start = rest.end - bytes.len();
        if rest.start == rest.end {
            self.0 = None;
        }
        result
    }
}
