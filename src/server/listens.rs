//! Whether a socket that somebody else opened listens.

use std::os::fd::AsFd;

cfg_if::cfg_if! {
    if #[cfg(target_os = "linux")] {
        /// Accepting from a socket that is only bound, or connected as inetd passes it, always fails.
        pub(super) fn listens(socket: &impl AsFd) -> bool {
            socket2::SockRef::from(socket).is_listener().unwrap_or(true)
        }
    } else {
        pub(super) fn listens(_socket: &impl AsFd) -> bool {
            true
        }
    }
}
