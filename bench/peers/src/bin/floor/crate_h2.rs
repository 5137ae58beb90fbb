//! A connection by crate h2.

use std::{
    cell::RefCell,
    convert::Infallible,
    future::Future,
    io::{self, IoSlice},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker, ready},
};

use bench_peers::{Bodies, answer};
use bytes::Bytes;
use h2::{
    RecvStream,
    server::{Builder, Handshake, SendResponse},
};
use http::{HeaderValue, Response};
use http_body::{Body, Frame};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::{
    connection::{self, complete, now},
    session::Session,
};

type Answer = Pin<Box<dyn Future<Output = Result<Response<Bytes>, Infallible>>>>;

pub struct Connection {
    io: Io,
    state: State,
    bodies: &'static Bodies,
    /// Requests whose body has not arrived yet.
    waiting: Vec<(Answer, SendResponse<Bytes>)>,
}

enum State {
    Handshake(Box<Handshake<Io, Bytes>>),
    Open(Box<h2::server::Connection<Io, Bytes>>),
}

impl Connection {
    pub fn new(session: Session, bodies: &'static Bodies) -> Self {
        let io = Io(Rc::new(RefCell::new(session)));
        let handshake = Builder::new()
            .max_concurrent_streams(200)
            .initial_window_size(1 << 20)
            .initial_connection_window_size(1 << 20)
            .handshake(io.clone());
        Self {
            io,
            state: State::Handshake(Box::new(handshake)),
            bodies,
            waiting: Vec::new(),
        }
    }

    /// False if the connection has ended.
    fn accept(&mut self, cx: &mut Context<'_>, date: &HeaderValue) -> bool {
        if let State::Handshake(handshake) = &mut self.state {
            match Pin::new(&mut **handshake).poll(cx) {
                Poll::Pending => return true,
                Poll::Ready(Ok(connection)) => self.state = State::Open(Box::new(connection)),
                Poll::Ready(Err(_)) => return false,
            }
        }
        let State::Open(connection) = &mut self.state else {
            return false;
        };
        loop {
            let (request, respond) = match connection.poll_accept(cx) {
                Poll::Pending => return true,
                Poll::Ready(Some(Ok(accepted))) => accepted,
                Poll::Ready(_) => return false,
            };
            let request = request.map(RequestBody);
            if request.body().0.is_end_stream() {
                if let Some(Ok(response)) = now(answer(self.bodies, request)) {
                    send(respond, response, date);
                }
            } else {
                let answer = Box::pin(answer(self.bodies, request));
                self.waiting.push((answer, respond));
            }
        }
    }

    fn answer_waiting(&mut self, cx: &mut Context<'_>, date: &HeaderValue) {
        let mut index = 0;
        while let Some((answer, _)) = self.waiting.get_mut(index) {
            match answer.as_mut().poll(cx) {
                Poll::Pending => index += 1,
                Poll::Ready(Ok(response)) => {
                    let (_, respond) = self.waiting.swap_remove(index);
                    send(respond, response, date);
                }
            }
        }
    }
}

impl connection::Connection for Connection {
    fn turn(&mut self, date: &HeaderValue) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        self.io.0.borrow_mut().begin_turn();
        let mut goes_on = self.accept(&mut cx, date);
        if goes_on && !self.waiting.is_empty() {
            self.answer_waiting(&mut cx, date);
            // Writes the responses and WINDOW_UPDATE.
            goes_on = self.accept(&mut cx, date);
        }
        self.io.0.borrow_mut().flush().is_ok() && goes_on
    }

    fn is_blocked(&self) -> bool {
        self.io.0.borrow().is_blocked()
    }
}

fn send(mut respond: SendResponse<Bytes>, mut response: Response<Bytes>, date: &HeaderValue) {
    complete(&mut response, date);
    let (head, body) = response.into_parts();
    // Fails only if the client has reset the stream.
    if let Ok(mut stream) = respond.send_response(Response::from_parts(head, ()), false) {
        let _ = stream.send_data(body, true);
    }
}

/// h2's body, whose bytes are returned to the window at once.
struct RequestBody(RecvStream);

impl Body for RequestBody {
    type Data = Bytes;
    type Error = h2::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        let frame = ready!(self.0.poll_data(cx)).map(|data| {
            let data = data?;
            self.0.flow_control().release_capacity(data.len())?;
            Ok(Frame::data(data))
        });
        Poll::Ready(frame)
    }
}

/// Both the connection and h2 have it.
#[derive(Clone)]
struct Io(Rc<RefCell<Session>>);

/// The waker is not needed: every event of the socket polls the connection.
fn poll<T>(result: io::Result<Option<T>>) -> Poll<io::Result<T>> {
    match result {
        Ok(Some(done)) => Poll::Ready(Ok(done)),
        Ok(None) => Poll::Pending,
        Err(error) => Poll::Ready(Err(error)),
    }
}

impl AsyncRead for Io {
    fn poll_read(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let session = &mut *self.0.borrow_mut();
        ready!(poll(session.fill()))?;
        let plaintext = session.plaintext();
        let n = plaintext.len().min(buf.remaining());
        buf.put_slice(&plaintext[..n]);
        session.consume(n);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Io {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        poll(self.0.borrow_mut().write(slices))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// The end of a turn flushes, once for all responses.
    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(cx)
    }
}
