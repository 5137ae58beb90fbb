//! The state of the engine, which the connection and its requests share.

use std::{
    cell::RefCell,
    rc::Rc,
    sync::Arc,
    task::{Context, Waker},
};

use bytes::Buf;
use corelane_http2::{Connection, StreamId};

use super::{
    error::EngineError,
    inbox::{Inbox, Returns},
    input::InputBuffer,
};

pub(super) type Handle<D> = Rc<RefCell<Shared<D>>>;

/// `D` holds the data of response bodies until it is sent.
pub(super) struct Shared<D> {
    pub(super) engine: Connection,
    /// By [`StreamId::slot`].
    slots: Vec<Option<Slot<D>>>,
    /// The task of the connection.
    task: Option<Waker>,
    /// It was woken and has not been polled since.
    notified: bool,
    /// For the readers of requests' bodies. `None` until a request has one.
    returns: Option<Arc<Returns>>,
    pub(super) keep_alive_answered: bool,
}

/// One stream.
struct Slot<D> {
    id: StreamId,
    /// Waits for window, for a reset or for the end of the connection.
    task: Option<Waker>,
    /// The data that the engine holds, for its count in the send buffer: dropped when it was sent.
    queued: Option<D>,
    /// Wakes `task` when the data was sent.
    wakes_when_sent: bool,
    inbox: Option<Arc<Inbox>>,
    /// The response is done, and its handler too.
    sender_gone: bool,
}

/// Streams of which an idle connection keeps the memory.
const KEPT_SLOTS: usize = 4;

impl<D: Buf> Shared<D> {
    pub(super) fn new(engine: Connection) -> Self {
        Self {
            engine,
            slots: Vec::new(),
            task: None,
            notified: false,
            returns: None,
            keep_alive_answered: false,
        }
    }

    /// A poll of the connection begins: from now on commands wake its task.
    pub(super) fn begin_poll(&mut self, cx: &Context<'_>) {
        self.notified = false;
        if !self
            .task
            .as_ref()
            .is_some_and(|task| task.will_wake(cx.waker()))
        {
            self.task = Some(cx.waker().clone());
            if let Some(returns) = &self.returns {
                returns.set_waker(cx.waker());
            }
        }
    }

    /// A command was given: the connection has to be polled.
    pub(super) fn notify(&mut self) {
        if !std::mem::replace(&mut self.notified, true)
            && let Some(task) = &self.task
        {
            task.wake_by_ref();
        }
    }

    /// A request has arrived. Returns the queue of its body, if it has one.
    pub(super) fn open(&mut self, id: StreamId, has_body: bool) -> Option<Arc<Inbox>> {
        let inbox = has_body.then(|| Inbox::new(id, self.returns()));
        let slot = id.slot();
        if self.slots.len() <= slot {
            self.slots.resize_with(slot + 1, || None);
        }
        self.slots[slot] = Some(Slot {
            id,
            task: None,
            queued: None,
            wakes_when_sent: false,
            inbox: inbox.clone(),
            sender_gone: false,
        });
        inbox
    }

    fn returns(&mut self) -> &Arc<Returns> {
        let task = &self.task;
        self.returns.get_or_insert_with(|| {
            let returns = Arc::<Returns>::default();
            if let Some(task) = task {
                returns.set_waker(task);
            }
            returns
        })
    }

    fn slot(&mut self, id: StreamId) -> Option<&mut Slot<D>> {
        let slot = self.slots.get_mut(id.slot())?.as_mut();
        slot.filter(|slot| slot.id == id)
    }

    pub(super) fn inbox(&mut self, id: StreamId) -> Option<&Arc<Inbox>> {
        self.slot(id)?.inbox.as_ref()
    }

    /// Data of a request has arrived.
    pub(super) fn data(
        &mut self,
        id: StreamId,
        data: &[u8],
        end: bool,
        buffer: &mut InputBuffer<'_>,
    ) {
        let inbox = self.inbox(id);
        let is_kept = inbox.is_some_and(|inbox| inbox.push(data, end, buffer));
        if !is_kept {
            self.engine.release_capacity(id, data.len());
        }
    }

    /// Gives back what readers have taken.
    pub(super) fn take_returns(&mut self) {
        let Some(returns) = &self.returns else {
            return;
        };
        for it in returns.take() {
            self.engine.release_capacity(it.stream, it.bytes);
            if it.gone && self.slot(it.stream).is_some_and(|slot| slot.sender_gone) {
                self.abandon(it.stream);
            }
        }
    }

    /// Registers the task of a request, which waits for something of its stream.
    pub(super) fn wait(&mut self, id: StreamId, cx: &Context<'_>) {
        if let Some(slot) = self.slot(id) {
            match &mut slot.task {
                Some(task) => task.clone_from(cx.waker()),
                none => *none = Some(cx.waker().clone()),
            }
        }
    }

    /// Keeps `data`, whose bytes are queued, until they are sent.
    pub(super) fn keep(&mut self, id: StreamId, data: D) {
        if let Some(slot) = self.slot(id) {
            slot.queued.get_or_insert(data);
        }
    }

    /// Data was transmitted: drops what counts for it.
    pub(super) fn drop_sent(&mut self) {
        while let Some(id) = self.engine.poll_sent() {
            if let Some(slot) = self.slot(id) {
                slot.queued = None;
                if std::mem::take(&mut slot.wakes_when_sent)
                    && let Some(task) = &slot.task
                {
                    task.wake_by_ref();
                }
            }
        }
    }

    /// Whether the stream has data that the windows let go and that waits to be transmitted. Its task is woken when it is sent.
    pub(super) fn waits_for_transport(&mut self, id: StreamId) -> bool {
        let waits = self.engine.is_sendable(id);
        if let Some(slot) = self.slot(id) {
            slot.wakes_when_sent = waits;
        }
        waits
    }

    /// The client has changed its settings: what had window may have none now.
    pub(super) fn windows_changed(&mut self) {
        for slot in self.slots.iter_mut().flatten() {
            if std::mem::take(&mut slot.wakes_when_sent)
                && let Some(task) = &slot.task
            {
                task.wake_by_ref();
            }
        }
    }

    /// Wakes streams that wait for window, as many as can use it.
    pub(super) fn wake_for_capacity(&mut self) {
        let mut left = self.engine.connection_capacity();
        while left > 0
            && let Some(id) = self.engine.poll_capacity()
        {
            left = left.saturating_sub(self.engine.capacity(id));
            if let Some(slot) = self.slot(id)
                && let Some(task) = &slot.task
            {
                task.wake_by_ref();
            }
        }
    }

    /// The stream was reset.
    pub(super) fn reset(&mut self, id: StreamId, error: EngineError) {
        if self.slot(id).is_some()
            && let Some(slot) = self.slots[id.slot()].take()
        {
            slot.fail(error);
        }
    }

    /// The connection has ended.
    pub(super) fn fail(&mut self, error: &EngineError) {
        for slot in std::mem::take(&mut self.slots).into_iter().flatten() {
            slot.fail(error.clone());
        }
    }

    /// The request is done. Unless something else reads its body, so is the stream.
    pub(super) fn sender_gone(&mut self, id: StreamId) {
        let Some(slot) = self.slot(id) else {
            return;
        };
        slot.task = None;
        slot.sender_gone = true;
        let is_read = slot.inbox.as_ref().is_some_and(|it| !it.is_reader_gone());
        if !is_read && self.engine.is_open(id) {
            self.abandon(id);
            self.notify();
        }
    }

    fn abandon(&mut self, id: StreamId) {
        self.engine.abandon(id);
        if !self.engine.is_open(id) && self.slot(id).is_some() {
            self.slots[id.slot()] = None;
        }
    }

    /// Frees the memory of a burst, if no stream is open.
    pub(super) fn shrink(&mut self) {
        if self.engine.open_streams() == 0 {
            if self.slots.len() > KEPT_SLOTS {
                self.slots = Vec::new();
            }
            self.engine.shrink();
        }
    }
}

impl<D> Slot<D> {
    fn fail(self, error: EngineError) {
        if let Some(inbox) = self.inbox {
            inbox.fail(error);
        }
        if let Some(task) = self.task {
            task.wake();
        }
    }
}
