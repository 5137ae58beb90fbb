//! A socket on io_uring: waits through the ring, and uses plain system calls otherwise.
//!
//! A read that has to wait is an operation of the ring: its completion brings the bytes, without
//! another system call. A read or write that need not wait, such as the rest of a large request, is
//! a plain call between the kernel and the caller's memory, without a copy.

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
    net::{tcp::TcpOwnedWriteHalf, unix::UnixOwnedWriteHalf},
};
use nix::{
    errno::Errno,
    sys::socket::{MsgFlags, Shutdown, recv, send, sendmsg, shutdown},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::accepted_stream::Stream;

/// The receive buffer of the ring, bytes: one request, or one ClientHello as OpenSSL pads it (517,
/// RFC 7685 section 4). A connection holds the buffer while it waits, so it is small; bytes that do
/// not fit are read by a plain call.
const RECEIVED_AT_ONCE: usize = 528;

/// The receive buffer after a read that filled the small one: a burst of requests. The small one
/// returns after [`SMALL_READS`] reads that would have fitted it.
const RECEIVED_OF_BURSTS: usize = 2048;

const SMALL_READS: u32 = 2;

/// How much the ring sends when the socket is full, bytes: worth a wake-up, and cheap to copy.
const SENT_AT_ONCE: usize = 16 * 1024;

const SEND_NOW: MsgFlags = MsgFlags::MSG_DONTWAIT.union(MsgFlags::MSG_NOSIGNAL);

/// send(2): more bytes follow. nix has no constant for it.
const MSG_MORE: MsgFlags = MsgFlags::from_bits_retain(0x8000);

pub(super) struct RingSocket {
    fd: RawFd,
    receiving: Pin<Box<dyn Future<Output = ()>>>,
    received: Rc<Received>,
    /// The socket may have more bytes, so a plain read comes before the ring's.
    may_have_more: bool,
    sending: Sending,
}

/// A send that waits. It returns its result, the buffer and the write half.
type Send = Pin<Box<dyn Future<Output = (io::Result<usize>, Vec<u8>, WriteHalf)>>>;

enum WriteHalf {
    Tcp(TcpOwnedWriteHalf),
    Unix(UnixOwnedWriteHalf),
}

enum Sending {
    Idle(WriteHalf),
    Waiting(Send),
    /// Only during `poll_send`, between the two other states.
    Taken,
}

/// The slot that passes bytes from the ring's reads to `poll_read`.
#[derive(Default)]
struct Received(RefCell<Slot>);

#[derive(Default)]
struct Slot {
    bytes: Vec<u8>,
    given: usize,
    result: Option<io::Result<usize>>,
}

/// Fills the slot, and again each time it is polled with an empty slot.
async fn receive(mut half: impl AsyncReadRent, received: Rc<Received>) {
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
    /// Moves received bytes to `buf`, or returns the error of the read; `None`: the slot is empty.
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
    pub(super) fn new(stream: Stream) -> Self {
        let received = Rc::<Received>::default();
        let slot = Rc::clone(&received);
        let (fd, receiving, write): (_, Pin<Box<dyn Future<Output = ()>>>, _) = match stream {
            Stream::Tcp(stream) => {
                let fd = stream.as_raw_fd();
                let (read, write) = stream.into_split();
                (fd, Box::pin(receive(read, slot)), WriteHalf::Tcp(write))
            }
            Stream::Unix(stream) => {
                let fd = stream.as_raw_fd();
                let (read, write) = stream.into_split();
                (fd, Box::pin(receive(read, slot)), WriteHalf::Unix(write))
            }
        };
        Self {
            fd,
            receiving,
            received,
            // Clients send right after they have connected.
            may_have_more: true,
            sending: Sending::Idle(write),
        }
    }

    /// Sends the bytes in one packet with the FIN of the shutdown that has to follow.
    pub(super) fn send_final(&self, bytes: &[u8]) {
        let flags = SEND_NOW.union(MSG_MORE);
        // An error is ignored, because the connection ends anyway.
        let _ = send(self.fd, bytes, flags);
    }

    /// Sends the beginning of `bufs` by a plain call, or through the ring if the socket is full.
    ///
    /// After `Pending` the caller has to repeat the write with the same bytes. TLS sessions do:
    /// sealed bytes leave in order.
    fn poll_send(&mut self, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        loop {
            match std::mem::replace(&mut self.sending, Sending::Taken) {
                Sending::Idle(half) => {
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
                        Err(Errno::EINTR) => self.sending = Sending::Idle(half),
                        sent => {
                            self.sending = Sending::Idle(half);
                            return Poll::Ready(sent.map_err(io::Error::from));
                        }
                    }
                }
                Sending::Waiting(mut waiting) => {
                    let Poll::Ready((sent, bytes, half)) = waiting.as_mut().poll(cx) else {
                        self.sending = Sending::Waiting(waiting);
                        return Poll::Pending;
                    };
                    self.sending = Sending::Idle(half);
                    let n = sent?;
                    if !head(bufs).starts_with(&bytes[..n]) {
                        return Poll::Ready(Err(io::Error::other(
                            "a pending write was repeated with other bytes",
                        )));
                    }
                    return Poll::Ready(Ok(n));
                }
                Sending::Taken => return Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
            }
        }
    }
}

fn wait_and_send(mut half: WriteHalf, bytes: Vec<u8>) -> Send {
    Box::pin(async move {
        let (result, bytes) = match &mut half {
            WriteHalf::Tcp(half) => half.write(bytes).await,
            WriteHalf::Unix(half) => half.write(bytes).await,
        };
        (result, bytes, half)
    })
}

/// The beginning of the first buffer that is not empty: the next call may have only that one.
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
                this.may_have_more = matches!(taken?, Taken::AllOfFull);
                return Poll::Ready(Ok(()));
            }
            if !this.may_have_more {
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
                    this.may_have_more = n == room.len();
                    buf.advance(n);
                    return Poll::Ready(Ok(()));
                }
                Err(Errno::EAGAIN) => this.may_have_more = false,
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
