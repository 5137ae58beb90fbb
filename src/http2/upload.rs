//! The body of a request, as whoever answers it has to look after it.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use futures_util::FutureExt;
use h2::{RecvStream, server::SendResponse};
use http::{
    Request, Response, StatusCode,
    header::{CONTENT_LENGTH, EXPECT},
};

use super::{
    arrival::{Arrival, Watch},
    body::Body,
    body_limit::{BodyLimit, TooLarge},
    context::ConnectionContext,
    send::Chunk,
};

/// What the service's end of the body tells, and how long it may take. Nothing for a request
/// without one.
#[derive(Default)]
pub(super) struct Upload {
    on_body_polled: Option<futures_channel::oneshot::Receiver<()>>,
    watch: Option<Box<Watch>>,
    too_large: Option<TooLarge>,
}

impl Upload {
    /// Gives the request its body.
    pub(super) fn begin(
        request: Request<RecvStream>,
        context: &ConnectionContext,
    ) -> (Request<Body>, Self) {
        let (head, recv) = request.into_parts();
        if recv.is_end_stream() {
            let body = Body::new(recv, None, None, None, None, Arc::clone(&context.info));
            return (Request::from_parts(head, body), Self::default());
        }
        let content_length = head
            .headers
            .get(CONTENT_LENGTH)
            .and_then(|value| value.to_str().ok()?.parse().ok());
        let expects_continue = head
            .headers
            .get(EXPECT)
            .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"));
        let (sender, on_body_polled) = expects_continue
            .then(futures_channel::oneshot::channel)
            .unzip();
        let (limit, too_large) = context
            .max_body_size
            .map(|limit| BodyLimit::new(limit, content_length))
            .unzip();
        let arrival = Arrival::default();
        let watch = Box::new(Watch::new(arrival.clone(), context));
        let body = Body::new(
            recv,
            content_length,
            sender,
            Some(arrival),
            limit,
            Arc::clone(&context.info),
        );
        let upload = Self {
            on_body_polled,
            watch: Some(watch),
            too_large,
        };
        (Request::from_parts(head, body), upload)
    }

    pub(super) fn is_too_large(&self) -> bool {
        self.too_large.as_ref().is_some_and(TooLarge::is)
    }

    /// Ready once the body has kept its handler waiting for too long.
    pub(super) fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.watch {
            Some(watch) => watch.poll_late(cx),
            None => Poll::Pending,
        }
    }

    /// What the server answers in place of the handler.
    pub(super) fn refuse(&self, status: StatusCode) {
        if let Some(watch) = &self.watch {
            watch.refuse(status);
        }
    }

    /// Reads what the handler has left unread, while the response is made.
    pub(super) fn discard(&mut self, cx: &mut Context<'_>) {
        if let Some(watch) = &mut self.watch {
            let _ = watch.poll_discard(cx);
        }
    }

    /// The same behind the response; ready when all is read, or the peer has had its time.
    pub(super) fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.watch {
            Some(watch) => watch.poll_rest(cx),
            None => Poll::Ready(()),
        }
    }

    /// Tells whoever waits for `100 Continue` to go on, once the body is polled (RFC 9110 section
    /// 10.1.1).
    pub(super) fn poll_go_on(
        &mut self,
        respond: &mut SendResponse<Chunk>,
        cx: &mut Context<'_>,
    ) -> Result<(), h2::Error> {
        if let Some(polled) = &mut self.on_body_polled
            && let Poll::Ready(polled) = polled.poll_unpin(cx)
        {
            self.on_body_polled = None;
            let mut go_on = Response::new(());
            *go_on.status_mut() = StatusCode::CONTINUE;
            if polled.is_ok() {
                respond.send_informational(go_on)?;
            }
        }
        Ok(())
    }
}
