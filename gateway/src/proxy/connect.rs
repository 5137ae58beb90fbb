//! Opens connections to an upstream, on the worker's own runtime.

use std::{
    cell::{Cell, RefCell},
    io,
    net::{SocketAddr, ToSocketAddrs},
    os::fd::AsRawFd,
    path::Path,
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll},
    thread,
    time::{Duration, Instant},
};

use corelane::{
    ClientStream,
    config::RESERVED_DESCRIPTORS,
    monoio::net::{TcpStream, UnixStream},
    tokio::io::{AsyncRead, AsyncWrite, ReadBuf},
};
use futures_channel::oneshot;
use futures_util::FutureExt as _;
use nix::{
    errno::Errno,
    sys::resource::{Resource, getrlimit},
};

use super::{
    single_flight::SingleFlight,
    upstream::{Address, Upstream},
};

/// How long the addresses of a host name are used, so that a burst of connections asks once.
const ADDRESS_AGE: Duration = Duration::from_secs(10);

/// When the kernel begins to probe a silent connection, how often, and when it gives up: a host that
/// is gone is noticed within a minute.
const KEEP_ALIVE: (Duration, Duration, u32) = (Duration::from_secs(30), Duration::from_secs(10), 3);

/// How many bytes an upstream may send before its response's head is complete: several interim
/// responses (RFC 9110 section 15.2) and a head of the most that hyper buffers.
pub(super) const HEAD_BYTES: usize = 256 * 1024;

/// Opens the connections of one upstream.
pub(super) struct Connector {
    address: Address,
    resolved: RefCell<Option<(Instant, Rc<[SocketAddr]>)>>,
    lookup: SingleFlight<Result<Rc<[SocketAddr]>, Arc<io::Error>>>,
}

impl Connector {
    pub(super) fn new(upstream: &Upstream) -> Self {
        Self {
            address: upstream.address.clone(),
            resolved: RefCell::new(None),
            lookup: SingleFlight::new(),
        }
    }

    pub(super) async fn connect(&self) -> io::Result<Socket> {
        match &self.address {
            Address::Unix(path) => connect_unix(path).await,
            Address::Tcp { host, port } => {
                let addresses = self.resolve(host, *port).await?;
                let mut last = io::Error::other("the host name has no address");
                for address in addresses.iter() {
                    match connect_tcp(*address).await {
                        Ok(socket) => return Ok(socket),
                        Err(error) => last = error,
                    }
                }
                Err(last)
            }
        }
    }

    async fn resolve(&self, host: &str, port: u16) -> io::Result<Rc<[SocketAddr]>> {
        if let Some((at, addresses)) = &*self.resolved.borrow()
            && at.elapsed() < ADDRESS_AGE
        {
            return Ok(Rc::clone(addresses));
        }
        let addresses = match host.parse() {
            Ok(ip) => Rc::from([SocketAddr::new(ip, port)]),
            Err(_) => {
                let lookup = || look_up(host.to_owned(), port).boxed_local();
                let found = self.lookup.join(lookup).await;
                found.map_err(|error| io::Error::new(error.kind(), error))?
            }
        };
        *self.resolved.borrow_mut() = Some((Instant::now(), Rc::clone(&addresses)));
        Ok(addresses)
    }
}

/// Asks the system's resolver, which blocks, on a thread of its own.
async fn look_up(host: String, port: u16) -> Result<Rc<[SocketAddr]>, Arc<io::Error>> {
    let (send, receive) = oneshot::channel();
    let ask = move || {
        let found = (host.as_str(), port).to_socket_addrs();
        // The receiver is gone after the time limit.
        let _ = send.send(found.map(Iterator::collect::<Vec<_>>));
    };
    thread::Builder::new()
        .name("resolver".into())
        .spawn(ask)
        .map_err(Arc::new)?;
    match receive.await {
        Ok(found) => found.map(Rc::from).map_err(Arc::new),
        Err(_) => Err(Arc::new(io::Error::other("the resolver's thread failed"))),
    }
}

async fn connect_tcp(address: SocketAddr) -> io::Result<Socket> {
    let stream = TcpStream::connect_addr(address).await?;
    check_reserve(&stream)?;
    // Nagle's algorithm would delay the end of a request behind an acknowledgement.
    stream.set_nodelay(true)?;
    let (time, interval, retries) = KEEP_ALIVE;
    stream.set_tcp_keepalive(Some(time), Some(interval), Some(retries))?;
    Ok(Socket::new(stream.try_into()?))
}

async fn connect_unix(path: &Path) -> io::Result<Socket> {
    let stream = UnixStream::connect(path).await?;
    check_reserve(&stream)?;
    Ok(Socket::new(stream.try_into()?))
}

/// Keeps the descriptors of [`RESERVED_DESCRIPTORS`] free, as the server does with its connections: an
/// upstream that answers nothing must not take those for files and reloads.
fn check_reserve(socket: &impl AsRawFd) -> io::Result<()> {
    let (limit, _) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let descriptor = u64::try_from(socket.as_raw_fd()).unwrap_or_default();
    match descriptor.saturating_add(RESERVED_DESCRIPTORS as u64) < limit {
        true => Ok(()),
        false => Err(Errno::EMFILE.into()),
    }
}

/// A connection to an upstream.
pub(super) struct Socket {
    stream: ClientStream,
    head: Rc<HeadBudget>,
}

/// How many bytes the upstream may still send before the response's head is complete.
pub(super) struct HeadBudget(Cell<usize>);

impl HeadBudget {
    /// A request is sent: its response's head may have [`HEAD_BYTES`].
    pub(super) fn begin(&self) {
        self.0.set(HEAD_BYTES);
    }

    /// The head is complete: what follows is not limited.
    pub(super) fn end(&self) {
        self.0.set(usize::MAX);
    }

    /// Whether a byte has arrived since [`begin`](Self::begin).
    pub(super) fn is_touched(&self) -> bool {
        self.0.get() != HEAD_BYTES
    }

    pub(super) fn is_exceeded(&self) -> bool {
        self.0.get() == 0
    }

    fn spend(&self, bytes: usize) {
        if self.0.get() != usize::MAX {
            self.0.set(self.0.get().saturating_sub(bytes));
        }
    }
}

impl Socket {
    fn new(stream: ClientStream) -> Self {
        Self {
            stream,
            head: Rc::new(HeadBudget(Cell::new(usize::MAX))),
        }
    }

    pub(super) fn head_budget(&self) -> Rc<HeadBudget> {
        Rc::clone(&self.head)
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.head.is_exceeded() {
            return Poll::Ready(Err(io::Error::other(
                "the head of the response is too large",
            )));
        }
        let before = buf.filled().len();
        let polled = Pin::new(&mut this.stream).poll_read(cx, buf);
        this.head.spend(buf.filled().len() - before);
        polled
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
