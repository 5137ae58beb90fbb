//! A socket on io_uring: it waits by completion and does the rest by plain calls.
//!
//! A read that has to wait is the ring's: it wakes the task with the bytes, without another system
//! call. What does not have to wait, the rest of a large request and all that is sent while the
//! peer keeps up, goes directly between the kernel and the caller's memory, without a copy.

use std::{
    cell::RefCell,
    future::{Future, poll_fn},
    io::{self, IoSlice},
    os::fd::{AsRawFd, RawFd},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use monoio::{
    io::{AsyncReadRent, AsyncWriteRent, Splitable},
    net::{
        TcpStream,
        tcp::{TcpOwnedReadHalf, TcpOwnedWriteHalf},
    },
};
use nix::{
    errno::Errno,
    sys::socket::{MsgFlags, Shutdown, recv, send, sendmsg, shutdown},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What the ring receives into, bytes: a request, or a ClientHello as OpenSSL pads it (517, by
/// RFC 7685 section 4). A connection holds it while it waits, so it is no more than that; what comes
/// beyond is read directly.
const RECEIVED_AT_ONCE: usize = 528;

/// The same for a connection on which it was filled: a burst of requests. Back again after
/// [`SMALL_READS`] reads that needed less.
const RECEIVED_OF_BURSTS: usize = 2048;

const SMALL_READS: u32 = 2;

/// What the ring sends when the socket is full, bytes: enough to wake up for, little to copy.
const SENT_AT_ONCE: usize = 16 * 1024;

const SEND_NOW: MsgFlags = MsgFlags::MSG_DONTWAIT.union(MsgFlags::MSG_NOSIGNAL);

/// send(2): more is to follow. nix has no name for it.
const MSG_MORE: MsgFlags = MsgFlags::from_bits_retain(0x8000);

pub(super) struct RingSocket {
    fd: RawFd,
    receiving: Pin<Box<dyn Future<Output = ()>>>,
    received: Rc<Received>,
    /// There may be more than was received, so it is worth to ask.
    more: bool,
    sending: Sending,
}

/// A send that waits: the half comes back with what became of it.
type Send = Pin<Box<dyn Future<Output = (io::Result<usize>, Vec<u8>, TcpOwnedWriteHalf)>>>;

enum Sending {
    Nothing(TcpOwnedWriteHalf),
    Waiting(Send),
    /// Only while it is decided which of the two.
    Taken,
}

/// Where the ring's reads end up.
#[derive(Default)]
struct Received(RefCell<Slot>);

#[derive(Default)]
struct Slot {
    bytes: Vec<u8>,
    given: usize,
    result: Option<io::Result<usize>>,
}

/// Reads whenever the slot is empty and this is polled.
async fn receive(mut half: TcpOwnedReadHalf, received: Rc<Received>) {
    let mut small_reads = SMALL_READS;
    loop {
        let mut bytes = std::mem::take(&mut received.0.borrow_mut().bytes);
        small_reads = match bytes.len() {
            ..RECEIVED_AT_ONCE => SMALL_READS.min(small_reads + 1),
            _ => 0,
        };
        let room = match small_reads {
            ..SMALL_READS => RECEIVED_OF_BURSTS,
            _ => RECEIVED_AT_ONCE,
        };
        if bytes.capacity() != room {
            bytes = Vec::with_capacity(room);
        }
        bytes.clear();
        let (result, bytes) = half.read(bytes).await;
        *received.0.borrow_mut() = Slot {
            bytes,
            given: 0,
            result: Some(result),
        };
        poll_fn(|_| match received.0.borrow().result {
            Some(_) => Poll::Pending,
            None => Poll::Ready(()),
        })
        .await;
    }
}

impl Received {
    /// What was received, or the error; `None`: nothing is there.
    fn take(&self, buf: &mut ReadBuf<'_>) -> Option<io::Result<Taken>> {
        let slot = &mut *self.0.borrow_mut();
        if let Err(error) = slot.result.take()? {
            return Some(Err(error));
        }
        let rest = &slot.bytes[slot.given..];
        let n = rest.len().min(buf.remaining());
        buf.put_slice(&rest[..n]);
        slot.given += n;
        Some(Ok(match slot.given < slot.bytes.len() {
            true => {
                slot.result = Some(Ok(0));
                Taken::Part
            }
            false if slot.bytes.len() == slot.bytes.capacity() => Taken::AllOfFull,
            false => Taken::All,
        }))
    }
}

enum Taken {
    Part,
    All,
    AllOfFull,
}

impl RingSocket {
    pub(super) fn new(stream: TcpStream) -> Self {
        let fd = stream.as_raw_fd();
        let (read, write) = stream.into_split();
        let received = Rc::<Received>::default();
        Self {
            fd,
            receiving: Box::pin(receive(read, Rc::clone(&received))),
            received,
            // Clients begin to speak as soon as they are connected.
            more: true,
            sending: Sending::Nothing(write),
        }
    }

    /// They leave in one packet with the end that follows them.
    pub(super) fn send_last(&self, bytes: &[u8]) {
        let flags = SEND_NOW.union(MSG_MORE);
        // That they could not be sent is no news: the connection ends either way.
        let _ = send(self.fd, bytes, flags);
    }

    /// Sends `bufs`, or their beginning, by `call`; by the ring where the socket is full.
    ///
    /// A write that was pending has to be repeated with the same bytes, as sessions do: what they
    /// have sealed leaves in order.
    fn poll_send(&mut self, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        loop {
            match std::mem::replace(&mut self.sending, Sending::Taken) {
                Sending::Nothing(half) => {
                    let sent = match bufs {
                        [one] => send(self.fd, one, SEND_NOW),
                        many => sendmsg::<()>(self.fd, many, &[], SEND_NOW, None),
                    };
                    match sent {
                        Err(Errno::EAGAIN) => {
                            self.sending =
                                Sending::Waiting(wait_and_send(half, head(bufs).to_vec()));
                            continue;
                        }
                        Err(Errno::EINTR) => self.sending = Sending::Nothing(half),
                        sent => {
                            self.sending = Sending::Nothing(half);
                            return Poll::Ready(sent.map_err(io::Error::from));
                        }
                    }
                }
                Sending::Waiting(mut waiting) => {
                    let Poll::Ready((sent, bytes, half)) = waiting.as_mut().poll(cx) else {
                        self.sending = Sending::Waiting(waiting);
                        return Poll::Pending;
                    };
                    self.sending = Sending::Nothing(half);
                    let n = sent?;
                    if !head(bufs).starts_with(&bytes[..n]) {
                        return Poll::Ready(Err(io::Error::other(
                            "a write that was pending was repeated with other bytes",
                        )));
                    }
                    return Poll::Ready(Ok(n));
                }
                Sending::Taken => return Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
            }
        }
    }
}

fn wait_and_send(mut half: TcpOwnedWriteHalf, bytes: Vec<u8>) -> Send {
    Box::pin(async move {
        let (result, bytes) = half.write(bytes).await;
        (result, bytes, half)
    })
}

/// The beginning: of the first buffer that is not empty, as the next call may have it alone.
fn head<'a>(bufs: &'a [IoSlice<'_>]) -> &'a [u8] {
    let first = bufs.iter().find(|buf| !buf.is_empty());
    first.map_or(&[], |buf| &buf[..buf.len().min(SENT_AT_ONCE)])
}

impl AsyncRead for RingSocket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if let Some(taken) = this.received.take(buf) {
                this.more = matches!(taken?, Taken::AllOfFull);
                return Poll::Ready(Ok(()));
            }
            if !this.more {
                if this.receiving.as_mut().poll(cx).is_pending()
                    && this.received.0.borrow().result.is_none()
                {
                    return Poll::Pending;
                }
                continue;
            }
            let room = buf.initialize_unfilled();
            match recv(this.fd, room, MsgFlags::MSG_DONTWAIT) {
                Ok(n) => {
                    this.more = n == room.len();
                    buf.advance(n);
                    return Poll::Ready(Ok(()));
                }
                Err(Errno::EAGAIN) => this.more = false,
                Err(Errno::EINTR) => {}
                Err(error) => return Poll::Ready(Err(error.into())),
            }
        }
    }
}

impl AsyncWrite for RingSocket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().poll_send(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().poll_send(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(shutdown(self.fd, Shutdown::Write).map_err(io::Error::from))
    }
}
