//! The io_uring runtime of a worker: with the best flags that the kernel accepts, and proved by real
//! operations before the worker is announced. monoio ignores the errors of `io_uring_enter`, so a
//! worker whose ring does not work would spin and serve no client.

use std::io;

/// Why a worker cannot use io_uring.
#[derive(Debug)]
pub(super) struct Refusal {
    /// The reason, and what to change.
    pub(super) why: String,
    /// The host forbids io_uring as a whole, as containers do by default. Anything else is a fault.
    pub(super) by_policy: bool,
    pub(super) error: io::Error,
}

cfg_if::cfg_if! {
    if #[cfg(target_os = "linux")] {
        use std::{pin::pin, time::Duration};

        use futures_util::future::{Either, join, select};
        use ::io_uring::{
            IoUring,
            types::{SubmitArgs, Timespec},
        };
        use monoio::{
            RuntimeBuilder,
            io::{AsyncReadRent, AsyncWriteRentExt},
            net::UnixStream,
            time::TimeDriver,
        };
        use nix::errno::Errno;
        use rlimit::Resource;

        pub(super) type RingRuntime = monoio::Runtime<TimeDriver<monoio::IoUringDriver>>;

        /// What the kernel counts as locked memory for a ring of monoio, KiB: 1,024 entries.
        const RING: u64 = 112;

        /// How long the operations may take that prove a ring: 10 s, for a host that is overloaded.
        const PROOF: Duration = Duration::from_secs(10);

        /// Builds the runtime of the calling thread.
        pub(super) fn build() -> Result<RingRuntime, Refusal> {
            // The flags save an interrupt per completion, and locks that a ring of one thread does
            // not need (Linux 6.1). Older kernels refuse the flags and get a ring without them.
            let mut tuned = IoUring::builder();
            tuned.setup_coop_taskrun().setup_single_issuer().setup_defer_taskrun();
            let build = |ring| {
                RuntimeBuilder::<monoio::IoUringDriver>::new()
                    .uring_builder(ring)
                    .enable_timer()
                    .build()
            };
            let built = build(tuned).or_else(|_| build(IoUring::builder()));
            let mut runtime = built.map_err(refused_setup)?;
            enter()?;
            match runtime.block_on(exchange()) {
                Ok(()) => Ok(runtime),
                Err(error) => Err(Refusal {
                    why: format!("the kernel fails an operation that the server needs: {error}"),
                    by_policy: false,
                    error,
                }),
            }
        }

        /// Waits for nothing on another, small ring: monoio does not show the error of
        /// `io_uring_enter`.
        fn enter() -> Result<(), Refusal> {
            // Without memory for it, or without a wait that ends (Linux 5.11), the exchange has to do.
            let ring = match IoUring::new(2) {
                Ok(ring) if ring.params().is_feature_ext_arg() => ring,
                _ => return Ok(()),
            };
            let now = Timespec::new();
            let waited = ring.submitter().submit_with_args(1, &SubmitArgs::new().timespec(&now));
            match waited {
                Err(error) if error.raw_os_error() != Some(Errno::ETIME as i32) => Err(Refusal {
                    why: "io_uring_setup is allowed but io_uring_enter fails, mostly because of a seccomp \
                          filter or a security module: allow io_uring_setup, io_uring_enter and \
                          io_uring_register, or none of them"
                        .into(),
                    by_policy: false,
                    error,
                }),
                _ => Ok(()),
            }
        }

        /// The operations of a server: it waits for readiness, receives, sends and closes.
        async fn exchange() -> io::Result<()> {
            let exchange = async {
                let (mut one, mut other) = UnixStream::pair()?;
                let ((received, _), (sent, _)) =
                    join(one.read(vec![0; 1]), other.write_all(vec![1])).await;
                received?;
                sent?;
                let (ready, (sent, _)) = join(one.readable(false), other.write_all(vec![1])).await;
                ready?;
                sent?;
                Ok(())
            };
            let deadline = pin!(monoio::time::sleep(PROOF));
            match select(pin!(exchange), deadline).await {
                Either::Left((exchanged, _)) => exchanged,
                Either::Right(_) => Err(io::ErrorKind::TimedOut.into()),
            }
        }

        fn refused_setup(error: io::Error) -> Refusal {
            let errno = error.raw_os_error().map(Errno::from_raw);
            let disabled = std::fs::read_to_string("/proc/sys/kernel/io_uring_disabled");
            let why = match (errno, disabled.as_deref().map(str::trim)) {
                (Some(Errno::EPERM), Ok("2")) => {
                    "the kernel setting kernel.io_uring_disabled is 2: set it to 0 with `sysctl \
                     kernel.io_uring_disabled=0`".into()
                }
                (Some(Errno::EPERM), Ok("1")) => {
                    "the kernel setting kernel.io_uring_disabled is 1: only CAP_SYS_ADMIN and the \
                     group kernel.io_uring_group may use io_uring".into()
                }
                (Some(Errno::EPERM | Errno::EACCES), _) => {
                    "a seccomp filter or a security module of this container or service forbids \
                     io_uring_setup".into()
                }
                (Some(Errno::ENOSYS), _) => {
                    "the kernel has no io_uring (Linux 5.6 or newer is needed), or a seccomp \
                     filter hides it".into()
                }
                (Some(Errno::ENOMEM), _) => too_little_memory(),
                (Some(Errno::EMFILE), _) => {
                    format!("too many open files: {}", super::descriptors::ADVICE)
                }
                _ => error.to_string(),
            };
            let by_policy =
                matches!(errno, Some(Errno::EPERM | Errno::EACCES | Errno::ENOSYS));
            Refusal { why, by_policy, error }
        }

        fn too_little_memory() -> String {
            let limit = match Resource::MEMLOCK.get_soft() {
                Ok(rlimit::INFINITY) => {
                    return "the kernel has no memory left for it, or the memory limit of this \
                            container is reached".into();
                }
                Ok(bytes) => format!(" ({} KiB)", bytes / 1024),
                Err(_) => String::new(),
            };
            format!(
                "the limit on locked memory{limit} has no room for another ring of {RING} KiB. Before \
                 Linux 5.12 and since 6.14 it counts the rings of all processes of the user, and each \
                 worker has one: raise RLIMIT_MEMLOCK (`ulimit -l`, LimitMEMLOCK= in systemd)"
            )
        }
    } else {
        /// Never built.
        pub(super) type RingRuntime = monoio::Runtime<monoio::LegacyDriver>;

        pub(super) fn build() -> Result<RingRuntime, Refusal> {
            Err(Refusal {
                why: "only Linux has io_uring".into(),
                by_policy: true,
                error: io::ErrorKind::Unsupported.into(),
            })
        }
    }
}
