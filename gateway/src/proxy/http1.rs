//! Connections of HTTP/1.1 to one upstream: one request at a time, kept for the next.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    future::{Future as _, poll_fn},
    pin::pin,
    rc::{Rc, Weak},
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use bytes::Bytes;
use corelane::monoio::time::{sleep, timeout};
use http::{Request, Response, StatusCode, Version};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;

use super::{
    connect::{HeadBudget, Socket},
    deadline::Deadline,
    driver::Driver,
    request_body::{RequestBody, Upload},
    send_error::SendError,
    spawn::spawn,
};

/// The most that is buffered for each direction of a connection, bytes. The head of a response has to
/// fit: nginx' `proxy_buffer_size` is 4 or 8 KiB.
const BUFFER: usize = 64 * 1024;

/// How long a connection whose response is complete may take until it is ready for the next request:
/// hyper has to be polled again.
const SETTLE: Duration = Duration::from_secs(1);

/// How much sooner than the upstream announced an idle connection is given up: a request that is on
/// its way when the upstream closes the connection fails.
const MARGIN: Duration = Duration::from_secs(1);

/// How often the connections that were idle for too long are closed, at most.
pub(super) const SWEEP: Duration = Duration::from_secs(10);

/// A connection. If it is dropped, it is closed, whatever state it is in.
pub(super) struct Connection {
    requests: http1::SendRequest<RequestBody>,
    driver: Driver,
    head: Rc<HeadBudget>,
    deadline: Deadline,
    idle_until: Instant,
}

impl Connection {
    pub(super) async fn handshake(socket: Socket, limit: Duration) -> Result<Self, hyper::Error> {
        let head = socket.head_budget();
        let (requests, connection) = http1::Builder::new()
            .max_buf_size(BUFFER)
            .handshake(TokioIo::new(socket))
            .await?;
        Ok(Self {
            requests,
            driver: Driver::new(connection),
            head,
            deadline: Deadline::new(limit),
            idle_until: Instant::now(),
        })
    }

    /// The next request asks for an upgrade.
    pub(super) fn expect_upgrade(&mut self) {
        self.driver.expect_upgrade();
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
        self.driver.forget_task();
        let mut response = pin!(self.requests.try_send_request(request));
        let (driver, deadline) = (&mut self.driver, &mut self.deadline);
        let sent = poll_fn(
            |cx| match driver.poll(cx, |cx| response.as_mut().poll(cx)) {
                Poll::Ready(sent) => Poll::Ready(sent.map_err(SendError::from)),
                Poll::Pending => deadline
                    .poll(cx, || upload?.waiting_since())
                    .map(|()| Err(SendError::Timeout)),
            },
        )
        .await;
        if let Ok(response) = &sent {
            self.head.end();
            if response.status() != StatusCode::SWITCHING_PROTOCOLS {
                self.driver.forget_upgrade();
            }
            // The client may send more before it reads the response.
            if upload.is_some_and(|upload| !upload.is_over()) {
                self.driver.spawn();
            }
        }
        sent
    }

    async fn ready(&mut self) -> Result<(), hyper::Error> {
        let (driver, requests) = (&mut self.driver, &mut self.requests);
        poll_fn(|cx| driver.poll(cx, |cx| requests.poll_ready(cx))).await
    }

    /// Polls for the next part of a response's body.
    pub(super) fn poll_body<T>(
        &mut self,
        cx: &mut Context<'_>,
        body: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        self.driver.poll(cx, body)
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
    /// The task that closes idle connections is running.
    sweeping: Cell<bool>,
    /// Wakes that task, when it has begun.
    sweeper: RefCell<Option<Waker>>,
    max_idle: usize,
    idle_time: Duration,
}

impl Pool {
    pub(super) fn new(max_idle: usize, idle_time: Duration) -> Self {
        Self {
            idle: RefCell::default(),
            sweeping: Cell::new(false),
            sweeper: RefCell::default(),
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
        while let Some(mut connection) = idle.pop_back() {
            connection.driver.drive();
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
        if !self.sweeping.replace(true) {
            spawn(sweep(Rc::downgrade(self), self.idle_time.min(SWEEP)));
        }
        let mut idle = self.idle.borrow_mut();
        if idle.len() >= self.max_idle {
            idle.pop_front();
        }
        if let Some(sweeper) = &*self.sweeper.borrow() {
            connection.driver.wake_on_event(sweeper);
        }
        idle.push_back(connection);
    }

    /// Closes what the upstream has closed and what is idle for too long. `false`: none is left.
    fn close_idle(&self) -> bool {
        let now = Instant::now();
        let mut idle = self.idle.borrow_mut();
        idle.retain_mut(|connection| {
            connection.driver.drive();
            !connection.requests.is_closed() && now < connection.idle_until
        });
        !idle.is_empty()
    }

    fn wake_on_event(&self, sweeper: &Waker) {
        for connection in &*self.idle.borrow() {
            connection.driver.wake_on_event(sweeper);
        }
        *self.sweeper.borrow_mut() = Some(sweeper.clone());
    }
}

async fn sweep(pool: Weak<Pool>, pause: Duration) {
    loop {
        let mut pause = pin!(sleep(pause));
        let mut begun = false;
        // An idle connection that the upstream closes ends the pause.
        poll_fn(|cx| {
            if std::mem::replace(&mut begun, true) {
                return Poll::Ready(());
            }
            if let Some(pool) = pool.upgrade() {
                pool.wake_on_event(cx.waker());
            }
            pause.as_mut().poll(cx)
        })
        .await;
        let Some(pool) = pool.upgrade() else {
            return;
        };
        if !pool.close_idle() {
            pool.sweeping.set(false);
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

    /// The upstream has switched protocols: the socket, and what was read from it already. `None` if it
    /// has not the whole request.
    pub(super) fn into_upgraded(mut self) -> Option<(Socket, Bytes)> {
        self.connection.driver.take_upgraded()
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
        connection.driver.drive();
        if connection.requests.is_ready() {
            pool.put(connection, announced);
        } else if upload.is_none_or(|upload| upload.is_over()) {
            spawn(async move {
                let ready = timeout(SETTLE, connection.ready()).await;
                if matches!(ready, Ok(Ok(()))) {
                    pool.put(connection, announced);
                }
            });
        }
    }
}
