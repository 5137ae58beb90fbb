//! Windows of flow control, of a stream or of the connection (RFC 9113 sections 5.2 and 6.9).

/// The largest window (section 6.9.1).
pub(crate) const MAX_WINDOW: u32 = (1 << 31) - 1;

/// Every window at first, before SETTINGS and WINDOW_UPDATE (section 6.9.2).
pub(crate) const DEFAULT_WINDOW: u32 = 65_535;

/// The window would pass 2^31-1 (section 6.9.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Overflow;

/// The peer sent more than its window (section 6.9.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exceeded;

/// How many bytes the peer lets us send. Negative after the peer has lowered its initial window
/// below what was sent already (section 6.9.2).
#[derive(Clone, Copy, Debug)]
pub(crate) struct SendWindow(i32);

impl SendWindow {
    pub(crate) fn new(size: u32) -> Self {
        Self(size.min(MAX_WINDOW) as i32)
    }

    #[inline]
    pub(crate) fn available(self) -> usize {
        self.0.max(0) as usize
    }

    /// Takes what is sent: never more than is [`available`](Self::available).
    #[inline]
    pub(crate) fn take(&mut self, bytes: usize) {
        debug_assert!(bytes <= self.available());
        self.0 -= bytes as i32;
    }

    /// Adds the increment of WINDOW_UPDATE, or the difference of two initial windows.
    pub(crate) fn add(&mut self, difference: i64) -> Result<(), Overflow> {
        let sum = i64::from(self.0) + difference;
        if sum > i64::from(MAX_WINDOW) {
            return Err(Overflow);
        }
        // Of two initial windows each is 2^31-1 at most, and so is what was sent: the sum is above
        // -2^31.
        self.0 = i32::try_from(sum).unwrap_or(i32::MIN);
        Ok(())
    }
}

/// How many bytes we let the peer send.
///
/// `available` + held by the caller + `released` = `size`, as long as `size` does not change.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReceiveWindow {
    available: i32,
    size: u32,
    /// Bytes that the caller has given back and that no WINDOW_UPDATE has announced yet.
    released: u32,
}

impl ReceiveWindow {
    pub(crate) fn new(size: u32) -> Self {
        Self {
            available: size.min(MAX_WINDOW) as i32,
            size,
            released: 0,
        }
    }

    /// Takes the length of a DATA frame, padding included. An empty one needs no window (section
    /// 6.9).
    #[inline]
    pub(crate) fn take(&mut self, bytes: u32) -> Result<(), Exceeded> {
        if i64::from(bytes) > i64::from(self.available.max(0)) {
            return Err(Exceeded);
        }
        self.available -= bytes as i32;
        Ok(())
    }

    /// Gives bytes back that were taken. Returns the increment to announce now: half of the window
    /// at least, so that a transfer needs two WINDOW_UPDATE for each window's length.
    #[inline]
    pub(crate) fn release(&mut self, bytes: u32) -> Option<u32> {
        let outstanding =
            i64::from(self.size) - i64::from(self.available) - i64::from(self.released);
        let bytes = i64::from(bytes).min(outstanding).max(0);
        self.released += bytes as u32;
        if self.released == 0 || self.released < self.size / 2 {
            return None;
        }
        let increment = std::mem::take(&mut self.released);
        self.available = self.available.saturating_add(increment as i32);
        Some(increment)
    }

    /// Changes the size (section 6.9.2). Returns the increment to announce now: of a smaller
    /// window, what was given back before can be half.
    pub(crate) fn resize(&mut self, size: u32) -> Option<u32> {
        let difference = i64::from(size) - i64::from(self.size);
        let available = i64::from(self.available) + difference;
        self.available = i32::try_from(available).unwrap_or(i32::MAX);
        self.size = size;
        self.release(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_send_window_may_be_negative() {
        let mut window = SendWindow::new(10);
        window.take(10);
        assert_eq!(window.add(-5), Ok(()));
        assert_eq!(window.available(), 0);
        assert_eq!(window.add(7), Ok(()));
        assert_eq!(window.available(), 2);
    }

    #[test]
    fn a_send_window_has_a_maximum() {
        let mut window = SendWindow::new(DEFAULT_WINDOW);
        let rest = i64::from(MAX_WINDOW - DEFAULT_WINDOW);
        assert_eq!(window.add(rest + 1), Err(Overflow));
        assert_eq!(window.add(rest), Ok(()));
        assert_eq!(window.available(), MAX_WINDOW as usize);
        assert_eq!(window.add(1), Err(Overflow));
    }

    #[test]
    fn a_receive_window_is_announced_by_halves() {
        let mut window = ReceiveWindow::new(100);
        assert_eq!(window.take(101), Err(Exceeded));
        assert_eq!(window.take(100), Ok(()));
        assert_eq!(window.release(49), None);
        assert_eq!(window.take(1), Err(Exceeded));
        assert_eq!(window.release(1), Some(50));
        assert_eq!(window.take(51), Err(Exceeded));
        assert_eq!(window.take(50), Ok(()));
    }

    #[test]
    fn no_more_is_released_than_was_taken() {
        let mut window = ReceiveWindow::new(100);
        assert_eq!(window.release(100), None);
        assert_eq!(window.take(60), Ok(()));
        assert_eq!(window.release(u32::MAX), Some(60));
        assert_eq!(window.take(101), Err(Exceeded));
        assert_eq!(window.take(100), Ok(()));
    }

    #[test]
    fn a_smaller_receive_window_counts_what_was_taken() {
        let mut window = ReceiveWindow::new(100);
        assert_eq!(window.take(80), Ok(()));
        assert_eq!(window.resize(50), None);
        assert_eq!(window.take(1), Err(Exceeded));
        assert_eq!(window.take(0), Ok(()));
        assert_eq!(window.release(80), Some(80));
        assert_eq!(window.take(51), Err(Exceeded));
        assert_eq!(window.take(50), Ok(()));
    }

    #[test]
    fn a_smaller_receive_window_is_announced_if_half_of_it_was_given_back() {
        let mut window = ReceiveWindow::new(100);
        assert_eq!(window.take(60), Ok(()));
        assert_eq!(window.release(40), None);
        assert_eq!(window.resize(50), Some(40));
        assert_eq!(window.take(31), Err(Exceeded));
        assert_eq!(window.take(30), Ok(()));
    }
}
