//! The options of new connections, which can be replaced while the server runs.

use std::{cell::RefCell, num::NonZeroUsize, rc::Rc, sync::Arc};

use arc_swap::{ArcSwap, Guard};

use super::connection_options::ConnectionOptions;

/// The options of a server that a reload can change.
#[derive(Clone)]
pub(super) struct ServerOptions {
    pub(super) limits: WorkerLimits,
    pub(super) connection: ConnectionOptions,
}

/// How many connections and handshakes one worker has at once.
#[derive(Clone, Copy)]
pub(super) struct WorkerLimits {
    pub(super) connections: NonZeroUsize,
    pub(super) handshakes: NonZeroUsize,
}

/// The options that all workers share.
pub(super) struct CurrentOptions(ArcSwap<ServerOptions>);

impl CurrentOptions {
    pub(super) fn new(options: ServerOptions) -> Self {
        Self(ArcSwap::from_pointee(options))
    }

    pub(super) fn load(&self) -> Arc<ServerOptions> {
        self.0.load_full()
    }

    pub(super) fn replace(&self, options: ServerOptions) {
        self.0.store(Arc::new(options));
    }
}

/// The options as one worker has read them. The worker copies them when they change: its connections
/// then share a reference count with no other worker.
pub(super) struct WorkerOptions {
    source: Arc<CurrentOptions>,
    read: RefCell<Read>,
}

struct Read {
    options: Arc<ServerOptions>,
    connection: Rc<ConnectionOptions>,
}

impl WorkerOptions {
    pub(super) fn new(source: Arc<CurrentOptions>) -> Self {
        let read = RefCell::new(Read::new(source.load()));
        Self { source, read }
    }

    pub(super) fn limits(&self) -> WorkerLimits {
        self.read.borrow().options.limits
    }

    pub(super) fn connection(&self) -> Rc<ConnectionOptions> {
        Rc::clone(&self.read.borrow().connection)
    }

    /// Reads the options again if they were replaced. Returns whether they were.
    pub(super) fn refresh(&self) -> bool {
        let current = self.source.0.load();
        let mut read = self.read.borrow_mut();
        let replaced = !Arc::ptr_eq(&current, &read.options);
        if replaced {
            *read = Read::new(Guard::into_inner(current));
        }
        replaced
    }
}

impl Read {
    fn new(options: Arc<ServerOptions>) -> Self {
        Self {
            connection: Rc::new(options.connection.clone()),
            options,
        }
    }
}
