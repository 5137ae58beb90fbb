//! Accepts connections on one listener, and never stops of itself.

use std::{
    future::Future,
    io,
    net::{SocketAddr, TcpListener, TcpStream},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use futures_util::future::{Either, select};
use socket2::SockRef;

use super::{listener::EMFILE, log_rate_limiter::LogRateLimiter};
use crate::counters::Counters;

/// How long to wait when accepting fails for want of something that others have to give back.
const BACK_OFF: Duration = Duration::from_millis(100);

/// Connections accepted before those that are open get their turn.
const BATCH: usize = 64;

/// The longest queue of accepted connections that the kernel keeps for a listener.
const QUEUE: usize = 65_535;

/// A listening socket that does not block, with a second handle by which monoio waits for it.
///
/// Waiting and accepting are two steps. A wait that is dropped loses nothing, an accept that is
/// dropped could take with it a connection that the kernel had accepted already. And whether a
/// socket blocks is shared by all who have it open, so a listener that comes from elsewhere must
/// not depend on the driver of this worker.
pub(super) struct AcceptLoop {
    socket: Arc<TcpListener>,
    readiness: monoio::net::TcpListener,
}

impl AcceptLoop {
    /// Has to be called within the runtime that is to wait.
    pub(super) fn new(socket: Arc<TcpListener>) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        set_nodelay(&socket)?;
        let readiness = monoio::net::TcpListener::from_std(socket.try_clone()?)?;
        Ok(Self { socket, readiness })
    }

    /// Gives every connection to `connection` until `stop` is ready.
    pub(super) async fn accept_until(
        &self,
        stop: impl Future<Output = ()>,
        counters: &Counters,
        mut connection: impl FnMut(TcpStream, SocketAddr),
    ) {
        let mut stop = pin!(stop);
        let failing = LogRateLimiter::default();
        loop {
            let ready = pin!(self.readiness.readable(false));
            let Either::Right((ready, _)) = select(stop.as_mut(), ready).await else {
                break;
            };
            match ready.and_then(|()| self.accept(BATCH, counters, &mut connection)) {
                Ok(_accepted) => {}
                Err(error) => {
                    counters.accept_errors.add();
                    if let Some(times) = failing.happened() {
                        let advice = advice(&error);
                        tracing::warn!(%error, times, advice, "cannot accept connections");
                    }
                    monoio::time::sleep(BACK_OFF).await;
                }
            }
        }
        // A turn of the ring, in which the kernel lets go of the wait that was dropped: else that
        // would keep the socket open, and connections coming in, after the worker has ended.
        monoio::time::sleep(Duration::from_millis(1)).await;
    }

    /// Gives those to `connection` that the kernel has accepted by now: they are reset when the
    /// last handle to the socket is closed.
    pub(super) fn accept_rest(
        &self,
        counters: &Counters,
        mut connection: impl FnMut(TcpStream, SocketAddr),
    ) {
        if let Err(error) = self.accept(QUEUE, counters, &mut connection) {
            counters.accept_errors.add();
            tracing::warn!(%error, "cannot accept the last connections");
        }
    }

    /// Accepts what is there, `batch` at most.
    fn accept(
        &self,
        batch: usize,
        counters: &Counters,
        connection: &mut impl FnMut(TcpStream, SocketAddr),
    ) -> io::Result<usize> {
        let mut accepted = 0;
        while accepted < batch {
            match self.socket.accept() {
                Ok((stream, peer)) => {
                    connection(stream, peer);
                    accepted += 1;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if is_the_peers(&error) => counters.accept_errors.add(),
                Err(error) => return Err(error),
            }
        }
        Ok(accepted)
    }
}

/// HTTP/2 makes its own batches: waiting for more to send only delays them. Connections have it from
/// their listener.
fn set_nodelay(listener: &TcpListener) -> io::Result<()> {
    SockRef::from(listener).set_tcp_nodelay(true)
}

/// A connection that was gone before it was accepted: the next one may be there already.
fn is_the_peers(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    )
}

fn advice(error: &io::Error) -> &'static str {
    /// errno(3): the whole system has no file left.
    const ENFILE: i32 = 23;
    match error.raw_os_error() {
        Some(EMFILE) => "raise RLIMIT_NOFILE (`ulimit -n`, LimitNOFILE= in systemd)",
        Some(ENFILE) => "raise fs.file-max",
        _ => "retrying",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_have_nodelay_from_their_listener() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
        set_nodelay(&listener).expect("TCP");
        let addr = listener.local_addr().expect("bound");
        let _client = TcpStream::connect(addr).expect("connects");
        let (accepted, _) = listener.accept().expect("accepted");
        assert!(accepted.nodelay().expect("TCP"));
    }
}
