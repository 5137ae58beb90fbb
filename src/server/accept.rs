//! Accepts connections on one listener, and never stops of itself.

use std::{future::Future, io, net::SocketAddr, time::Duration};

use monoio::{
    io::CancelHandle,
    net::{TcpListener, TcpStream},
};

use super::listener::EMFILE;
use crate::counters::Counters;

/// How long to wait when accepting fails for want of something that others have to give back.
const BACK_OFF: Duration = Duration::from_millis(100);

/// Gives every connection to `connection`, until `cancel` is used.
///
/// The accept is cancelled and then awaited: one that was dropped could take with it a connection
/// that the kernel had accepted already.
pub(super) async fn accept_loop(
    listener: &TcpListener,
    cancel: CancelHandle,
    counters: &Counters,
    mut connection: impl FnMut(TcpStream, SocketAddr),
) {
    let mut failing = false;
    loop {
        match listener.cancelable_accept(cancel.clone()).await {
            Ok((stream, peer)) => {
                if failing {
                    failing = false;
                    tracing::info!("accepting connections again");
                }
                connection(stream, peer);
            }
            Err(error) if is_cancelled(&error) => return,
            Err(error) => {
                counters.accept_errors.add();
                if is_the_peers(&error) {
                    continue;
                }
                if !failing {
                    failing = true;
                    tracing::warn!(%error, advice = advice(&error), "cannot accept connections");
                }
                back_off().await;
            }
        }
    }
}

fn back_off() -> impl Future<Output = ()> {
    monoio::time::sleep(BACK_OFF)
}

/// A connection that was gone before it was accepted: the next one may be there already.
fn is_the_peers(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    )
}

fn is_cancelled(error: &io::Error) -> bool {
    /// errno(3)
    const ECANCELED: i32 = 125;
    error.raw_os_error() == Some(ECANCELED)
}

fn advice(error: &io::Error) -> &'static str {
    /// errno(3): the whole system has no file left.
    const ENFILE: i32 = 23;
    match error.raw_os_error() {
        Some(EMFILE) => "raise RLIMIT_NOFILE (`ulimit -n`, LimitNOFILE= in systemd)",
        Some(ENFILE) => "raise fs.file-max",
        _ => "retrying",
    }
}
