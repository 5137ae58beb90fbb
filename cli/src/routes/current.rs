//! The routes that are used now, which a reload replaces.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

use super::table::Table;

/// The table for all workers. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct CurrentTable(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    table: Mutex<Arc<Table>>,
    /// Counts the tables, so that workers look at the mutex only after a change.
    version: AtomicUsize,
}

impl CurrentTable {
    pub(crate) fn new(table: Table) -> Self {
        Self(Arc::new(Shared {
            table: Mutex::new(Arc::new(table)),
            version: AtomicUsize::new(0),
        }))
    }

    /// For requests from now on. The same routes keep their connections to upstreams.
    pub(crate) fn replace(&self, table: Table) {
        let mut current = self.lock();
        if !current.is_same(&table) {
            *current = Arc::new(table);
            self.0.version.fetch_add(1, Ordering::Release);
        }
    }

    pub(super) fn version(&self) -> usize {
        self.0.version.load(Ordering::Acquire)
    }

    /// The table and its version.
    pub(super) fn load(&self) -> (Arc<Table>, usize) {
        let table = self.lock();
        (Arc::clone(&table), self.version())
    }

    fn lock(&self) -> MutexGuard<'_, Arc<Table>> {
        self.0.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
