//! Connections of HTTP/1.1 to one upstream: one request at a time, kept for the next.

use std::{
    cell::RefCell,
    collections::VecDeque,
    future::{Future as _, poll_fn},
    pin::pin,
    rc::{Rc, Weak},
    task::Poll,
    time::{Duration, Instant},
};

use corelane::monoio::{self, time::timeout};
use futures_util::{
    FutureExt as _,
    future::{AbortHandle, abortable},
};
use http::{Request, Response, Version};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;

use super::{
    connect::{HeadBudget, Socket},
    deadline::Deadline,
    request_body::{RequestBody, Upload},
    spawn::spawn,
};

/// The most that is buffered for each direction of a connection, bytes. The head of a response has to
/// fit: nginx' `proxy_buffer_size` is 4 or 8 KiB.
const BUFFER: usize = 64 * 1024;

/// How long a connection whose response is complete may take until it is ready for the next request:
/// its task has to run once.
const SETTLE: Duration = Duration::from_secs(1);

/// How much sooner than the upstream announced an idle connection is given up: a request that is on
/// its way when the upstream closes the connection fails.
const MARGIN: Duration = Duration::from_secs(1);

/// How often the connections that were idle for too long are closed, at most.
const SWEEP: Duration = Duration::from_secs(10);

/// A connection. If it is dropped, it is closed, whatever state it is in.
pub(super) struct Connection {
    requests: http1::SendRequest<RequestBody>,
    abort: AbortHandle,
    head: Rc<HeadBudget>,
    deadline: Deadline,
    idle_until: Instant,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.abort.abort();
    }
}

/// How sending a request failed.
pub(super) enum SendError {
    /// The request was not sent: here it is.
    NotSent(Box<Request<RequestBody>>),
    Timeout,
    Failed(hyper::Error),
}

impl Connection {
    pub(super) async fn handshake(socket: Socket, limit: Duration) -> Result<Self, hyper::Error> {
        let head = socket.head_budget();
        let (requests, connection) = http1::Builder::new()
            .max_buf_size(BUFFER)
            .handshake(TokioIo::new(socket))
            .await?;
        let (connection, abort) = abortable(connection);
        // Its errors reach the request or the body.
        spawn(connection.map(drop));
        Ok(Self {
            requests,
            abort,
            head,
            deadline: Deadline::new(limit),
            idle_until: Instant::now(),
        })
    }

    /// Whether the upstream has sent a byte since the request.
    pub(super) fn has_received(&self) -> bool {
        self.head.is_touched()
    }

    pub(super) fn is_head_too_large(&self) -> bool {
        self.head.is_exceeded()
    }

    pub(super) async fn send(
        &mut self,
        request: Request<RequestBody>,
        upload: Option<&Upload>,
    ) -> Result<Response<Incoming>, SendError> {
        self.head.begin();
        self.deadline.restart();
        let mut response = pin!(self.requests.try_send_request(request));
        let deadline = &mut self.deadline;
        poll_fn(|cx| match response.as_mut().poll(cx) {
            Poll::Ready(Ok(response)) => {
                self.head.end();
                Poll::Ready(Ok(response))
            }
            Poll::Ready(Err(mut error)) => Poll::Ready(Err(match error.take_message() {
                Some(request) => SendError::NotSent(Box::new(request)),
                None => SendError::Failed(error.into_error()),
            })),
            Poll::Pending => deadline
                .poll(cx, || upload?.waiting_since())
                .map(|()| Err(SendError::Timeout)),
        })
        .await
    }

    /// The limit on the time between two reads of a response's body.
    pub(super) fn deadline(&mut self) -> &mut Deadline {
        &mut self.deadline
    }
}

/// The idle connections of a worker to one upstream.
pub(super) struct Pool {
    /// The one that was used last is at the end, and is used first.
    idle: RefCell<VecDeque<Connection>>,
    max_idle: usize,
    idle_time: Duration,
}

impl Pool {
    pub(super) fn new(max_idle: usize, idle_time: Duration) -> Self {
        Self {
            idle: RefCell::default(),
            max_idle,
            idle_time,
        }
    }

    pub(super) fn take(&self) -> Option<Connection> {
        let mut idle = self.idle.borrow_mut();
        if idle.is_empty() {
            return None;
        }
        let now = Instant::now();
        while let Some(connection) = idle.pop_back() {
            if connection.requests.is_ready() && now < connection.idle_until {
                return Some(connection);
            }
        }
        None
    }

    fn put(self: &Rc<Self>, mut connection: Connection, announced: Option<Duration>) {
        let time = announced.map_or(self.idle_time, |time| time.saturating_sub(MARGIN));
        let time = time.min(self.idle_time);
        if self.max_idle == 0 || time.is_zero() {
            return;
        }
        connection.idle_until = Instant::now() + time;
        let mut idle = self.idle.borrow_mut();
        if idle.is_empty() {
            spawn(sweep(Rc::downgrade(self), self.idle_time.min(SWEEP)));
        }
        if idle.len() >= self.max_idle {
            idle.pop_front();
        }
        idle.push_back(connection);
    }
}

/// Closes what is idle for too long, until the pool is empty.
async fn sweep(pool: Weak<Pool>, pause: Duration) {
    loop {
        monoio::time::sleep(pause).await;
        let Some(pool) = pool.upgrade() else {
            return;
        };
        let now = Instant::now();
        let mut idle = pool.idle.borrow_mut();
        idle.retain(|connection| !connection.requests.is_closed() && now < connection.idle_until);
        if idle.is_empty() {
            return;
        }
    }
}

/// A connection whose response is being read.
pub(super) struct Lease {
    connection: Connection,
    pool: Rc<Pool>,
    upload: Option<Rc<Upload>>,
    announced: Option<Duration>,
    reusable: bool,
}

impl Lease {
    pub(super) fn new(
        connection: Connection,
        pool: &Rc<Pool>,
        upload: Option<Rc<Upload>>,
        response: &Response<Incoming>,
        announced: Option<Duration>,
    ) -> Self {
        Self {
            connection,
            pool: Rc::clone(pool),
            upload,
            announced,
            // hyper sends to a peer of HTTP/1.0 what that version has, without chunked bodies: an
            // upload of unknown length would be lost.
            reusable: response.version() == Version::HTTP_11,
        }
    }

    pub(super) fn connection(&mut self) -> &mut Connection {
        &mut self.connection
    }

    pub(super) fn upload(&self) -> Option<&Rc<Upload>> {
        self.upload.as_ref()
    }

    /// The response is complete: keeps the connection for the next request. If the request is not
    /// complete, the upstream does not want the rest, and the connection is closed.
    pub(super) fn finish(self) {
        let Self {
            mut connection,
            pool,
            upload,
            announced,
            reusable,
        } = self;
        if !reusable || connection.requests.is_closed() {
            return;
        }
        if connection.requests.is_ready() {
            pool.put(connection, announced);
        } else if upload.is_none_or(|upload| upload.is_over()) {
            spawn(async move {
                let ready = timeout(SETTLE, connection.requests.ready()).await;
                if matches!(ready, Ok(Ok(()))) {
                    pool.put(connection, announced);
                }
            });
        }
    }
}
