//! The queue of a request's body, between the connection and the handler, which may read it on another thread.

use std::{
    collections::VecDeque,
    mem,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{
            AtomicBool,
            Ordering::{Acquire, Release},
        },
    },
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use corelane_http2::StreamId;
use http::HeaderMap;
use http_body::Frame;

use super::{error::EngineError, input::InputBuffer};

/// The body of one request. The windows bound its data: the handler gives back what it takes.
pub(super) struct Inbox {
    stream: StreamId,
    returns: Arc<Returns>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    data: VecDeque<Bytes>,
    /// Short data behind `data`, put together: a client that sends single bytes causes no more memory than one
    /// that does not.
    short: Vec<u8>,
    end: Option<End>,
    reader: Option<Waker>,
    reader_gone: bool,
}

enum End {
    Complete,
    Trailers(Box<HeaderMap>),
    Failed(EngineError),
}

/// Bytes. Shorter pieces are put together.
const SHORT: usize = 4 * 1024;

impl Inbox {
    pub(super) fn new(stream: StreamId, returns: &Arc<Returns>) -> Arc<Self> {
        Arc::new(Self {
            stream,
            returns: Arc::clone(returns),
            state: Mutex::default(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // Called by the connection.

    /// `end` says that nothing follows. Returns whether the reader gets the data; otherwise the caller gives it
    /// back.
    pub(super) fn push(&self, data: &[u8], end: bool, buffer: &mut InputBuffer<'_>) -> bool {
        let mut state = self.state();
        if end && state.end.is_none() {
            state.end = Some(End::Complete);
        }
        if state.reader_gone {
            return false;
        }
        if data.len() >= SHORT {
            state.complete_short();
            state.data.push_back(buffer.keep(data));
        } else {
            state.short.extend_from_slice(data);
            if state.short.len() >= SHORT {
                state.complete_short();
            }
        }
        wake(state);
        true
    }

    pub(super) fn trailers(&self, trailers: HeaderMap) {
        self.end(End::Trailers(Box::new(trailers)));
    }

    /// The rest of the body does not come, if there is one.
    pub(super) fn fail(&self, error: EngineError) {
        self.end(End::Failed(error));
    }

    fn end(&self, end: End) {
        let mut state = self.state();
        if state.end.is_none() {
            state.end = Some(end);
            wake(state);
        }
    }

    pub(super) fn is_reader_gone(&self) -> bool {
        self.state().reader_gone
    }

    // Called by the reader.

    pub(super) fn is_end_stream(&self) -> bool {
        let state = self.state();
        state.is_empty() && matches!(state.end, Some(End::Complete))
    }

    pub(super) fn poll_frame(
        &self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, EngineError>>> {
        let mut state = self.state();
        if state.data.is_empty() {
            state.complete_short();
        }
        if let Some(data) = state.data.pop_front() {
            drop(state);
            self.returns.add(self.stream, data.len(), false);
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        let Some(end) = state.end.take() else {
            match &mut state.reader {
                Some(reader) => reader.clone_from(cx.waker()),
                none => *none = Some(cx.waker().clone()),
            }
            return Poll::Pending;
        };
        let (frame, end) = match end {
            End::Complete => (None, End::Complete),
            End::Trailers(trailers) => (Some(Ok(Frame::trailers(*trailers))), End::Complete),
            End::Failed(error) => (Some(Err(error.clone())), End::Failed(error)),
        };
        state.end = Some(end);
        Poll::Ready(frame)
    }

    /// Nothing more is read.
    pub(super) fn leave(&self) {
        let mut state = self.state();
        state.reader_gone = true;
        let (data, short) = (mem::take(&mut state.data), mem::take(&mut state.short));
        state.reader = None;
        drop(state);
        let unread = data.iter().map(Bytes::len).sum::<usize>() + short.len();
        self.returns.add(self.stream, unread, true);
    }
}

impl State {
    fn is_empty(&self) -> bool {
        self.data.is_empty() && self.short.is_empty()
    }

    fn complete_short(&mut self) {
        if !self.short.is_empty() {
            let short = Bytes::from(mem::take(&mut self.short));
            self.data.push_back(short);
        }
    }
}

fn wake(mut state: MutexGuard<'_, State>) {
    let reader = state.reader.take();
    drop(state);
    if let Some(reader) = reader {
        reader.wake();
    }
}

/// What the readers of a connection have taken, on its way back to the windows.
#[derive(Default)]
pub(super) struct Returns {
    any: AtomicBool,
    list: Mutex<List>,
}

#[derive(Default)]
struct List {
    returns: Vec<Return>,
    connection: Option<Waker>,
}

pub(super) struct Return {
    pub(super) stream: StreamId,
    pub(super) bytes: usize,
    /// The reader is gone.
    pub(super) gone: bool,
}

impl Returns {
    fn list(&self) -> MutexGuard<'_, List> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, stream: StreamId, bytes: usize, gone: bool) {
        let mut list = self.list();
        match list.returns.last_mut() {
            Some(last) if last.stream == stream => {
                last.bytes += bytes;
                last.gone |= gone;
            }
            _ => list.returns.push(Return {
                stream,
                bytes,
                gone,
            }),
        }
        // What waits already has woken the connection.
        let is_first = !self.any.swap(true, Release);
        if is_first && let Some(connection) = &list.connection {
            connection.wake_by_ref();
        }
    }

    /// Sets the task that takes the returns.
    pub(super) fn set_waker(&self, waker: &Waker) {
        self.list().connection = Some(waker.clone());
    }

    pub(super) fn take(&self) -> Vec<Return> {
        if !self.any.load(Acquire) {
            return Vec::new();
        }
        let mut list = self.list();
        self.any.store(false, Release);
        mem::take(&mut list.returns)
    }
}
