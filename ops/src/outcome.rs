//! The outcome of an upgrade or a reload, sent by the server to the processes that requested it.
//!
//! The requesting process binds the socket: a server keeps nothing open for requests that may never
//! come. The socket is in Linux' abstract namespace, so there is no file to place and remove. Every
//! user of the machine can bind a name there. Therefore the name ends in a random number, so that it
//! cannot be bound in advance, and both sides ask the kernel for the process and user of the other.

use std::{
    fs,
    hash::{BuildHasher, Hasher, RandomState},
    io::{self, ErrorKind, Read, Write},
    os::{
        fd::AsRawFd,
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixListener, UnixStream},
    },
    process,
    time::Duration,
};

use nix::{
    sys::{
        socket::{
            AddressFamily, SockFlag, SockType, UnixAddr, connect, getsockopt, setsockopt, socket,
            sockopt::{PeerCredentials, ReceiveTimeout},
        },
        time::TimeVal,
    },
    unistd::geteuid,
};

/// What was done, or why it was not.
pub(crate) type Outcome = Result<String, String>;

/// What a server can be asked to do by a signal.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Request {
    Upgrade,
    Reload,
}

impl Request {
    /// Old and new versions of this crate have to agree on it.
    fn socket_prefix(self, server: u32) -> String {
        let request = match self {
            Self::Upgrade => "upgrade",
            Self::Reload => "reload",
        };
        format!("corelane-{request}-{server}-")
    }
}

/// The first line of an outcome; the text follows.
const DONE: &str = "done\n";
const FAILED: &str = "failed\n";

/// Waits for the outcome of one request to one server.
pub(crate) struct OutcomeSocket {
    /// Closed when the server has connected: the server then finds it no more.
    listener: Option<UnixListener>,
    connection: Option<UnixStream>,
    received: Vec<u8>,
    server: u32,
}

impl OutcomeSocket {
    /// How long [`receive`](Self::receive) waits.
    const WAIT: Duration = Duration::from_millis(200);

    pub(crate) fn bind(request: Request, server: u32) -> io::Result<Self> {
        let random = RandomState::new().build_hasher().finish();
        let name = format!("{}{random:016x}", request.socket_prefix(server));
        let listener = UnixListener::bind_addr(&SocketAddr::from_abstract_name(name)?)?;
        let wait = TimeVal::new(0, Self::WAIT.subsec_micros().into());
        setsockopt(&listener, ReceiveTimeout, &wait)?;
        Ok(Self {
            listener: Some(listener),
            connection: None,
            received: Vec::new(),
            server,
        })
    }

    /// `None` when the outcome has not come yet.
    pub(crate) fn receive(&mut self) -> io::Result<Option<Outcome>> {
        if let Some(listener) = &self.listener {
            let connection = match listener.accept() {
                Err(error) if is_not_yet(&error) => return Ok(None),
                accepted => accepted?.0,
            };
            // Any process can connect.
            let peer = getsockopt(&connection, PeerCredentials)?;
            if u32::try_from(peer.pid()) == Ok(self.server) {
                connection.set_read_timeout(Some(Self::WAIT))?;
                self.connection = Some(connection);
                self.listener = None;
            }
        }
        let Some(connection) = &mut self.connection else {
            return Ok(None);
        };
        match connection.read_to_end(&mut self.received) {
            Ok(_) => {}
            Err(error) if is_not_yet(&error) => return Ok(None),
            Err(error) => return Err(error),
        }
        let text = String::from_utf8_lossy(&self.received);
        Ok(Some(match text.strip_prefix(DONE) {
            Some(done) => Ok(done.to_owned()),
            None => Err(text.strip_prefix(FAILED).map_or_else(
                || "it has closed the socket without an outcome; see its log".into(),
                str::to_owned,
            )),
        }))
    }
}

fn is_not_yet(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

/// The processes that wait for the outcome of a request.
#[must_use = "they wait for the outcome"]
pub(crate) struct Waiting(Vec<UnixStream>);

impl Waiting {
    /// Finds them. Call it before the work begins: a later caller waits for the next outcome.
    pub(crate) fn find(request: Request) -> Self {
        const SOCKETS: &str = "/proc/self/net/unix";
        let prefix = request.socket_prefix(process::id());
        let sockets = match fs::read(SOCKETS) {
            Ok(sockets) => sockets,
            Err(error) => {
                tracing::warn!(%error, "cannot read {SOCKETS}: the outcome goes to the log only");
                return Self(Vec::new());
            }
        };
        let sockets = String::from_utf8_lossy(&sockets);
        let names = sockets.lines().filter_map(|line| {
            let name = line.split_ascii_whitespace().last()?.strip_prefix('@')?;
            name.starts_with(&prefix).then_some(name)
        });
        let connected = names.filter_map(|name| {
            connect_to_requester(name)
                .inspect_err(|error| {
                    tracing::debug!(name, %error, "cannot report to a process that waits");
                })
                .ok()
        });
        Self(connected.collect())
    }

    pub(crate) fn tell(self, outcome: &Outcome) {
        let text = match outcome {
            Ok(done) => format!("{DONE}{done}"),
            Err(reason) => format!("{FAILED}{reason}"),
        };
        for mut connection in self.0 {
            // Its buffer takes the text at once.
            if let Err(error) = connection.write_all(text.as_bytes()) {
                tracing::debug!(%error, "cannot report the outcome to a process that waits");
            }
        }
    }
}

/// Connects without waiting. An error if the socket belongs to a user who may not ask.
fn connect_to_requester(name: &str) -> io::Result<UnixStream> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    connect(
        socket.as_raw_fd(),
        &UnixAddr::new_abstract(name.as_bytes())?,
    )?;
    let peer = getsockopt(&socket, PeerCredentials)?;
    if peer.uid() != 0 && peer.uid() != geteuid().as_raw() {
        return Err(ErrorKind::PermissionDenied.into());
    }
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead, BufReader},
        os::unix::process::CommandExt,
        process::Stdio,
        sync::{Mutex, MutexGuard, PoisonError},
    };

    use super::*;

    /// The tests are one process, which finds all sockets of its id.
    static ONE_TEST: Mutex<()> = Mutex::new(());

    fn alone() -> MutexGuard<'static, ()> {
        ONE_TEST.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn received(mut socket: OutcomeSocket) -> Option<Outcome> {
        socket.receive().expect("received")
    }

    #[test]
    fn each_waiting_process_gets_the_outcome_of_its_request() {
        let _alone = alone();
        let this = process::id();
        let bind = |request| OutcomeSocket::bind(request, this).expect("a socket");
        let mut first = bind(Request::Upgrade);
        let second = bind(Request::Upgrade);
        let other = bind(Request::Reload);
        let waiting = Waiting::find(Request::Upgrade);
        assert_eq!(first.receive().expect("received"), None, "not yet");
        let late = bind(Request::Upgrade);
        waiting.tell(&Ok("4242".into()));
        assert_eq!(received(first), Some(Ok("4242".into())));
        assert_eq!(received(second), Some(Ok("4242".into())));
        assert_eq!(received(other), None);
        assert_eq!(received(late), None);
    }

    #[test]
    fn failures_and_ends_are_told_apart() {
        let _alone = alone();
        let bind = || OutcomeSocket::bind(Request::Reload, process::id()).expect("a socket");
        let socket = bind();
        Waiting::find(Request::Reload).tell(&Err("line 1\nline 2".into()));
        assert_eq!(received(socket), Some(Err("line 1\nline 2".into())));
        let socket = bind();
        drop(Waiting::find(Request::Reload));
        let ended = received(socket).expect("an end").expect_err("no outcome");
        assert!(ended.contains("without an outcome"), "{ended}");
    }

    #[test]
    fn outcomes_of_other_processes_are_ignored() {
        let init = 1;
        let socket = OutcomeSocket::bind(Request::Upgrade, init).expect("a socket");
        let listener = socket.listener.as_ref().expect("open");
        let addr = listener.local_addr().expect("bound");
        let mut sender = UnixStream::connect_addr(&addr).expect("connected");
        sender.write_all(b"done\n4242").expect("sent");
        assert_eq!(received(socket), None, "process 1 did not send it");
    }

    /// The process whose outcome the helper waits for.
    const SERVER: &str = "CORELANE_TEST_SERVER";

    #[test]
    fn a_process_of_another_user_gets_no_outcome() {
        if !geteuid().is_root() {
            eprintln!("NOT TESTED: only root can start a process of another user");
            return;
        }
        let _alone = alone();
        let helper = "outcome::tests::waits_as_another_user";
        let mut child = process::Command::new("/proc/self/exe")
            .args(["--exact", helper, "--ignored", "--nocapture"])
            .env(SERVER, process::id().to_string())
            .uid(65_534)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this test program");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let bound = lines.any(|line| line.expect("text").ends_with("bound"));
        assert!(
            bound,
            "it has bound a socket for the outcome of this process"
        );
        let waiting = Waiting::find(Request::Upgrade);
        assert!(
            waiting.0.is_empty(),
            "only root and the server's user may ask"
        );
        drop(child.stdin.take());
        assert!(child.wait().expect("a child").success());
    }

    #[test]
    #[ignore = "another test starts it"]
    fn waits_as_another_user() {
        let server = std::env::var(SERVER).expect("set");
        let server = server.parse().expect("a process id");
        let socket = OutcomeSocket::bind(Request::Upgrade, server).expect("a socket");
        println!("bound");
        io::stdin().read_to_end(&mut Vec::new()).expect("its end");
        // The server may have connected before it knew the user.
        if let Some(outcome) = received(socket) {
            let closed = outcome.expect_err("an outcome");
            assert!(closed.contains("without an outcome"), "{closed}");
        }
    }
}
