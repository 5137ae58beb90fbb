//! `--takeover`: its requirements on the kernel, and advice if a port is in use.

use std::{error::Error as StdError, fs, io};

/// Warns when connections are lost as one of several servers on a port ends.
pub(crate) fn check_kernel() {
    const FILE: &str = "/proc/sys/net/ipv4/tcp_migrate_req";
    match fs::read_to_string(FILE) {
        Ok(value) if value.trim() != "0" => {}
        Ok(_) => tracing::warn!(
            "--takeover: when a server on this port ends, connections in their TCP handshake with it \
             are lost; to let the kernel give them to the other server, run \
             `sysctl net.ipv4.tcp_migrate_req=1`"
        ),
        Err(error) => tracing::warn!(
            %error,
            "--takeover: when a server on this port ends, connections in their TCP handshake with it \
             are lost: this kernel has no net.ipv4.tcp_migrate_req (Linux 5.14); corelane upgrade \
             loses none"
        ),
    }
}

/// Advice for a port that is in use. `None` for other errors.
pub(crate) fn advice(error: &dyn StdError, takeover: bool) -> Option<&'static str> {
    is_in_use(error).then_some(match takeover {
        true => {
            "--takeover joins only servers of the same user that share the port, as all servers of \
             corelane do"
        }
        false => {
            "if a corelane listens there, `corelane upgrade` replaces it and --takeover joins it; \
             otherwise end that process or use another port"
        }
    })
}

/// Advice for an admin port that is in use.
pub(crate) fn admin_advice(error: &dyn StdError, takeover: bool) -> Option<&'static str> {
    (takeover && is_in_use(error)).then_some(
        "--takeover does not share the admin port, since each server has its own metrics: give this \
         server another --admin, or replace the other one by `corelane upgrade`, which hands the port \
         over",
    )
}

fn is_in_use(error: &dyn StdError) -> bool {
    let mut causes = std::iter::successors(error.source(), |&cause| cause.source());
    causes.any(|cause| {
        let cause = cause.downcast_ref::<io::Error>();
        cause.is_some_and(|cause| cause.kind() == io::ErrorKind::AddrInUse)
    })
}
