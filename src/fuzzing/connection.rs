//! A whole connection in memory, without a runtime: from the socket to a handler and back.

use std::{
    convert::Infallible,
    future::{pending, poll_fn},
    net::{Ipv4Addr, SocketAddr},
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
use http::{Method, Request, Response};
use http_body::{Body as _, Frame};

use super::{
    clock,
    socket::Socket,
    task::{Step, Task},
};
use crate::{
    alpn::{AlpnMissing, AlpnRule},
    body::Body,
    config::{Http2Config, Http2Engine, Limits},
    connection_info::ConnectionInfo,
    counters::Counters,
    error::Error,
    http2::{self, ConnectionContext, WorkerService},
    io::{Accepted, accept},
    service::service_fn,
    tls::TlsAcceptor,
    upgrade::Policy,
};

/// The implementations of HTTP/2 that are compiled in.
pub const ENGINES: &[Http2Engine] = &[
    Http2Engine::H2,
    #[cfg(feature = "http2-engine")]
    Http2Engine::Corelane,
];

/// Serves a connection until its client closes. Returns what the server sent, write by write.
///
/// The handler echoes a body. It answers 100,000 bytes to GET, as many as the body's length to PUT,
/// and one byte to DELETE, for which it does not read the body.
///
/// # Panics
///
/// When the connection outlives its client although it is not throttled and nothing waits for the client's window,
/// is not woken when it can send, wakes itself without end, or holds more response bytes than the limit.
pub fn connection(acceptor: &dyn TlsAcceptor, engine: Http2Engine, steps: &[Step]) -> Vec<Vec<u8>> {
    let http2 = Http2Config {
        // Less than one response, so that responses have to wait for room.
        max_send_buffer_size: SEND_BUFFER,
        ..Http2Config::default()
    };
    let socket = Socket::default();
    let counters = Arc::new(Counters::default());
    let context = ConnectionContext::new(
        info(acceptor.backend()),
        &Limits::default(),
        &http2,
        Policy::default(),
        clock::TIMER,
        &counters,
    );
    let context = Rc::new(context);
    let (stop, stopped) = AbortHandle::new_pair();
    let serve = {
        let (socket, context) = (socket.clone(), Rc::clone(&context));
        async move {
            let rule = AlpnRule::h2(AlpnMissing::default());
            let accepted = accept(socket, acceptor, rule).await;
            let Accepted { mut stream, .. } = accepted.map_err(|failed| failed.error)?;
            stream.answer_with_flushes();
            let connection = http2::preface(&mut stream, &http2, engine, Policy::default()).await?;
            let stopped = Abortable::new(pending::<()>(), stopped).map(drop);
            let service = WorkerService::new(service_fn(answer));
            http2::serve(connection, &service, context, stopped).await
        }
    };
    let mut task = Task::new(serve);
    let mut result = task.play(&socket, &stop, steps, || {
        assert!(context.send_buffer.held() < SEND_BUFFER + LARGEST_PIECE);
    });
    // A throttled connection reads its client from time to time. What was queued before the client made its window
    // smaller waits for the time limit of responses.
    let held = context.send_buffer.held();
    let waits_for_window = held > 0;
    if waits_for_window && counters.read().connections_held_back == 0 {
        result = result.or_else(|| task.run_again());
        let left = context.send_buffer.held();
        assert_eq!(left, held, "the connection was not woken to send");
    }
    if counters.read().connections_held_back > 0 || waits_for_window {
        for _ in 0..LONGEST_WAIT {
            clock::pass(Duration::from_secs(1));
            result = result.or_else(|| task.run());
        }
    }
    assert!(result.is_some(), "the connection outlives its client");
    drop(task);
    assert_eq!(context.send_buffer.held(), 0, "bytes of responses are held");
    socket.sent()
}

pub(super) fn info(backend: &'static str) -> Arc<ConnectionInfo> {
    Arc::new(ConnectionInfo {
        peer_addr: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 1))),
        proxy_addr: None,
        local_addr: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 2))),
        worker: 0,
        backend,
        negotiated: Default::default(),
    })
}

/// Far less than the default.
const SEND_BUFFER: usize = 50_000;

/// Bytes that a stream may queue at once, even if there is less room.
const LARGEST_PIECE: usize = 64 * 1024;

/// Seconds after which a throttled connection has read all that its client sent, or is closed, and a response that
/// cannot be sent is reset.
const LONGEST_WAIT: u32 = 60;

async fn answer(request: Request<Body>) -> Result<Response<Answer>, Infallible> {
    let (head, mut body) = request.into_parts();
    Ok(Response::new(match head.method {
        Method::GET => Answer::Bytes(100_000),
        Method::PUT => {
            let mut length = 0;
            while let Some(Ok(frame)) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
                length += frame.data_ref().map_or(0, Bytes::len);
            }
            Answer::Bytes(length)
        }
        Method::DELETE => Answer::Bytes(1),
        _ => Answer::Echo(body),
    }))
}

enum Answer {
    Echo(Body),
    Bytes(usize),
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match self.get_mut() {
            Self::Echo(body) => Pin::new(body).poll_frame(cx),
            Self::Bytes(left) => {
                let n = (*left).min(40_000);
                *left -= n;
                let frame = Frame::data(Bytes::from_static(&[b'x'; 40_000]).slice(..n));
                Poll::Ready((n > 0).then_some(Ok(frame)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Echo(body) => body.is_end_stream(),
            Self::Bytes(left) => *left == 0,
        }
    }
}
