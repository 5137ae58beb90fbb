//! Last step of a connection: closes the socket without losing the final bytes.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{socket::Socket, timeout::timeout};
use crate::{schedule::YieldQueue, scratch::Scratch};

/// How much the server reads from a peer that keeps sending, bytes: as much as a flood leaves in the
/// socket buffers of both sides.
const LINGER_BYTES: usize = 8 << 20;

/// How much of it the server reads before it yields to other tasks, bytes.
const YIELD_AFTER: usize = 256 << 10;

/// How long the peer may send nothing. The kernel may still hold megabytes of a response: a slow
/// client that takes them sends a WINDOW_UPDATE now and then.
const SILENCE: Duration = Duration::from_secs(1);

/// Sends the final bytes, shuts down the sending side and lingers, for `limit` at most.
pub(super) async fn close(
    socket: &mut Socket,
    final_bytes: &[u8],
    limit: Duration,
    yields: &YieldQueue,
) {
    let close = async {
        socket.send_final(final_bytes).await;
        let shut_down = poll_fn(|cx| Pin::new(&mut *socket).poll_shutdown(cx)).await;
        if shut_down.is_ok() {
            drain(socket, yields).await;
        }
    };
    timeout(limit, pin!(close)).await;
}

/// Reads what the peer still sends after the shutdown of the sending side, for `limit` at most, and until
/// the peer sends nothing for the time [`SILENCE`]. Closing a socket with unread bytes makes the kernel
/// send a reset, and so do bytes that arrive after that. The reset destroys what the kernel has not
/// delivered.
pub(super) async fn linger(socket: &mut Socket, limit: Duration, yields: &YieldQueue) {
    timeout(limit, pin!(drain(socket, yields))).await;
}

async fn drain(socket: &mut Socket, yields: &YieldQueue) {
    let (mut left, mut until_yield) = (LINGER_BYTES, YIELD_AFTER);
    while left > 0 {
        match timeout(SILENCE, poll_fn(|cx| poll_discard(socket, cx))).await {
            Some(Ok(n)) if n > 0 => {
                left = left.saturating_sub(n);
                until_yield = until_yield.saturating_sub(n);
            }
            _ => return,
        }
        if until_yield == 0 {
            until_yield = YIELD_AFTER;
            yield_now(yields).await;
        }
    }
}

/// Reads some bytes and drops them.
fn poll_discard(socket: &mut Socket, cx: &mut Context<'_>) -> Poll<std::io::Result<usize>> {
    let mut scratch = Scratch::take();
    let mut buf = ReadBuf::new(&mut scratch);
    ready!(Pin::new(socket).poll_read(cx, &mut buf))?;
    Poll::Ready(Ok(buf.filled().len()))
}

async fn yield_now(yields: &YieldQueue) {
    let mut yielded = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        yields.wake(cx.waker());
        Poll::Pending
    })
    .await;
}
