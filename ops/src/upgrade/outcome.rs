//! How an upgrade went, from the server to the command that asked for it: one datagram.
//!
//! The one who asked listens, so a server that nobody asked by the command has nothing to keep open.

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
pub(super) struct Waiting {
    socket: UnixDatagram,
    server: u32,
}

impl Waiting {
    /// An error of kind `AddrInUse` where somebody else waits already.
    pub(super) fn on(server: u32) -> io::Result<Self> {
        let socket = UnixDatagram::bind_addr(&name(server)?)?;
        setsockopt(&socket, PassCred, &true)?;
        Ok(Self { socket, server })
    }

    /// `None` if it is not there in time, or was told by another process: everyone can send here.
    pub(super) fn outcome(&self, limit: Duration) -> io::Result<Option<Outcome>> {
        self.socket.set_read_timeout(Some(limit))?;
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

/// Tells whoever waits.
pub(super) fn tell(outcome: &Outcome) {
    let text = match outcome {
        Ok(process) => process.to_string(),
        Err(why) => why.clone(),
    };
    let told = name(std::process::id())
        .and_then(|name| UnixDatagram::unbound()?.send_to_addr(text.as_bytes(), &name));
    match told {
        Err(error) if error.kind() != ErrorKind::ConnectionRefused => {
            tracing::warn!(%error, "who asked for the upgrade cannot be told");
        }
        _ => {}
    }
}

/// In Linux' abstract namespace: no file that would have to be put somewhere and removed.
fn name(server: u32) -> io::Result<SocketAddr> {
    SocketAddr::from_abstract_name(format!("corelane-upgrade-{server}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_server_is_believed() {
        let soon = Duration::from_millis(1);
        let heard = |server: u32| {
            let waiting = Waiting::on(server).expect("a socket");
            let sender = UnixDatagram::unbound().expect("a socket");
            let name = name(server).expect("a name");
            sender.send_to_addr(b"4242", &name).expect("sent");
            waiting.outcome(soon).expect("received")
        };
        assert_eq!(heard(std::process::id()), Some(Ok(4242)));
        // Process 1 is another one.
        assert_eq!(heard(1), None);
    }
}
