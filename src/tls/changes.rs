//! Functions of the user that change the configuration of a TLS library.

use std::{fmt, sync::Arc};

/// The functions, in the order in which they are called.
pub(super) struct Changes<F: ?Sized>(Vec<Arc<F>>);

impl<F: ?Sized> Changes<F> {
    pub(super) fn push(&mut self, change: Arc<F>) {
        self.0.push(change);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &F> {
        self.0.iter().map(|change| &**change)
    }
}

impl<F: ?Sized> Clone for Changes<F> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<F: ?Sized> Default for Changes<F> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<F: ?Sized> fmt::Debug for Changes<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} functions", self.0.len())
    }
}
