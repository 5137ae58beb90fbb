//! What was read and not given to the engine yet.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, ReadBuf};
use tokio_util::io::poll_read_buf;

use crate::scratch::Scratch;

/// One read at most. It has a buffer only while it is not empty.
#[derive(Default)]
pub(super) struct Input {
    rest: Option<Rest>,
    /// The last read had long data: more of it probably follows.
    expects_data: bool,
}

struct Rest {
    buffer: Buffer,
    start: usize,
    end: usize,
}

enum Buffer {
    /// The thread's.
    Lent(Scratch),
    /// Long data stays in it.
    Own(Bytes),
}

/// Bytes of an own buffer: the plaintext of a record.
const OWN: usize = 16 * 1024;

/// Bytes. Data of this length that is kept in its buffer takes no more than twice its memory.
const LONG: usize = OWN / 2;

impl Input {
    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_none()
    }

    /// Reads into an empty input. Ready with whether there was anything.
    pub(super) fn poll_read<IO: AsyncRead + Unpin>(
        &mut self,
        io: &mut IO,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<bool>> {
        let io = Pin::new(io);
        let (buffer, end) = if self.expects_data {
            let mut buffer = BytesMut::with_capacity(OWN);
            let end = ready!(poll_read_buf(io, cx, &mut buffer))?;
            (Buffer::Own(buffer.freeze()), end)
        } else {
            let mut buffer = Scratch::take();
            let mut buf = ReadBuf::new(&mut buffer);
            ready!(io.poll_read(cx, &mut buf))?;
            let end = buf.filled().len();
            (Buffer::Lent(buffer), end)
        };
        self.expects_data = false;
        if end > 0 {
            self.rest = Some(Rest {
                buffer,
                start: 0,
                end,
            });
        }
        Poll::Ready(Ok(end > 0))
    }

    /// Lends what is left to `take`, which takes some off its front.
    pub(super) fn take<T>(&mut self, take: impl FnOnce(&mut &[u8], InputBuffer<'_>) -> T) -> T {
        let expects_data = &mut self.expects_data;
        let Some(rest) = &mut self.rest else {
            let nothing = InputBuffer {
                own: None,
                expects_data,
            };
            return take(&mut &[][..], nothing);
        };
        let (all, own) = match &rest.buffer {
            Buffer::Lent(buffer) => (&buffer[..], None),
            Buffer::Own(buffer) => (&buffer[..], Some(buffer)),
        };
        let mut bytes = &all[rest.start..rest.end];
        let buffer = InputBuffer { own, expects_data };
        let result = take(&mut bytes, buffer);
        rest.start = rest.end - bytes.len();
        if rest.start == rest.end {
            self.rest = None;
        }
        result
    }
}

/// Where the input lies.
pub(super) struct InputBuffer<'a> {
    own: Option<&'a Bytes>,
    expects_data: &'a mut bool,
}

impl InputBuffer<'_> {
    /// Keeps a part of the input: within its buffer, or as a copy.
    pub(super) fn keep(&mut self, data: &[u8]) -> Bytes {
        let is_long = data.len() >= LONG;
        *self.expects_data |= is_long;
        match self.own {
            Some(buffer) if is_long => buffer.slice_ref(data),
            _ => Bytes::copy_from_slice(data),
        }
    }
}
