//! The outcome of an upgrade, sent in one datagram by the server to the process that requested it.
//!
//! The requesting process binds the socket: a server keeps nothing open for requests that may never
//! come.

use std::{
    io::{self, ErrorKind, IoSliceMut},
    os::{
        fd::AsRawFd,
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixDatagram},
    },
    time::Duration,
};

use nix::{
    errno::Errno,
    sys::socket::{
        ControlMessageOwned, MsgFlags, UnixCredentials, recvmsg, setsockopt, sockopt::PassCred,
    },
};

/// The process id of the new server, or why there is none.
pub(super) type Outcome = Result<u32, String>;

/// Waits for the outcome of one server's upgrade.
pub(super) struct OutcomeSocket {
    socket: UnixDatagram,
    server: u32,
}

impl OutcomeSocket {
    /// An error of kind `AddrInUse` where another process waits for it.
    pub(super) fn bind(server: u32) -> io::Result<Self> {
        let socket = UnixDatagram::bind_addr(&addr(server)?)?;
        setsockopt(&socket, PassCred, &true)?;
        Ok(Self { socket, server })
    }

    /// `None` when nothing comes in time, and for datagrams of other processes: every process can send
    /// to this socket.
    pub(super) fn receive(&self, timeout: Duration) -> io::Result<Option<Outcome>> {
        self.socket.set_read_timeout(Some(timeout))?;
        let mut text = vec![0; 64 << 10];
        let mut space = nix::cmsg_space!(UnixCredentials);
        let mut into = [IoSliceMut::new(&mut text)];
        let (fd, flags) = (self.socket.as_raw_fd(), MsgFlags::empty());
        let received = match recvmsg::<()>(fd, &mut into, Some(&mut space), flags) {
            Err(Errno::EAGAIN | Errno::EINTR) => return Ok(None),
            result => result?,
        };
        let is_of_server = received.cmsgs()?.any(|message| {
            matches!(message, ControlMessageOwned::ScmCredentials(sender)
                if u32::try_from(sender.pid()) == Ok(self.server))
        });
        if !is_of_server {
            return Ok(None);
        }
        let length = received.bytes;
        let text = String::from_utf8_lossy(&text[..length]);
        Ok(Some(match text.parse() {
            Ok(process) => Ok(process),
            Err(_) => Err(text.into_owned()),
        }))
    }
}

/// Logs the outcome and sends it to the process that requested the upgrade, if one waits.
pub(crate) fn notify(outcome: &Outcome) {
    let text = match outcome {
        Ok(process) => {
            tracing::info!(process, "upgraded: the new process serves, this one drains");
            process.to_string()
        }
        Err(reason) => {
            tracing::error!(reason, "the upgrade failed: this process goes on");
            reason.clone()
        }
    };
    let sent = addr(std::process::id())
        .and_then(|addr| UnixDatagram::unbound()?.send_to_addr(text.as_bytes(), &addr));
    match sent {
        Err(error) if error.kind() != ErrorKind::ConnectionRefused => {
            tracing::warn!(%error, "cannot send the outcome of the upgrade");
        }
        _ => {}
    }
}

/// In Linux' abstract namespace: there is no file to place and remove. Old and new versions of this
/// crate have to agree on it.
fn addr(server: u32) -> io::Result<SocketAddr> {
    SocketAddr::from_abstract_name(format!("corelane-upgrade-{server}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_of_other_processes_are_ignored() {
        let soon = Duration::from_millis(1);
        let received = |server: u32| {
            let socket = OutcomeSocket::bind(server).expect("a socket");
            let sender = UnixDatagram::unbound().expect("a socket");
            let addr = addr(server).expect("an address");
            sender.send_to_addr(b"4242", &addr).expect("sent");
            socket.receive(soon).expect("received")
        };
        assert_eq!(received(std::process::id()), Some(Ok(4242)));
        assert_eq!(received(1), None, "process 1 did not send it");
    }
}
