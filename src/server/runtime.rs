//! The monoio runtime of a worker: io_uring with the best flags that the kernel accepts, or epoll.

use std::{fmt, future::Future, io, time::Instant};

use monoio::{LegacyDriver, RuntimeBuilder, time::TimeDriver};

use crate::{
    error::{Error, Kind},
    time::Timer,
};

/// The clock of monoio, for the layers that know no runtime.
pub(super) const TIMER: Timer = Timer {
    sleep: |duration| Box::pin(monoio::time::sleep(duration)),
    now: Instant::now,
};

/// Which driver of monoio the workers run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Driver {
    /// io_uring if the kernel allows it, otherwise epoll. The default.
    #[default]
    Auto,
    /// io_uring. If the kernel or the container refuses it, the start fails and the error says why.
    IoUring,
    /// epoll.
    Epoll,
}

/// Which driver a worker runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ActiveDriver {
    /// io_uring.
    IoUring,
    /// epoll, or the equivalent of the operating system.
    Epoll,
}

impl fmt::Display for ActiveDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::IoUring => "io_uring",
            Self::Epoll => "epoll",
        })
    }
}

pub(super) enum Runtime {
    #[cfg(target_os = "linux")]
    IoUring(monoio::Runtime<TimeDriver<monoio::IoUringDriver>>),
    Epoll(monoio::Runtime<TimeDriver<LegacyDriver>>),
}

impl Runtime {
    /// Builds the runtime of the calling thread.
    pub(super) fn new(driver: Driver) -> Result<Self, Error> {
        let refused = match driver {
            Driver::Epoll => None,
            Driver::Auto | Driver::IoUring => match io_uring() {
                Ok(runtime) => return Ok(runtime),
                Err(error) => Some(error),
            },
        };
        match (driver, refused) {
            (Driver::IoUring, Some(error)) => {
                return Err(Error::new(
                    Kind::Unsupported,
                    format!("io_uring cannot be used: {}", explain(&error)),
                )
                .with(error));
            }
            (_, Some(error)) => {
                tracing::info!(
                    why = explain(&error),
                    "io_uring cannot be used: running epoll"
                );
            }
            (_, None) => {}
        }
        RuntimeBuilder::<LegacyDriver>::new()
            .enable_timer()
            .build()
            .map(Self::Epoll)
            .map_err(|error| {
                Error::new(Kind::Worker, "the epoll runtime cannot be built").with(error)
            })
    }

    pub(super) fn driver(&self) -> ActiveDriver {
        match self {
            #[cfg(target_os = "linux")]
            Self::IoUring(_) => ActiveDriver::IoUring,
            Self::Epoll(_) => ActiveDriver::Epoll,
        }
    }

    pub(super) fn block_on<F: Future>(&mut self, future: F) -> F::Output {
        match self {
            #[cfg(target_os = "linux")]
            Self::IoUring(runtime) => runtime.block_on(future),
            Self::Epoll(runtime) => runtime.block_on(future),
        }
    }
}

cfg_if::cfg_if! {
    if #[cfg(target_os = "linux")] {
        /// The flags save an interrupt per completion, and locks that a ring of one thread does not
        /// need (Linux 6.1). Older kernels refuse the flags and get a ring without them.
        fn io_uring() -> io::Result<Runtime> {
            let mut tuned = io_uring::IoUring::builder();
            tuned.setup_coop_taskrun().setup_single_issuer().setup_defer_taskrun();
            let build = |ring| {
                RuntimeBuilder::<monoio::IoUringDriver>::new()
                    .uring_builder(ring)
                    .enable_timer()
                    .build()
            };
            build(tuned)
                .or_else(|_| build(io_uring::IoUring::builder()))
                .map(Runtime::IoUring)
        }

        /// Why io_uring cannot be used, and what to change.
        fn explain(error: &io::Error) -> String {
            // errno(3). The numbers are the same on all Linux architectures that Rust supports, but
            // ENOSYS differs on a few.
            const EPERM: i32 = 1;
            const ENOMEM: i32 = 12;
            const ENOSYS: i32 = 38;
            let disabled = std::fs::read_to_string("/proc/sys/kernel/io_uring_disabled");
            match (error.raw_os_error(), disabled.as_deref().map(str::trim)) {
                (Some(EPERM), Ok("2")) => {
                    "the kernel setting kernel.io_uring_disabled is 2: set it to 0 with `sysctl \
                     kernel.io_uring_disabled=0`".into()
                }
                (Some(EPERM), Ok("1")) => {
                    "the kernel setting kernel.io_uring_disabled is 1: only CAP_SYS_ADMIN and the \
                     group kernel.io_uring_group may use io_uring".into()
                }
                (Some(EPERM), _) => {
                    "a seccomp filter or a security module of this container or service forbids \
                     io_uring_setup".into()
                }
                (Some(ENOSYS), _) => {
                    "the kernel has no io_uring (Linux 5.6 or newer is needed), or a seccomp \
                     filter hides it".into()
                }
                (Some(ENOMEM), _) => {
                    "the limit on locked memory is too low: raise RLIMIT_MEMLOCK (`ulimit -l`)".into()
                }
                _ => error.to_string(),
            }
        }
    } else {
        fn io_uring() -> io::Result<Runtime> {
            Err(io::ErrorKind::Unsupported.into())
        }

        fn explain(_error: &io::Error) -> String {
            "only Linux has io_uring".into()
        }
    }
}
