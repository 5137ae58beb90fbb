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
    /// How many reads get a buffer of their own: one of the last had long data, so more of it probably
    /// follows.
    own_reads: u8,
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

/// Reads after one with long data: a short one, the end of a frame or another frame, may come between.
const OWN_READS: u8 = 4;

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
        let (buffer, end) = if self.own_reads > 0 {
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
        self.own_reads = self.own_reads.saturating_sub(1);
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
        let own_reads = &mut self.own_reads;
        let Some(rest) = &mut self.rest else {
            let nothing = InputBuffer {
                own: None,
                own_reads,
            };
            return take(&mut &[][..], nothing);
        };
        let (all, own) = match &rest.buffer {
            Buffer::Lent(buffer) => (&buffer[..], None),
            Buffer::Own(buffer) => (&buffer[..], Some(buffer)),
        };
        let mut bytes = &all[rest.start..rest.end];
        let buffer = InputBuffer { own, own_reads };
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
    own_reads: &'a mut u8,
}

impl InputBuffer<'_> {
    /// Keeps a part of the input: within its buffer, or as a copy. `data` lies in what [`Input::take`] has lent,
    /// as all data does that the engine yields: `slice_ref` would panic otherwise.
    pub(super) fn keep(&mut self, data: &[u8]) -> Bytes {
        if data.len() < LONG {
            return Bytes::copy_from_slice(data);
        }
        *self.own_reads = OWN_READS;
        match self.own {
            Some(buffer) => buffer.slice_ref(data),
            None => Bytes::copy_from_slice(data),
        }
    }
}
