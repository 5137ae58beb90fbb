//! Connections of HTTP/2 to one upstream, which requests share.

use std::{
    cell::{Cell, RefCell},
    future::{Future as _, poll_fn},
    pin::pin,
    rc::Rc,
    task::Poll,
    time::Duration,
};

use futures_util::FutureExt as _;
use http::{Request, Response};
use hyper::{body::Incoming, client::conn::http2};
use hyper_util::rt::TokioIo;

use super::{
    connect::Socket,
    deadline::Deadline,
    http1::SendError,
    request_body::{RequestBody, Upload},
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

/// The largest list of fields that is accepted in a response, bytes.
const HEADER_LIST: u32 = 64 * 1024;

/// The connections of a worker to one upstream.
#[derive(Default)]
pub(super) struct Connections(RefCell<Vec<Rc<Connection>>>);

struct Connection {
    requests: http2::SendRequest<RequestBody>,
    streams: Cell<usize>,
}

impl Connection {
    fn has_room(&self) -> bool {
        self.streams.get() < MOST_STREAMS
    }
}

impl Connections {
    /// Takes a place on a connection that has room.
    pub(super) fn take(&self) -> Option<Stream> {
        let mut connections = self.0.borrow_mut();
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
        self.0.borrow_mut().push(Rc::new(Connection {
            requests,
            streams: Cell::new(0),
        }));
        Ok(())
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
            Poll::Ready(Ok(response)) => Poll::Ready(Ok(response)),
            Poll::Ready(Err(mut error)) => Poll::Ready(Err(match error.take_message() {
                Some(request) => SendError::NotSent(request),
                None => SendError::Failed(error.into_error()),
            })),
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
    }
}
