//! Accepts the connections of one listener.
//!
//! The name `Acceptor` is taken: in this crate it is the TLS backend's.

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

/// The pause after an error such as "too many open files", until other connections have closed.
const BACK_OFF: Duration = Duration::from_millis(100);

/// Connections accepted in a row before open connections are served.
const BATCH: usize = 64;

/// The largest accept backlog that the kernel keeps for a listener, connections.
const MAX_BACKLOG: usize = 65_535;

/// A non-blocking listening socket, with a second handle on which monoio waits for connections.
///
/// Waiting and accepting are two steps: dropping a wait loses nothing, while dropping an accept can
/// lose a connection that the kernel has accepted already. All processes that have a socket open
/// share its blocking mode, so the mode does not depend on the driver of this worker.
pub(super) struct AcceptLoop {
    socket: Arc<TcpListener>,
    readiness: monoio::net::TcpListener,
}

impl AcceptLoop {
    /// Must be called inside the runtime of the worker.
    pub(super) fn new(socket: Arc<TcpListener>) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        set_nodelay(&socket)?;
        let readiness = monoio::net::TcpListener::from_std(socket.try_clone()?)?;
        Ok(Self { socket, readiness })
    }

    /// Passes every connection to `on_accept` until `stop` is ready.
    pub(super) async fn accept_until(
        &self,
        stop: impl Future<Output = ()>,
        counters: &Counters,
        mut on_accept: impl FnMut(TcpStream, SocketAddr),
    ) {
        let mut stop = pin!(stop);
        let failures = LogRateLimiter::default();
        loop {
            let ready = pin!(self.readiness.readable(false));
            let Either::Right((ready, _)) = select(stop.as_mut(), ready).await else {
                break;
            };
            match ready.and_then(|()| self.accept(BATCH, counters, &mut on_accept)) {
                Ok(_accepted) => {}
                Err(error) => {
                    counters.accept_errors.add();
                    if let Some(times) = failures.occurred() {
                        let advice = advice(&error);
                        tracing::warn!(%error, times, advice, "cannot accept connections");
                    }
                    monoio::time::sleep(BACK_OFF).await;
                }
            }
        }
        // The kernel releases the dropped wait during the next turn of the ring. Until then the
        // wait keeps the socket open, and the socket takes connections.
        monoio::time::sleep(Duration::from_millis(1)).await;
    }

    /// Passes the connections to `on_accept` that the kernel has accepted by now. The kernel resets
    /// them when the last handle of the socket is closed.
    pub(super) fn accept_backlog(
        &self,
        counters: &Counters,
        mut on_accept: impl FnMut(TcpStream, SocketAddr),
    ) {
        if let Err(error) = self.accept(MAX_BACKLOG, counters, &mut on_accept) {
            counters.accept_errors.add();
            tracing::warn!(%error, "cannot accept the connections that wait in the backlog");
        }
    }

    /// Accepts the connections that are ready, `batch` at most, and returns how many.
    fn accept(
        &self,
        batch: usize,
        counters: &Counters,
        on_accept: &mut impl FnMut(TcpStream, SocketAddr),
    ) -> io::Result<usize> {
        let mut accepted = 0;
        while accepted < batch {
            match self.socket.accept() {
                Ok((stream, peer)) => {
                    on_accept(stream, peer);
                    accepted += 1;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if is_of_the_connection(&error) => counters.accept_errors.add(),
                Err(error) => return Err(error),
            }
        }
        Ok(accepted)
    }
}

/// HTTP/2 sends in batches already, which Nagle's algorithm would only delay. Connections inherit the
/// option from their listener.
fn set_nodelay(listener: &TcpListener) -> io::Result<()> {
    SockRef::from(listener).set_tcp_nodelay(true)
}

/// Whether the error concerns one connection only, so that accepting can continue at once.
fn is_of_the_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    )
}

fn advice(error: &io::Error) -> &'static str {
    /// errno(3): too many open files in the system.
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
    fn connections_inherit_nodelay_from_their_listener() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
        set_nodelay(&listener).expect("TCP");
        let addr = listener.local_addr().expect("bound");
        let _client = TcpStream::connect(addr).expect("connects");
        let (accepted, _) = listener.accept().expect("accepted");
        assert!(accepted.nodelay().expect("TCP"));
    }
}
