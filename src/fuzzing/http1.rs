//! A whole connection of HTTP/1.1 in memory, without a runtime.

use std::{
    cell::{Cell, RefCell},
    convert::Infallible,
    future::{pending, poll_fn},
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{
    FutureExt,
    future::{AbortHandle, Abortable},
};
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use http_body::{Body as _, Frame, SizeHint};

use super::{
    clock,
    connection::info,
    http1_answers::{Answer, answers},
    pieces,
    socket::Socket,
    task::{Step, Task},
};
use crate::{
    body::Body,
    config::{Http2Config, Limits},
    counters::Counters,
    error::Error,
    http1::{ConnectionContext, serve},
    schedule::YieldQueue,
    service::service_fn,
    upgrade::Policy,
};

/// The largest request body, bytes. Short, so that arbitrary input exceeds it.
const MAX_BODY: u64 = 2_000;

/// Bytes of a response that may be held: hyper's buffer, and the piece that exceeds it.
const MAX_HELD: usize = 64 * 1024 + PIECE;

const PIECE: usize = 40_000;

/// The length of the first response, bytes.
const LARGE: usize = 100_000;

/// Longer than each time limit.
const LONG: Duration = Duration::from_secs(600);

/// Serves a connection until its client closes, and returns the responses.
///
/// The handler echoes the body of POST. It answers 1,000 bytes to GET, or 100,000 to the first request,
/// as many as the body's length to PUT, with a trailer, and nothing to DELETE, for which it does not
/// read the body.
///
/// # Panics
///
/// When the connection outlives its client, wakes itself without end, holds more response bytes than
/// the limit, or sends anything but one response to each request in their order, of which only the last
/// may be the server's own or incomplete.
pub fn http1(steps: &[Step]) -> Vec<Answer> {
    let config = Http2Config {
        max_request_body_size: Some(MAX_BODY),
        ..Http2Config::default()
    };
    let limits = Limits::default();
    let counters = Arc::new(Counters::default());
    let socket = Socket::default();
    let handler = Rc::new(Handler::default());
    let (stop, stopped) = AbortHandle::new_pair();
    let context = ConnectionContext::new(
        info("none"),
        &limits,
        &config,
        Policy::default(),
        clock::TIMER,
        &counters,
    );
    let service = {
        let handler = Rc::clone(&handler);
        service_fn(move |request| Rc::clone(&handler).answer(request))
    };
    let stopped = Abortable::new(pending::<()>(), stopped).map(drop);
    let (yields, context) = (Rc::new(YieldQueue::default()), Rc::new(context));
    let served = serve(socket.clone(), service, yields, context, stopped);
    let mut task = Task::new(served);
    let mut result = task.play(&socket, &stop, steps, || {
        let held = handler.given.get().saturating_sub(socket.written());
        assert!(held <= MAX_HELD, "{held} bytes of a response are held");
    });
    if result.is_none() {
        // A handler that waits for the rest of a body, of which the client has sent the end.
        clock::pass(LONG);
        result = task.run();
    }
    assert!(result.is_some(), "the connection outlives its client");
    drop(task);
    assert_eq!(counters.read().requests_in_flight(), 0);
    let methods = handler.methods.borrow();
    let answers = answers(&socket.sent().concat(), &methods);
    check(&answers, methods.len());
    answers
}

/// Checks that the answers of the handler do not depend on the pieces in which the input arrives. A refusal
/// does: hyper refuses a head that begins wrong at once or when it is complete, which it may never be, and
/// the preface of HTTP/2 by another status if it has all of it.
///
/// # Panics
///
/// When they do.
pub fn http1_in_pieces(bytes: &[u8], sizes: &[usize]) {
    let sends = |piece: &[u8]| Step::Sends(piece.to_vec());
    let steps: Vec<_> = pieces(bytes, sizes).into_iter().map(sends).collect();
    let [in_pieces, whole] = [http1(&steps), http1(&[sends(bytes)])].map(|mut answers| {
        answers.pop_if(|last| last.n.is_none());
        answers
    });
    assert_eq!(in_pieces, whole);
}

fn check(answers: &[Answer], requests: usize) {
    let answered = answers.iter().take_while(|answer| answer.n.is_some());
    let answered = answered.count();
    for (i, answer) in answers.iter().enumerate() {
        let is_last = i + 1 == answers.len();
        match answer.n {
            Some(n) => assert!(n == i && answer.status == 200, "the {i}th is {answer:?}"),
            None => assert!(
                is_last && OWN.contains(&answer.status) && answer.closes,
                "{answer:?}"
            ),
        }
        assert!(is_last || answer.complete && !answer.closes, "{answer:?}");
    }
    // The last one may have lost its client, or have been answered by the server.
    assert!(
        (answered..=answered + 1).contains(&requests),
        "{requests} requests, {answered} of which are answered"
    );
}

/// What the server answers itself.
const OWN: [u16; 9] = [400, 405, 408, 413, 414, 431, 500, 501, 505];

#[derive(Default)]
struct Handler {
    /// The methods of the requests that began.
    methods: RefCell<Vec<Method>>,
    /// Bytes of all response bodies.
    given: Rc<Cell<usize>>,
}

impl Handler {
    async fn answer(
        self: Rc<Self>,
        request: Request<Body>,
    ) -> Result<Response<AnswerBody>, Infallible> {
        let (head, mut body) = request.into_parts();
        let n = self.methods.borrow().len();
        self.methods.borrow_mut().push(head.method.clone());
        let given = Rc::clone(&self.given);
        let content = match head.method {
            // One is more than fits into the buffers, and all together do not fill the memory.
            Method::GET | Method::HEAD if n == 0 => Content::Bytes(LARGE),
            Method::GET | Method::HEAD => Content::Bytes(1_000),
            Method::PUT => {
                let mut length = 0;
                while let Some(Ok(frame)) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
                    length += frame.data_ref().map_or(0, Bytes::len);
                }
                Content::WithTrailers(length)
            }
            Method::DELETE => Content::Bytes(0),
            _ => Content::Echo(body),
        };
        let mut response = Response::new(AnswerBody { content, given });
        response.headers_mut().insert("n", n.into());
        let trailer = HeaderValue::from_static("t");
        response.headers_mut().insert("trailer", trailer);
        Ok(response)
    }
}

struct AnswerBody {
    content: Content,
    given: Rc<Cell<usize>>,
}

enum Content {
    Echo(Body),
    Bytes(usize),
    /// Of a length that the server does not know.
    WithTrailers(usize),
    End,
}

impl AnswerBody {
    fn data(&self, length: &mut usize) -> Option<Frame<Bytes>> {
        let n = (*length).min(PIECE);
        *length -= n;
        (n > 0).then(|| Frame::data(Bytes::from_static(&[b'x'; PIECE]).slice(..n)))
    }
}

impl http_body::Body for AnswerBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let mut content = std::mem::replace(&mut self.content, Content::End);
        let frame = match &mut content {
            Content::Echo(body) => Pin::new(body).poll_frame(cx),
            Content::Bytes(left) => Poll::Ready(self.data(left).map(Ok)),
            Content::WithTrailers(left) => {
                let frame = self.data(left).unwrap_or_else(|| {
                    content = Content::End;
                    let name = http::HeaderName::from_static("t");
                    let value = HeaderValue::from_static("7");
                    Frame::trailers(HeaderMap::from_iter([(name, value)]))
                });
                Poll::Ready(Some(Ok(frame)))
            }
            Content::End => Poll::Ready(None),
        };
        self.content = content;
        if let Poll::Ready(Some(Ok(frame))) = &frame {
            let length = frame.data_ref().map_or(0, Bytes::len);
            self.given.set(self.given.get() + length);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Echo(body) => body.is_end_stream(),
            Content::Bytes(left) => *left == 0,
            Content::WithTrailers(_) => false,
            Content::End => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Bytes(left) => SizeHint::with_exact(*left as u64),
            _ => SizeHint::default(),
        }
    }
}
