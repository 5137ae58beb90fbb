//! Limits and HTTP/2 settings: every default with its unit and its reason.
//!
//! [`Limits`] holds the time limits, [`Http2Config`] the HTTP/2 settings; the constants are the other
//! defaults. `docs/limits.md` in the repository shows them in one table, generated from the
//! declarations here.

#[macro_use]
mod declare;
mod engine;
mod http2;
mod limits;

use std::time::Duration;

pub(crate) use self::http2::{MAX_ERROR_RESETS, MAX_RESET_STREAMS};
pub use self::{
    declare::{DefaultValue, Limit},
    engine::Http2Engine,
    http2::Http2Config,
    limits::Limits,
};

/// Every limit that a user can set or a peer can reach, for docs/limits.md.
#[doc(hidden)]
pub const LIMITS: [&[Limit]; 3] = [CONSTANTS, limits::ROWS, http2::ROWS];

constants! {
    in CONSTANTS;

    /// Open connections per worker: the default of
    /// [`Builder::max_connections`](crate::Builder::max_connections).
    #[limit("Builder", "max_connections", "per worker")]
    #[why = "more than a core can keep busy; if all are idle, they hold half a GiB"]
    #[peer = "the connection is closed before the first byte"]
    pub const MAX_CONNECTIONS: usize = 16_384;

    /// Handshakes in progress per worker: the default of
    /// [`Builder::max_handshakes`](crate::Builder::max_handshakes).
    #[limit("Builder", "max_handshakes", "per worker")]
    #[why = "about what a core finishes in one second"]
    #[peer = "the oldest handshake is closed"]
    pub const MAX_HANDSHAKES: usize = 1_024;

    /// Connections per listener that the kernel completes and keeps until the worker accepts them: the
    /// default of [`Builder::backlog`](crate::Builder::backlog).
    #[limit("Builder", "backlog", "per listener")]
    #[why = "the kernel's own default since Linux 5.4; it caps the value at `net.core.somaxconn`"]
    #[peer = "it connects later, by a retransmission"]
    pub const BACKLOG: u32 = 4_096;

    /// Idle time after which the kernel probes a peer by TCP keep-alive (RFC 9293 section 3.8.4), then
    /// three times, each a fifth of this time apart. It closes the connections of peers that vanished
    /// while they waited for a response. The server sets it on the listeners that it opens; the caller
    /// sets it on those that it gives.
    #[limit("", "TCP_KEEP_ALIVE", "")]
    #[why = "the default of `Limits::idle`; three probes, 15 s apart, follow"]
    #[peer = "nothing: it has gone away"]
    pub const TCP_KEEP_ALIVE: Duration = Duration::from_secs(75);

    /// The usual argument of [`Handle::shutdown`](crate::Handle::shutdown).
    #[limit("", "SHUTDOWN_DEADLINE", "")]
    #[why = "Kubernetes waits this long between SIGTERM and SIGKILL"]
    #[peer = "GOAWAY at the start; without a stream the connection is closed after a round trip, 1 s at most, otherwise at the deadline"]
    pub const SHUTDOWN_DEADLINE: Duration = Duration::from_secs(30);

    /// File descriptors that connections leave to the rest of the process: health checks and metrics, log
    /// files, new certificates, an upgrade. At most a quarter of the limit on open files.
    #[limit("", "RESERVED_DESCRIPTORS", "")]
    #[why = "8 clients of the admin port, the files of its metrics, and a reload or an upgrade fit in"]
    #[peer = "it waits in the kernel until another connection ends"]
    pub const RESERVED_DESCRIPTORS: usize = 32;

    /// Time without a [heartbeat](crate::WorkerStatus#structfield.since_heartbeat) after which a worker
    /// counts as stalled: a handler blocks its thread.
    #[limit("", "WORKER_STALLED", "")]
    #[why = "five missed beats; a busy worker beats on time, and no client should wait so long for a handler"]
    #[peer = "nothing; health checks fail"]
    pub const WORKER_STALLED: Duration = Duration::from_secs(5);

    /// Fields of a request of HTTP/1.x, and of its trailers.
    #[limit("", "MAX_FIELDS", "")]
    #[why = "the default of hyper and of Apache; browsers send 20"]
    #[peer = "431; 400 for trailers"]
    pub(crate) const MAX_FIELDS: usize = 100;

    /// Size of a header of the PROXY protocol, bytes.
    #[limit("", "MAX_PROXY_HEADER", "bytes")]
    #[why = "the bound of nginx; addresses take up to 232 bytes, the rest describes the client's TLS"]
    #[peer = "the connection is closed"]
    pub(crate) const MAX_PROXY_HEADER: usize = 4 * 1024;
}

/// The mode of the files of Unix sockets: the server's user and its group may connect. A proxy that runs
/// as another user joins the group.
pub const UNIX_MODE: u32 = 0o660;

/// How often a worker shows that it runs: 1 s, one wake-up of an idle worker.
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(1);

/// Time from the start of a connection in which a server that shuts down waits for its first request
/// before it sends GOAWAY: 2 s, a few round trips of the slowest link. Most clients send a request
/// right after the handshake; after an early GOAWAY they would have to connect again.
pub(crate) const FIRST_REQUEST: Duration = Duration::from_secs(2);

/// Time that a connection without a stream stays open after GOAWAY, until the PING behind it is
/// answered: 1 s, more than a round trip of the slowest link. A client that is asleep, or that
/// answers no PING while it is idle, must not hold up a shutdown.
pub(crate) const GOAWAY_ANSWER: Duration = Duration::from_secs(1);
