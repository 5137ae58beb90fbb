//! A port for those who run the server: metrics and health over plain HTTP/1.1, which is what
//! Prometheus and load balancers ask by. On a thread of its own: no worker takes part in it.

mod answers;
mod expiry;
mod exposition;

use std::{
    collections::VecDeque,
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    rc::Rc,
    str::FromStr,
    sync::mpsc::Receiver,
    thread,
    time::Duration,
};

use clap::Args;
use corelane::{Error, Observer};
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    net::TcpStream,
    task::{JoinHandle, LocalSet, spawn_local},
    time,
};

use self::answers::Answers;
pub(crate) use self::expiry::EXPIRY;

/// How long a client may take from connecting to the end of its answer, however slow it is.
const TIME: Duration = Duration::from_secs(10);

/// Clients at once. One more takes the place of the oldest, so that those who hold theirs for
/// nothing do not keep out who means to ask.
const CLIENTS: usize = 64;

/// How long to wait when accepting fails, mostly for want of a file descriptor.
const BACK_OFF: Duration = Duration::from_millis(100);

/// How often it is looked whether another server has taken over.
const LOOK_UP: Duration = Duration::from_millis(200);

/// Its name among the sockets that a server hands over.
pub(crate) const SOCKET: &str = "corelane-admin";

#[derive(Debug, Args)]
pub(crate) struct AdminArgs {
    /// Answer /metrics, /healthz and /readyz over plain HTTP/1.1 on this address; a port alone is
    /// one of 127.0.0.1. [default: not at all]
    #[arg(long, value_name = "[ADDR:]PORT")]
    admin: Option<AdminAddr>,
}

#[derive(Clone, Copy, Debug)]
struct AdminAddr(SocketAddr);

impl FromStr for AdminAddr {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let port = text.strip_prefix(':').unwrap_or(text);
        match port.parse() {
            Ok(port) => Ok(Self((Ipv4Addr::LOCALHOST, port).into())),
            Err(_) => text
                .parse()
                .map(Self)
                .map_err(|_| "expected a port, or an address and a port as in [::1]:9090".into()),
        }
    }
}

/// The port, opened.
pub(crate) struct Admin {
    listener: TcpListener,
    addr: SocketAddr,
}

impl AdminArgs {
    pub(crate) fn addr(&self) -> Option<SocketAddr> {
        self.admin.map(|AdminAddr(addr)| addr)
    }

    /// Opens the port if there is to be one, or takes it from a server that hands over to this one,
    /// if it is among the sockets that it has given.
    pub(crate) fn bind(&self, given: Vec<TcpListener>) -> Result<Option<Admin>, Error> {
        let Some(AdminAddr(addr)) = self.admin else {
            return Ok(None);
        };
        let mut given = given.into_iter();
        let given = given.find(|it| it.local_addr().is_ok_and(|given| given == addr));
        let bound = given.map_or_else(|| TcpListener::bind(addr), Ok);
        let bound = bound.and_then(|listener| {
            listener.set_nonblocking(true)?;
            let addr = listener.local_addr()?;
            Ok(Admin { listener, addr })
        });
        let admin = bound
            .map_err(|error| Error::config(format!("cannot listen on --admin {addr}: {error}")))?;
        if !addr.ip().is_loopback() {
            tracing::warn!(%addr, "--admin can be reached from other machines, by anyone, without TLS");
        }
        Ok(Some(admin))
    }
}

impl Admin {
    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Answers for as long as the process lives, so that it can be watched how the server drains; or
    /// until another one has taken over, which answers then.
    /// Begins when it gets the observer: a server that is not there yet has nothing to say.
    /// Returns the socket, for that one.
    pub(crate) fn start(self, observer: Receiver<Observer>) -> io::Result<TcpListener> {
        let socket = self.listener.try_clone()?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()?;
        let thread = thread::Builder::new().name("corelane-admin".into());
        thread.spawn(move || {
            let Ok(observer) = observer.recv() else {
                return;
            };
            let ended = LocalSet::new().block_on(&runtime, self.serve(observer));
            if let Err(error) = ended {
                tracing::error!(%error, "--admin does not answer any more");
            }
        })?;
        Ok(socket)
    }

    async fn serve(self, observer: Observer) -> io::Result<()> {
        let listener = tokio::net::TcpListener::from_std(self.listener)?;
        let answers = Rc::new(Answers::new(observer.clone()));
        let mut clients: VecDeque<JoinHandle<()>> = VecDeque::new();
        while !observer.is_handed_over() {
            let stream = match time::timeout(LOOK_UP, listener.accept()).await {
                Ok(Ok((stream, _))) => stream,
                Ok(Err(error)) => {
                    tracing::debug!(%error, "--admin cannot accept a connection");
                    time::sleep(BACK_OFF).await;
                    continue;
                }
                Err(_) => continue,
            };
            clients.retain(|client| !client.is_finished());
            if clients.len() == CLIENTS
                && let Some(oldest) = clients.pop_front()
            {
                oldest.abort();
            }
            clients.push_back(spawn_local(answer(stream, Rc::clone(&answers))));
        }
        drop(listener);
        for client in clients {
            // It has been answered or not; nobody is left to tell.
            let _ = client.await;
        }
        Ok(())
    }
}

/// One request: whoever has another one connects again.
async fn answer(stream: TcpStream, answers: Rc<Answers>) {
    let service = service_fn(move |request| {
        let answer = answers.to(&request);
        async move { Ok::<_, std::convert::Infallible>(answer) }
    });
    let connection = http1::Builder::new()
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    match time::timeout(TIME, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a client of --admin failed"),
        Err(_) => tracing::debug!("a client of --admin took too long"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_host_it_is_loopback() {
        for (text, addr) in [
            ("9090", Some("127.0.0.1:9090")),
            (":9090", Some("127.0.0.1:9090")),
            ("0.0.0.0:9090", Some("0.0.0.0:9090")),
            ("[::1]:0", Some("[::1]:0")),
            ("localhost:9090", None),
            ("127.0.0.1", None),
            ("", None),
            ("99999", None),
        ] {
            let parsed = text.parse::<AdminAddr>().ok();
            assert_eq!(
                parsed.map(|it| it.0.to_string()).as_deref(),
                addr,
                "{text:?}"
            );
        }
    }
}
