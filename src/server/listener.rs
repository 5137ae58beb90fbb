//! Listening sockets: one per worker and address, joined by SO_REUSEPORT.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};

use super::{
    descriptors::{ADVICE, EMFILE},
    listening_socket::ListeningSocket,
    listens::listens,
};
use crate::{
    config::TCP_KEEP_ALIVE,
    error::{Error, Kind},
};

/// Options of listening sockets.
#[derive(Clone, Debug)]
pub(super) struct ListenerOptions {
    pub(super) backlog: u32,
    pub(super) only_v6: bool,
    pub(super) share_port: bool,
}

/// Opens one listener per worker on `addr`. With port 0 the kernel chooses a port for the first one,
/// and the others use the same port.
pub(super) fn bind(
    addr: SocketAddr,
    workers: usize,
    options: &ListenerOptions,
) -> Result<Vec<TcpListener>, Error> {
    let mut addr = addr;
    let mut listeners = Vec::with_capacity(workers);
    if !options.share_port && addr.port() != 0 {
        wait_until_free(addr, options).map_err(|error| explain(addr, error))?;
    }
    for _ in 0..workers {
        let listener = open(addr, options).map_err(|error| explain(addr, error))?;
        addr = listener
            .local_addr()
            .map_err(|error| explain(addr, error))?;
        listeners.push(listener);
    }
    Ok(listeners)
}

/// Opens a listening socket for another purpose than a [`Server`](crate::Server), such as an admin
/// port. The errors are those of [`Builder::bind`](crate::Builder::bind): they say why, for example
/// which process listens on the port.
///
/// On an IPv6 address it accepts IPv4 too if the system's default is so (`net.ipv6.bindv6only`).
///
/// # Errors
///
/// [`Error::is_bind`] if the socket cannot be opened.
pub fn listen(addr: SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::bind(addr).map_err(|error| explain(addr, error))
}

/// How long to wait for a port in use. The kernel takes a moment to close the sockets of a server
/// that has just ended and waited for them through io_uring.
const WAIT_FOR_PORT: Duration = Duration::from_secs(1);

/// Binds without SO_REUSEPORT first, which fails if any other socket listens on the port.
fn wait_until_free(addr: SocketAddr, options: &ListenerOptions) -> io::Result<()> {
    let begun = Instant::now();
    loop {
        match bound(addr, options, false) {
            Err(error)
                if error.kind() == io::ErrorKind::AddrInUse && begun.elapsed() < WAIT_FOR_PORT =>
            {
                thread::sleep(WAIT_FOR_PORT / 50);
            }
            result => return result.map(drop),
        }
    }
}

fn open(addr: SocketAddr, options: &ListenerOptions) -> io::Result<TcpListener> {
    let socket = prepared(addr, options)?;
    socket.listen(as_int(options.backlog))?;
    Ok(socket.into())
}

fn prepared(addr: SocketAddr, options: &ListenerOptions) -> io::Result<Socket> {
    let socket = bound(addr, options, true)?;
    // Connections inherit it from their listener.
    let keep_alive = TcpKeepalive::new()
        .with_time(TCP_KEEP_ALIVE)
        .with_interval(TCP_KEEP_ALIVE / 5)
        .with_retries(3);
    socket.set_tcp_keepalive(&keep_alive)?;
    Ok(socket)
}

fn bound(addr: SocketAddr, options: &ListenerOptions, reuse_port: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    if addr.is_ipv6() {
        socket.set_only_v6(options.only_v6)?;
    }
    // Without it a restart fails until the last connections have left TIME_WAIT.
    socket.set_reuse_address(true)?;
    // Has no effect after bind.
    socket.set_reuse_port(reuse_port)?;
    socket.bind(&addr.into())?;
    Ok(socket)
}

/// Opens a listener on `addr` for each worker that has none of `given`, which listen there already.
/// It listens only from [`listen_at_last`] on: if the server did not start, the connections that the
/// kernel had given it would be lost.
///
/// Where the kernel refuses it, workers share the listeners that are there.
pub(super) fn complete(
    addr: SocketAddr,
    given: &[TcpListener],
    workers: usize,
    options: &ListenerOptions,
) -> Vec<TcpListener> {
    let there = given.iter().filter(|it| is_on(it, addr)).count();
    let opened: io::Result<Vec<_>> = (there..workers)
        .map(|_| prepared(addr, options).map(TcpListener::from))
        .collect();
    opened.unwrap_or_else(|error| {
        tracing::warn!(
            %addr, %error, there, workers,
            "workers share listening sockets: cannot open one for each worker"
        );
        Vec::new()
    })
}

pub(super) fn is_on(listener: &TcpListener, addr: SocketAddr) -> bool {
    let same = |local: SocketAddr| (local.ip(), local.port()) == (addr.ip(), addr.port());
    listener.local_addr().is_ok_and(same)
}

/// Makes a listener of [`complete`] listen.
pub(super) fn listen_at_last(listener: &ListeningSocket, backlog: u32) -> Result<(), Error> {
    let ListeningSocket::Tcp(listener) = listener else {
        return Ok(());
    };
    let listening = SockRef::from(listener).listen(as_int(backlog));
    listening.map_err(|error| Error::new(Kind::Bind, "a socket cannot listen").with_source(error))
}

fn as_int(backlog: u32) -> i32 {
    i32::try_from(backlog).unwrap_or(i32::MAX)
}

/// Assigns the listeners that the user opened, and those of [`complete`], to workers, address by address. If there are fewer
/// than workers, several workers share one. If there are more, a worker has several: connections in
/// the queue of a socket without a worker would be lost.
pub(super) fn assign(
    given: Vec<TcpListener>,
    completing: &[Arc<ListeningSocket>],
    workers: usize,
) -> Result<Vec<Vec<Arc<ListeningSocket>>>, Error> {
    let failed = |error: io::Error| {
        Error::new(Kind::Bind, "a given listener cannot be used").with_source(error)
    };
    let mut groups: Vec<(Option<SocketAddr>, Vec<Arc<ListeningSocket>>)> = Vec::new();
    for listener in &given {
        if !listens(listener) {
            let addr = listener.local_addr().map_err(failed)?;
            return Err(Error::new(
                Kind::Bind,
                format!("a given listener cannot be used: the socket of {addr} does not listen"),
            ));
        }
    }
    let given = given.into_iter().map(ListeningSocket::Tcp).map(Arc::new);
    for listener in given.chain(completing.iter().cloned()) {
        let addr = listener.local_addr().map_err(failed)?;
        match groups.iter_mut().find(|(known, _)| *known == addr) {
            Some((_, group)) => group.push(listener),
            None => groups.push((addr, vec![listener])),
        }
    }
    let mut assigned: Vec<Vec<Arc<ListeningSocket>>> = (0..workers).map(|_| Vec::new()).collect();
    for (_, group) in groups {
        for i in 0..workers.max(group.len()) {
            assigned[i % workers].push(Arc::clone(&group[i % group.len()]));
        }
    }
    Ok(assigned)
}

/// Adds the cause, and what to do about it.
fn explain(addr: SocketAddr, error: io::Error) -> Error {
    let why = match error.kind() {
        io::ErrorKind::PermissionDenied if addr.port() < 1024 => format!(
            ": ports below 1024 need CAP_NET_BIND_SERVICE (`setcap cap_net_bind_service=+ep \
             BINARY`, or AmbientCapabilities= in systemd); port {} needs no privilege",
            8000 + addr.port()
        ),
        io::ErrorKind::AddrInUse => match holder(addr) {
            Some(holder) => format!(": it is in use by {holder}"),
            None => ": it is in use by another program, or by a server of another user (all \
                     servers that share a port must run as the same user)"
                .into(),
        },
        io::ErrorKind::AddrNotAvailable => format!(
            ": no interface of this host has the address {} (see `ip address`)",
            addr.ip()
        ),
        io::ErrorKind::Unsupported => ": this host does not support the address family".into(),
        _ if error.raw_os_error() == Some(EMFILE) => {
            format!(": too many open files: {ADVICE}")
        }
        _ => String::new(),
    };
    Error::new(Kind::Bind, format!("cannot listen on {addr}{why}")).with_source(error)
}

cfg_if::cfg_if! {
    if #[cfg(target_os = "linux")] {
        /// The process that listens on a port, as far as /proc shows it to this user.
        fn holder(addr: SocketAddr) -> Option<String> {
            let entries = match addr {
                SocketAddr::V4(_) => procfs::net::tcp(),
                SocketAddr::V6(_) => procfs::net::tcp6(),
            };
            let entry = entries.ok()?.into_iter().find(|entry| {
                entry.state == procfs::net::TcpState::Listen
                    && entry.local_address.port() == addr.port()
                    && (entry.local_address.ip() == addr.ip()
                        || entry.local_address.ip().is_unspecified()
                        || addr.ip().is_unspecified())
            })?;
            let process = procfs::process::all_processes().ok()?.flatten().find(|process| {
                process.fd().is_ok_and(|fds| {
                    fds.flatten().any(|fd| {
                        matches!(fd.target, procfs::process::FDTarget::Socket(inode)
                            if inode == entry.inode)
                    })
                })
            });
            Some(match process.and_then(|process| process.stat().ok()) {
                Some(stat) => format!("process {} ({}), user id {}", stat.pid, stat.comm, entry.uid),
                None => format!("a process of user id {}", entry.uid),
            })
        }
    } else {
        fn holder(_addr: SocketAddr) -> Option<String> {
            None
        }
    }
}
