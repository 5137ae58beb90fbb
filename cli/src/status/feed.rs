//! The events of one worker's viewers: one per second, made once for all of them.

use std::{cell::RefCell, rc::Rc, sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::sync::watch;

use super::snapshot::{Snapshot, Source};

const INTERVAL: Duration = Duration::from_secs(1);

/// Viewers of one worker at once: 256. Sending an event to all of them takes a few milliseconds.
const VIEWERS: usize = 256;

/// Makes one event per second while there are viewers. A slow viewer skips events and delays no
/// other.
pub(super) struct Feed {
    source: Arc<Source>,
    /// `Some` while events are made.
    sender: RefCell<Option<watch::Sender<Bytes>>>,
}

impl Feed {
    pub(super) fn new(source: Arc<Source>) -> Self {
        Self {
            source,
            sender: RefCell::default(),
        }
    }

    pub(super) fn snapshot(&self) -> Option<Snapshot> {
        self.source.snapshot()
    }

    /// The newest event, and the following ones until the server shuts down. `None` when it shuts
    /// down, or has too many viewers.
    pub(super) fn watch(self: &Rc<Self>) -> Option<watch::Receiver<Bytes>> {
        let mut sender = self.sender.borrow_mut();
        let mut receiver = match &*sender {
            Some(sender) if sender.receiver_count() >= VIEWERS => return None,
            Some(sender) => sender.subscribe(),
            None => {
                let (first, receiver) = watch::channel(self.event()?);
                *sender = Some(first);
                monoio::spawn(Rc::clone(self).tick());
                receiver
            }
        };
        receiver.mark_changed();
        Some(receiver)
    }

    async fn tick(self: Rc<Self>) {
        loop {
            monoio::time::sleep(INTERVAL).await;
            if !self.send() {
                break;
            }
        }
        *self.sender.borrow_mut() = None;
    }

    /// Returns whether to go on.
    fn send(&self) -> bool {
        match (&*self.sender.borrow(), self.event()) {
            (Some(viewers), Some(event)) if viewers.receiver_count() > 0 => {
                viewers.send_replace(event);
                true
            }
            _ => false,
        }
    }

    /// In the format of server-sent events (HTML standard, section 9.2.5).
    fn event(&self) -> Option<Bytes> {
        let snapshot = self.source.snapshot()?;
        let json = serde_json::to_string(&snapshot).ok()?;
        Some(format!("data: {json}\n\n").into())
    }
}
