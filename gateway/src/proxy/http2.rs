//! Connections of HTTP/2 to one upstream, which requests share.

use std::{
    cell::{Cell, RefCell},
    future::{Future as _, poll_fn},
    pin::pin,
    rc::{Rc, Weak},
    task::Poll,
    time::{Duration, Instant},
};

use corelane::monoio;
use futures_util::FutureExt as _;
use http::{Request, Response};
use hyper::{body::Incoming, client::conn::http2};
use hyper_util::rt::TokioIo;

use super::{
    connect::Socket,
    deadline::Deadline,
    http1::SWEEP,
    request_body::{RequestBody, Upload},
    send_error::SendError,
    spawn::{WorkerExecutor, spawn},
};

/// How many requests share a connection: RFC 9113 section 6.5.2 recommends to allow at least 100. If
/// the upstream allows fewer, the others wait.
const MOST_STREAMS: usize = 100;

/// How much of a response may wait for the client: of one, and of all on a connection, bytes.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 4 << 20;

/// How much of a request's body waits for the upstream's window, bytes.
const SEND_BUFFER: usize = 64 * 1024;

/// The largest list of fields that is accepted in a response, bytes: what hyper buffers for the head of a
/// response of HTTP/1.1, so that both versions take the same.
const HEADER_LIST: u32 = 64 * 1024;

/// The connections of a worker to one upstream.
pub(super) struct Connections {
    open: Rc<Open>,
    idle_time: Duration,
}

#[derive(Default)]
struct Open {
    connections: RefCell<Vec<Rc<Connection>>>,
    /// The task that closes idle connections is running.
    sweeping: Cell<bool>,
}

struct Connection {
    requests: http2::SendRequest<RequestBody>,
    streams: Cell<usize>,
    last_used: Cell<Instant>,
}

impl Connection {
    fn has_room(&self) -> bool {
        self.streams.get() < MOST_STREAMS
    }

    fn is_idle_for(&self, time: Duration) -> bool {
        self.streams.get() == 0 && self.last_used.get().elapsed() >= time
    }
}

impl Connections {
    pub(super) fn new(idle_time: Duration) -> Self {
        Self {
            open: Rc::default(),
            idle_time,
        }
    }

    /// Takes a place on a connection that has room.
    pub(super) fn take(&self) -> Option<Stream> {
        let mut connections = self.open.connections.borrow_mut();
        connections.retain(|connection| !connection.requests.is_closed());
        let connection = connections
            .iter()
            .find(|connection| connection.has_room())?;
        connection.streams.set(connection.streams.get() + 1);
        Some(Stream(Rc::clone(connection)))
    }

    pub(super) async fn add(&self, socket: Socket) -> Result<(), hyper::Error> {
        let (requests, connection) = http2::Builder::new(WorkerExecutor)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_send_buf_size(SEND_BUFFER)
            .max_header_list_size(HEADER_LIST)
            .handshake(TokioIo::new(socket))
            .await?;
        // Its errors reach the requests and the bodies.
        spawn(connection.map(drop));
        if !self.open.sweeping.replace(true) {
            spawn(sweep(Rc::downgrade(&self.open), self.idle_time));
        }
        let mut connections = self.open.connections.borrow_mut();
        connections.push(Rc::new(Connection {
            requests,
            streams: Cell::new(0),
            last_used: Cell::new(Instant::now()),
        }));
        Ok(())
    }
}

/// Closes what is idle for too long, until no connection is open.
async fn sweep(open: Weak<Open>, idle_time: Duration) {
    loop {
        monoio::time::sleep(idle_time.min(SWEEP)).await;
        let Some(open) = open.upgrade() else {
            return;
        };
        let mut connections = open.connections.borrow_mut();
        connections.retain(|it| !it.requests.is_closed() && !it.is_idle_for(idle_time));
        if connections.is_empty() {
            open.sweeping.set(false);
            return;
        }
    }
}

/// A place for one request on a connection, until its response is complete.
pub(super) struct Stream(Rc<Connection>);

impl Stream {
    pub(super) async fn send(
        &self,
        request: Request<RequestBody>,
        upload: Option<&Upload>,
        limit: Duration,
    ) -> Result<(Response<Incoming>, Deadline), SendError> {
        let mut requests = self.0.requests.clone();
        let mut response = pin!(requests.try_send_request(request));
        let mut deadline = Deadline::new(limit);
        let response = poll_fn(|cx| match response.as_mut().poll(cx) {
            Poll::Ready(sent) => Poll::Ready(sent.map_err(SendError::from)),
            Poll::Pending => deadline
                .poll(cx, || upload?.waiting_since())
                .map(|()| Err(SendError::Timeout)),
        })
        .await?;
        Ok((response, deadline))
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.0.streams.set(self.0.streams.get() - 1);
        self.0.last_used.set(Instant::now());
    }
}
