//! Watches how a request's body arrives, and drains the part that the handler does not read.

use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::StatusCode;

use super::{source::Source, state::BodyState};
use crate::{
    config::Limits,
    time::{Deadline, MinRate, Timer},
};

/// How long the server drains an unread body: nginx' `lingering_time`.
const DRAIN: Duration = Duration::from_secs(30);

/// How long the server keeps draining while a peer that has its response sends nothing: nginx'
/// `lingering_timeout`.
const DRAIN_SILENCE: Duration = Duration::from_secs(5);

/// How long the end of a response waits for a request's body that is still being sent. With
/// [`HOLD_BYTES`] it is 100 Mbit/s; a client that watches for the end has to wait no longer.
const HOLD: Duration = Duration::from_secs(5);

/// How many bytes of it the server reads meanwhile. The end of a response to a larger upload, by its
/// `content-length`, does not wait, so that the client can save the rest.
const HOLD_BYTES: u64 = 64 << 20;

/// How long the client may send nothing meanwhile: a round trip of the slowest link, after which a
/// client that waited for window sends again.
const HOLD_SILENCE: Duration = Duration::from_secs(1);

/// The same if neither `content-length` nor data shows that the client sends a body at all, rather than
/// keeps its side open. The data of an upload follow its head at once.
const HOLD_WITHOUT_DATA: Duration = Duration::from_millis(50);

/// How large the bodies of a connection may be, and how long they may take.
pub(crate) struct BodyLimits {
    pub(super) max_size: Option<u64>,
    timer: Timer,
    time: Duration,
    min_rate: u32,
}

impl BodyLimits {
    pub(crate) fn new(max_size: Option<u64>, limits: &Limits, timer: Timer) -> Self {
        Self {
            max_size,
            timer,
            time: limits.body,
            min_rate: limits.min_rate,
        }
    }
}

/// A request from the body to the server while the handler runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyEvent {
    /// The handler has begun to read: the client may send the body (RFC 9110 section 10.1.1).
    WantsContinue,
    /// The handler has waited for the body for too long.
    TooSlow,
}

/// The server's end of a [`BodyState`]: it has a timer, while the body itself may be on any thread.
pub(crate) struct BodyMonitor {
    state: Arc<BodyState>,
    timer: Timer,
    /// Bytes of the body that `rate` has counted.
    seen: u64,
    /// `None` for a gRPC call.
    rate: Option<MinRate>,
    /// The unread rest of the body, while the server drains it.
    left: Option<Source>,
    drain: Deadline,
    /// Bytes that the server has drained.
    drained: u64,
    upload: Upload,
    /// The client sends the body only after `100 Continue`.
    waits_for_continue: bool,
    hold: Option<Box<Hold>>,
    /// Limits the silence of a peer that has its response.
    silence: MinRate,
}

/// What a request's head says about its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Upload {
    /// It has this length.
    Declared(u64),
    Unknown,
    /// The client may keep its side open for as long as it likes.
    Stream,
    /// The same, and it is a gRPC call, whose messages may be hours apart.
    Call,
}

/// The time limits of a response's end that waits.
struct Hold {
    timer: Timer,
    time: Deadline,
    silence: Deadline,
    /// Bytes of the body that had arrived when the silence began.
    arrived: u64,
}

impl Hold {
    fn new(timer: Timer, upload: Upload) -> Self {
        let silence = match upload {
            Upload::Declared(_) => HOLD_SILENCE,
            _ => HOLD_WITHOUT_DATA,
        };
        Self {
            timer,
            time: Deadline::new(timer, HOLD),
            silence: Deadline::new(timer, silence),
            arrived: 0,
        }
    }

    /// Ready when the end has waited for long enough.
    fn poll(&mut self, cx: &mut Context<'_>, arrived: u64) -> Poll<()> {
        if arrived > self.arrived {
            self.arrived = arrived;
            self.silence = Deadline::new(self.timer, HOLD_SILENCE);
        }
        match self.time.poll_waiting(cx) {
            Poll::Ready(()) => Poll::Ready(()),
            Poll::Pending => self.silence.poll_waiting(cx),
        }
    }
}

impl BodyMonitor {
    pub(super) fn new(
        state: Arc<BodyState>,
        limits: &BodyLimits,
        upload: Upload,
        waits_for_continue: bool,
    ) -> Self {
        let (timer, time, min_rate) = (limits.timer, limits.time, limits.min_rate);
        Self {
            state,
            timer,
            seen: 0,
            rate: (upload != Upload::Call).then(|| MinRate::new(timer, time, min_rate)),
            left: None,
            drain: Deadline::new(timer, DRAIN.min(time)),
            drained: 0,
            upload,
            waits_for_continue,
            hold: None,
            silence: MinRate::new(timer, DRAIN_SILENCE.min(time), min_rate),
        }
    }

    /// Whether the body exceeds the limit, by its declared length or by the data that has arrived.
    pub(crate) fn is_too_large(&self) -> bool {
        self.state.is_too_large()
    }

    /// Whether the request is a gRPC call, whose body has no time limit.
    pub(crate) fn is_grpc_call(&self) -> bool {
        self.upload == Upload::Call
    }

    /// Whether the client sends the body only after `100 Continue`, which it has not been sent.
    #[cfg(feature = "http1")]
    pub(crate) fn waits_for_continue(&self) -> bool {
        self.waits_for_continue
    }

    /// Records the status that the server sends in place of the handler's response.
    pub(crate) fn reject(&self, status: StatusCode) {
        self.state.reject(status);
    }

    /// No more data can arrive. A handler that waits for some gets an error.
    pub(crate) fn end_input(&self) {
        if !self.state.has_input_ended() {
            self.state.end_input();
        }
    }

    /// Whether the body has ended with an error because no more data can arrive.
    pub(crate) fn is_cut_off(&self) -> bool {
        self.state.is_cut_off()
    }

    /// Drains a body that the handler has dropped already. Call it while the handler runs, and
    /// again after [`BodyEvent::WantsContinue`].
    pub(crate) fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<BodyEvent> {
        self.state.register(cx.waker());
        if self.state.take_continue_wanted() {
            self.waits_for_continue = false;
            return Poll::Ready(BodyEvent::WantsContinue);
        }
        if self.poll_too_slow(cx).is_ready() {
            return Poll::Ready(BodyEvent::TooSlow);
        }
        let _ = self.poll_left(cx);
        Poll::Pending
    }

    /// Whether the response's end has to wait for [`poll_end`](Self::poll_end), because the client is
    /// still sending. Some clients that are told the end of the response first do not finish:
    /// curl 7.88 waits for window that it no longer notices.
    pub(crate) fn holds_end(&mut self) -> bool {
        if self.left.is_none() {
            self.left = self.state.take_left();
        }
        let is_complete =
            self.left.as_ref().is_some_and(Source::is_end_stream) || self.state.is_complete();
        if is_complete || self.waits_for_continue || self.state.has_input_ended() {
            return false;
        }
        match self.upload {
            Upload::Declared(length) => length.saturating_sub(self.arrived()) <= HOLD_BYTES,
            Upload::Unknown => true,
            Upload::Stream | Upload::Call => false,
        }
    }

    /// Drains the body. Ready when the response may end. Call it when the response's body and the
    /// handler are dropped.
    pub(crate) fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let held = self.poll_hold(cx);
        // Another task of the handler reads it.
        if self.left.is_none() {
            return Poll::Ready(());
        }
        held
    }

    /// The same while the response's body is sent, which may hold the request's body.
    pub(crate) fn poll_hold(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.state.register(cx.waker());
        if self.poll_left(cx).is_ready()
            || self.drained > HOLD_BYTES
            || self.state.has_input_ended()
        {
            return Poll::Ready(());
        }
        let arrived = self.arrived();
        let (timer, upload) = (self.timer, self.upload);
        let new = || Box::new(Hold::new(timer, upload));
        self.hold.get_or_insert_with(new).poll(cx, arrived)
    }

    /// Bytes of the body that were read, by the handler or here.
    fn arrived(&self) -> u64 {
        self.state.bytes_received() + self.drained
    }

    /// Drains a body that the handler has dropped. Call it while the response's body is sent.
    pub(crate) fn drain(&mut self, cx: &mut Context<'_>) {
        self.state.register(cx.waker());
        let _ = self.poll_left(cx);
    }

    /// Ready when the body is drained, or the peer has been silent for too long. Call it after the
    /// response, and drop the stream when it is ready: that resets the rest (`NO_ERROR`).
    pub(crate) fn poll_drained(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.state.register(cx.waker());
        if self.poll_left(cx).is_ready() {
            return Poll::Ready(());
        }
        self.silence.poll_waiting(cx)
    }

    fn poll_too_slow(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let received = self.state.bytes_received();
        let more = received.saturating_sub(self.seen);
        self.seen = received;
        let Some(rate) = &mut self.rate else {
            return Poll::Pending;
        };
        rate.moved(usize::try_from(more).unwrap_or(usize::MAX));
        if self.state.is_waiting() {
            return rate.poll_waiting(cx);
        }
        rate.pause();
        Poll::Pending
    }

    /// Reads the unread rest. Ready when nothing is left or the time limit has passed.
    ///
    /// Otherwise the server would reset the stream right after the response. Some clients that are
    /// still sending treat that as a failure (curl 7.88) or lose the response.
    fn poll_left(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let left = match &mut self.left {
            Some(left) => left,
            none => match self.state.take_left() {
                Some(left) => none.insert(left),
                None => return Poll::Pending,
            },
        };
        if !left.is_end_stream() && self.drain.poll_waiting(cx).is_pending() {
            loop {
                match left.poll_frame(cx) {
                    Poll::Ready(Some(Ok(frame))) => {
                        let data = frame.data_ref().map_or(0, |data| data.len());
                        self.silence.moved(data);
                        self.drained += data as u64;
                    }
                    Poll::Pending if !self.state.has_input_ended() => return Poll::Pending,
                    _ => break,
                }
            }
        }
        self.left = Some(Source::Empty);
        Poll::Ready(())
    }
}

impl Drop for BodyMonitor {
    fn drop(&mut self) {
        self.state.close();
    }
}
