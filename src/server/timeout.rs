//! A time limit on a future.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    task::Poll,
    time::Duration,
};

use super::runtime::TIMER;
use crate::time::Deadline;

/// Runs the future for `limit` at most; `None`: the limit has passed.
///
/// monoio's `timeout` has its timer inside, which is aligned to 128 bytes. So would be every future around
/// it, and glibc's malloc is slow with aligned requests of a few KiB. Here only the timer is aligned, and
/// only a future that has to wait gets one.
pub(super) async fn timeout<F: Future + Unpin>(
    limit: Duration,
    mut future: F,
) -> Option<F::Output> {
    let mut deadline = Deadline::begun(TIMER, limit);
    poll_fn(|cx| match Pin::new(&mut future).poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => deadline.poll_waiting(cx).map(|()| None),
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::future::{Pending, pending};

    use super::*;

    #[test]
    fn future_has_the_alignment_of_ordinary_allocations() {
        let waits: Pending<()> = pending();
        let future = timeout(Duration::ZERO, waits);
        assert!(align_of_val(&future) <= align_of::<u128>());
    }
}
