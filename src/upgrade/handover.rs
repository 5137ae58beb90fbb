//! Makes hyper's `OnUpgrade`, which only a connection of hyper can make.

use std::{
    cell::{Cell, RefCell},
    convert::Infallible,
    future::Future,
    io::{self, IoSlice},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
};

use http::{HeaderValue, Request, Response, StatusCode, header};
use hyper::{
    body::Incoming,
    server::conn::http1::{self, UpgradeableConnection},
    service::Service,
    upgrade::OnUpgrade,
};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::stream::Upgraded;

/// A connection of hyper that waits to hand its stream over.
pub(super) struct Handover {
    engine: Pin<Box<UpgradeableConnection<TokioIo<Stage>, Switch>>>,
    switch: Switch,
}

impl Handover {
    /// The `OnUpgrade` yields the stream when it is [`complete`](Self::complete)d, and fails if this is
    /// dropped before. `None` if hyper makes none.
    pub(super) fn new(stream: Upgraded) -> Option<(OnUpgrade, Self)> {
        let switch = Switch::default();
        let stage = Stage {
            phase: Phase::Request(REQUEST),
            stream,
        };
        let engine = http1::Builder::new().serve_connection(TokioIo::new(stage), switch.clone());
        let mut handover = Self {
            engine: Box::pin(engine.with_upgrades()),
            switch,
        };
        let _ = handover.poll();
        let on_upgrade = handover.switch.0.on_upgrade.take()?;
        Some((on_upgrade, handover))
    }

    /// Gives the stream to the `OnUpgrade`, and drops it if the handler has dropped that.
    pub(super) fn complete(mut self) {
        self.switch.0.accepted.set(true);
        // All of it is in memory: the first call writes the response, and then has nothing to wait for.
        let _ = self.poll();
    }

    fn poll(&mut self) -> Poll<hyper::Result<()>> {
        self.engine
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
    }

    /// The stream that an `OnUpgrade` has yielded, if it is one of these.
    pub(super) fn stream(upgraded: hyper::upgrade::Upgraded) -> Option<Upgraded> {
        let parts = upgraded.downcast::<TokioIo<Stage>>().ok()?;
        // The stream had no data while hyper could read from it, so `read_buf` is empty.
        Some(parts.io.into_inner().stream)
    }
}

/// What asks hyper for an upgrade. The real request may be of another version.
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n";

/// Takes hyper's request, and answers it when the real one is accepted.
#[derive(Clone, Default)]
struct Switch(Rc<SwitchState>);

#[derive(Default)]
struct SwitchState {
    on_upgrade: RefCell<Option<OnUpgrade>>,
    accepted: Cell<bool>,
}

impl Service<Request<Incoming>> for Switch {
    type Response = Response<String>;
    type Error = Infallible;
    type Future = Self;

    fn call(&self, mut request: Request<Incoming>) -> Self {
        *self.0.on_upgrade.borrow_mut() = request.extensions_mut().remove();
        self.clone()
    }
}

impl Future for Switch {
    type Output = Result<Response<String>, Infallible>;

    fn poll(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Self::Output> {
        if !self.0.accepted.get() {
            // `complete` polls it again.
            return Poll::Pending;
        }
        let mut response = Response::new(String::new());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("x"));
        Poll::Ready(Ok(response))
    }
}

/// The stream under hyper's connection: plays the client, then it is the upgraded stream.
struct Stage {
    phase: Phase,
    stream: Upgraded,
}

enum Phase {
    /// This much of the request is left to be read.
    Request(&'static [u8]),
    /// hyper writes its response, which is swallowed.
    Response,
    Upgraded,
}

impl AsyncRead for Stage {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Phase::Request(rest) = &mut self.phase
            && !rest.is_empty()
        {
            let (now, later) = rest.split_at(rest.len().min(buf.remaining()));
            buf.put_slice(now);
            *rest = later;
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Stage {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if let Phase::Upgraded = self.phase {
            return Pin::new(&mut self.stream).poll_write(cx, buf);
        }
        self.phase = Phase::Response;
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let Phase::Upgraded = self.phase {
            return Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        }
        self.phase = Phase::Response;
        Poll::Ready(Ok(bufs.iter().map(|buf| buf.len()).sum()))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// hyper flushes when all of its response is written.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.phase {
            Phase::Request(_) => Poll::Ready(Ok(())),
            Phase::Response => {
                self.phase = Phase::Upgraded;
                Poll::Ready(Ok(()))
            }
            Phase::Upgraded => Pin::new(&mut self.stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use super::{super::stream::Unjoined, *};
    use crate::counters::Counters;

    fn poll<F: Future>(future: F) -> Poll<F::Output> {
        pin!(future).poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn stream_is_handed_over_to_who_waits() {
        let (upgraded, unjoined) = Unjoined::new();
        let (mut on_upgrade, handover) = Handover::new(upgraded).expect("made by hyper");
        assert!(poll(&mut on_upgrade).is_pending());
        let tunnel = unjoined.join(|| handover.complete(), Default::default());
        let mut tunnel = tunnel.expect("it is wanted");
        let Poll::Ready(Ok(upgraded)) = poll(&mut on_upgrade) else {
            panic!("it is handed over");
        };
        let mut upgraded = Handover::stream(upgraded).expect("one of these");
        let cx = &mut Context::from_waker(Waker::noop());
        assert_eq!(tunnel.poll_input(cx, b"input"), Poll::Ready(5));
        let mut buf = [0; 8];
        let mut buf = ReadBuf::new(&mut buf);
        assert!(Pin::new(&mut upgraded).poll_read(cx, &mut buf).is_ready());
        assert_eq!(buf.filled(), b"input");
        buf.clear();
        // hyper's request and response are not among it.
        assert!(tunnel.poll_output(cx, &mut buf).is_pending());
    }

    #[test]
    fn stream_that_nobody_waits_for_is_not_joined() {
        let (upgraded, unjoined) = Unjoined::new();
        let (on_upgrade, handover) = Handover::new(upgraded).expect("made by hyper");
        drop(on_upgrade);
        let counters = std::sync::Arc::<Counters>::default();
        let tunnel = unjoined.join(|| handover.complete(), std::sync::Arc::clone(&counters));
        assert!(tunnel.is_none());
        assert_eq!(counters.read().upgrades, 0);
    }

    #[test]
    fn handover_that_is_dropped_is_an_error() {
        let (upgraded, _unjoined) = Unjoined::new();
        let (on_upgrade, handover) = Handover::new(upgraded).expect("made by hyper");
        drop(handover);
        assert!(matches!(poll(on_upgrade), Poll::Ready(Err(_))));
    }
}
