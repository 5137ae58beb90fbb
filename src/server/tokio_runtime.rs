//! The tokio runtime that handlers use.

use std::sync::Arc;

cfg_if::cfg_if! {
    if #[cfg(feature = "tokio")] {
        use std::{
            future::pending,
            sync::atomic::{AtomicBool, Ordering},
        };

        use tokio::{
            runtime::{EnterGuard, Handle},
            task::AbortHandle,
        };

        /// The runtime whose context the workers have entered.
        pub(super) struct TokioRuntime {
            handle: Handle,
            released: Arc<AtomicBool>,
            watch: AbortHandle,
        }

        impl TokioRuntime {
            pub(super) fn new(handle: Handle) -> Arc<Self> {
                let released = Arc::<AtomicBool>::default();
                let watch = Watch { released: Arc::clone(&released) };
                let watch = handle.spawn(async move {
                    let _watch = watch;
                    pending::<()>().await;
                });
                Arc::new(Self {
                    watch: watch.abort_handle(),
                    handle,
                    released,
                })
            }

            /// The runtime that the caller runs in.
            pub(super) fn of_caller() -> Option<Arc<Self>> {
                Handle::try_current().ok().map(Self::new)
            }

            pub(super) fn enter(&self) -> EnterGuard<'_> {
                self.handle.enter()
            }
        }

        impl Drop for TokioRuntime {
            fn drop(&mut self) {
                self.released.store(true, Ordering::Relaxed);
                self.watch.abort();
            }
        }

        /// A runtime that ends drops its tasks, and this with one of them.
        struct Watch {
            /// The server no longer needs the runtime.
            released: Arc<AtomicBool>,
        }

        impl Drop for Watch {
            fn drop(&mut self) {
                if !self.released.load(Ordering::Relaxed) {
                    tracing::error!(
                        "the tokio runtime of the handlers has ended before the server: requests \
                         that need it fail; keep it until Handle::stopped or Handle::wait returns"
                    );
                }
            }
        }
    } else {
        /// Without the feature there is none.
        pub(super) enum TokioRuntime {}

        impl TokioRuntime {
            pub(super) fn of_caller() -> Option<Arc<Self>> {
                None
            }

            pub(super) fn enter(&self) {
                match *self {}
            }
        }
    }
}
