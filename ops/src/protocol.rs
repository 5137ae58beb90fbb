//! The protocol of an upgrade between the old and the new process. They may be of different versions,
//! so these values must not change.

/// The name of the server's own sockets.
pub(crate) const SERVING: &str = "corelane-serving";

/// The name of the sockets that the service manager gave the server. It keeps them open, so the new
/// process has to serve on all of them.
pub(crate) const GIVEN: &str = "corelane-given";

/// The name of the admin port's socket.
#[cfg(feature = "admin")]
pub(crate) const ADMIN: &str = "corelane-admin";

/// The name of the socket on which the old process waits for the report of the new one.
pub(crate) const REPORT: &str = "corelane-report";

/// The name of a socket on which a process that drains reports its open connections.
pub(crate) const DRAINING: &str = "corelane-draining";

/// The report of a new process that serves.
pub(crate) const READY: &str = "ready";

/// The report of a new process that cannot serve begins with it; the reason follows.
pub(crate) const FAILED: &str = "failed ";
