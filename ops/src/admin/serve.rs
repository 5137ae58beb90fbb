//! The thread of the admin port: accepts connections and answers one request on each.

use std::{
    collections::VecDeque, convert::Infallible, io, net::TcpListener, rc::Rc, sync::mpsc, thread,
    time::Duration,
};

use corelane::Observer;
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    net::TcpStream,
    task::{JoinHandle, LocalSet, spawn_local},
    time,
};

use super::{routes::Routes, spare::Spares};

/// How long a client may take from its connection to the end of its response: 10 s, far more than a
/// scrape takes.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// Clients at once: 8. One more replaces the oldest, so that idle connections do not block
/// monitoring. They and the files of metrics fit into the descriptors that connections leave free
/// ([`RESERVED_DESCRIPTORS`](corelane::config::RESERVED_DESCRIPTORS)).
const MAX_CLIENTS: usize = 8;

/// How long to wait after a failed accept that no other client can make room for.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);

/// How often the thread checks whether another process has taken over.
const HAND_OVER_CHECK: Duration = Duration::from_millis(200);

pub(super) struct AdminServer {
    pub(super) listener: TcpListener,
    pub(super) routes: Routes,
    pub(super) observer: Observer,
    /// Dropped when the thread ends.
    pub(super) _open: mpsc::Sender<Infallible>,
}

/// Starts the thread. `start` runs on it and waits for the server; `None` ends the thread.
pub(super) fn spawn(
    start: impl FnOnce() -> Option<AdminServer> + Send + 'static,
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()?;
    let thread = thread::Builder::new().name("corelane-admin".into());
    thread.spawn(move || {
        let Some(server) = start() else {
            return;
        };
        let ended = LocalSet::new().block_on(&runtime, serve(server));
        if let Err(error) = ended {
            tracing::error!(%error, "the admin port has failed and is closed");
        }
    })?;
    Ok(())
}

/// Answers while the server runs and while it drains, or until another process has taken over, which
/// answers on the same socket.
async fn serve(server: AdminServer) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(server.listener)?;
    let routes = Rc::new(server.routes);
    let spares = Rc::new(Spares::new());
    let mut clients: VecDeque<JoinHandle<()>> = VecDeque::new();
    while !server.observer.is_handed_over() {
        let stream = match time::timeout(HAND_OVER_CHECK, listener.accept()).await {
            Ok(Ok((stream, _))) => stream,
            Ok(Err(error)) => {
                tracing::debug!(%error, "the admin port cannot accept a connection");
                // For lack of a descriptor: the spares are some, and the oldest client has one.
                if !spares.release() {
                    match clients.pop_front() {
                        Some(oldest) => end(oldest).await,
                        None => time::sleep(ACCEPT_BACKOFF).await,
                    }
                }
                continue;
            }
            Err(_) => {
                spares.refill();
                continue;
            }
        };
        clients.retain(|client| !client.is_finished());
        if clients.len() == MAX_CLIENTS
            && let Some(oldest) = clients.pop_front()
        {
            end(oldest).await;
        }
        let (routes, spares) = (Rc::clone(&routes), Rc::clone(&spares));
        clients.push_back(spawn_local(serve_connection(stream, routes, spares)));
    }
    drop(listener);
    for client in clients {
        // An error means that it was aborted.
        let _ = client.await;
    }
    Ok(())
}

/// Closes a client's connection.
async fn end(client: JoinHandle<()>) {
    client.abort();
    // An error means that it was aborted.
    let _ = client.await;
}

/// Answers one request: idle connections cost nothing.
async fn serve_connection(stream: TcpStream, routes: Rc<Routes>, spares: Rc<Spares>) {
    let service = service_fn(|request| {
        // Metrics are read from files.
        spares.release();
        let response = routes.respond(&request);
        spares.refill();
        async move { Ok::<_, Infallible>(response) }
    });
    let connection = http1::Builder::new()
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    match time::timeout(REQUEST_TIMEOUT, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a connection to the admin port failed"),
        Err(_) => tracing::debug!("a connection to the admin port timed out"),
    }
    // The connection has left a descriptor.
    spares.refill();
}
