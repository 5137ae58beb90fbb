//! The end of a connection whose peer may still be sending.

use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use monoio::time::timeout;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::socket::Socket;
use crate::scratch::Scratch;

/// How much a peer may still send after the last word to it, bytes: what a flood has filled the
/// socket buffers of both sides with.
const LINGER_BYTES: usize = 8 << 20;

/// How much of it is read before the others of the worker have their turn, bytes.
const LINGER_TURN: usize = 256 << 10;

/// How long it may be silent.
const LINGER: Duration = Duration::from_secs(1);

/// Says what is left to say, ends the sending side and reads what the peer is still sending, for
/// `limit` at most: to close a socket with unread bytes makes the kernel send a reset, which overtakes
/// what was sent before.
pub(super) async fn linger(mut socket: Socket, final_bytes: &[u8], limit: Duration) {
    let drain = async {
        socket.send_last(final_bytes).await;
        if poll_fn(|cx| Pin::new(&mut socket).poll_shutdown(cx))
            .await
            .is_err()
        {
            return;
        }
        let (mut left, mut turn) = (LINGER_BYTES, LINGER_TURN);
        while left > 0 {
            match timeout(LINGER, poll_fn(|cx| poll_discard(&mut socket, cx))).await {
                Ok(Ok(n)) if n > 0 => {
                    left = left.saturating_sub(n);
                    turn = turn.saturating_sub(n);
                }
                _ => return,
            }
            if turn == 0 {
                turn = LINGER_TURN;
                others_turn().await;
            }
        }
    };
    let _ = timeout(limit, drain).await;
}

/// Reads something and forgets it.
fn poll_discard(socket: &mut Socket, cx: &mut Context<'_>) -> Poll<std::io::Result<usize>> {
    let mut scratch = Scratch::take();
    let mut buf = ReadBuf::new(&mut scratch);
    ready!(Pin::new(socket).poll_read(cx, &mut buf))?;
    Poll::Ready(Ok(buf.filled().len()))
}

async fn others_turn() {
    let mut waited = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut waited, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
