//! Accepts the connections of one listener.
//!
//! The name `Acceptor` is taken: in this crate it is the TLS backend's.

use std::{
    cell::RefCell,
    future::Future,
    io,
    os::fd::{AsRawFd, RawFd},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use futures_util::future::{Either, select};

use super::{
    accepted_stream::Accepted,
    descriptors::{self, EMFILE},
    listening_socket::{ListeningSocket, Readiness},
    log_rate_limiter::LogRateLimiter,
};
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
    socket: Arc<ListeningSocket>,
    readiness: Readiness,
    /// The descriptors of connections stay below it.
    descriptor_bound: RawFd,
    /// An accepted connection whose descriptor is one of the reserve: it waits for a lower one.
    held_back: RefCell<Option<Accepted>>,
}

impl AcceptLoop {
    /// Must be called inside the runtime of the worker.
    pub(super) fn new(socket: Arc<ListeningSocket>, descriptor_bound: RawFd) -> io::Result<Self> {
        Ok(Self {
            readiness: socket.prepare()?,
            socket,
            descriptor_bound,
            held_back: RefCell::default(),
        })
    }

    /// Passes every connection to `on_accept` until `stop` is ready.
    pub(super) async fn accept_until(
        &self,
        stop: impl Future<Output = ()>,
        counters: &Counters,
        mut on_accept: impl FnMut(Accepted),
    ) {
        let mut stop = pin!(stop);
        let failures = LogRateLimiter::default();
        loop {
            let ready = pin!(self.ready());
            let Either::Right((ready, _)) = select(stop.as_mut(), ready).await else {
                break;
            };
            let ready = ready.inspect_err(|_| counters.accept_errors.add());
            let bound = self.descriptor_bound;
            match ready.and_then(|()| self.accept(BATCH, bound, counters, &mut on_accept)) {
                Ok(()) => {}
                Err(error) => {
                    if let Some(times) = failures.occurred() {
                        let advice = advice(&error);
                        tracing::warn!(%error, times, advice, "cannot accept connections");
                    }
                    monoio::time::sleep(BACK_OFF).await;
                }
            }
        }
        // The kernel no longer has it, so it would be lost.
        if let Some(accepted) = self.held_back.take() {
            on_accept(accepted);
        }
        // The kernel releases the dropped wait during the next turn of the ring. Until then the
        // wait keeps the socket open, and the socket takes connections.
        monoio::time::sleep(Duration::from_millis(1)).await;
    }

    /// Passes the connections to `on_accept` that the kernel has accepted by now. The kernel resets
    /// them when the last handle of the socket is closed. They may use the reserve of descriptors: no
    /// connection comes after them.
    pub(super) fn accept_backlog(&self, counters: &Counters, mut on_accept: impl FnMut(Accepted)) {
        if let Err(error) = self.accept(MAX_BACKLOG, RawFd::MAX, counters, &mut on_accept) {
            tracing::warn!(%error, "cannot accept the connections that wait in the backlog");
        }
    }

    /// Another server accepts from the socket.
    pub(super) fn hand_over(&self) {
        self.socket.hand_over();
    }

    /// Waits until a connection can be accepted, or the one that was held back can be tried again.
    async fn ready(&self) -> io::Result<()> {
        if self.held_back.borrow().is_some() {
            return Ok(());
        }
        self.readiness.readable().await
    }

    /// Accepts the connections that are ready, `batch` at most, whose descriptors are below `bound`.
    /// Counts errors, but no further attempt for a connection that was held back.
    fn accept(
        &self,
        batch: usize,
        bound: RawFd,
        counters: &Counters,
        on_accept: &mut impl FnMut(Accepted),
    ) -> io::Result<()> {
        if let Some(accepted) = self.held_back.take() {
            self.admit(accepted.with_lowest_descriptor(), bound, on_accept)?;
        }
        let mut accepted = 0;
        while accepted < batch {
            let admitted = self.socket.accept().and_then(|connection| {
                accepted += 1;
                self.admit(connection, bound, on_accept)
            });
            match admitted {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => {
                    counters.accept_errors.add();
                    if !is_of_the_connection(&error) {
                        return Err(error);
                    }
                }
            }
        }
        Ok(())
    }

    /// Passes the connection on, or holds it back if its descriptor is not below `bound`.
    fn admit(
        &self,
        accepted: Accepted,
        bound: RawFd,
        on_accept: &mut impl FnMut(Accepted),
    ) -> io::Result<()> {
        if accepted.as_raw_fd() >= bound {
            self.held_back.replace(Some(accepted));
            return Err(io::Error::from_raw_os_error(EMFILE));
        }
        on_accept(accepted);
        Ok(())
    }
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
        Some(EMFILE) => descriptors::ADVICE,
        Some(ENFILE) => "raise fs.file-max",
        _ => "retrying",
    }
}

#[cfg(test)]
mod tests {
    use std::{
        net::{TcpListener, TcpStream},
        time::Instant,
    };

    use super::*;
    use crate::server::runtime::{Driver, Runtime};

    #[test]
    fn a_connection_held_back_counts_once_and_the_backlog_is_accepted_into_the_reserve() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
        let addr = listener.local_addr().expect("bound");
        let connect = |_| TcpStream::connect(addr).expect("connects");
        let _clients: Vec<_> = (0..3).map(connect).collect();
        let (mut runtime, _) = Runtime::new(Driver::default()).expect("a runtime");
        runtime.block_on(async {
            // Every descriptor is one of the reserve.
            let accept_loop =
                AcceptLoop::new(Arc::new(ListeningSocket::Tcp(listener)), 0).expect("adopted");
            let counters = Counters::default();
            accept_loop.ready().await.expect("a connection waits");
            for _ in 0..3 {
                let error = accept_loop
                    .accept(BATCH, 0, &counters, &mut |_| panic!("not held back"))
                    .expect_err("held back");
                assert_eq!(error.raw_os_error(), Some(EMFILE));
            }
            assert_eq!(counters.read().accept_errors, 1);
            let started = Instant::now();
            let mut accepted = 0;
            while accepted < 3 && started.elapsed() < Duration::from_secs(60) {
                accept_loop.accept_backlog(&counters, |_| accepted += 1);
            }
            assert_eq!(accepted, 3, "the held back one, and those behind it");
            assert_eq!(counters.read().accept_errors, 1);
        });
    }
}
