//! How an upgrade went, from the server to the command that asked for it: one datagram.
//!
//! The one who asked listens, so a server that nobody asked by the command has nothing to keep open.

use std::{
    io::{self, ErrorKind},
    os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixDatagram},
    },
    time::Duration,
};

/// The process id of the new server, or why there is none.
pub(super) type Outcome = Result<u32, String>;

/// Waits for the outcome of one server's upgrade.
pub(super) struct Waiting(UnixDatagram);

impl Waiting {
    /// An error of kind `AddrInUse` where somebody else waits already.
    pub(super) fn on(server: u32) -> io::Result<Self> {
        UnixDatagram::bind_addr(&name(server)?).map(Self)
    }

    /// `None` if it is not there in time.
    pub(super) fn outcome(&self, limit: Duration) -> io::Result<Option<Outcome>> {
        self.0.set_read_timeout(Some(limit))?;
        let mut text = vec![0; 64 << 10];
        let length = match self.0.recv(&mut text) {
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return Ok(None);
            }
            result => result?,
        };
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
