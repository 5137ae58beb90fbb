//! One stream (RFC 9113 section 5.1).

use bytes::Bytes;
use http::HeaderMap;

use crate::{
    flow_control::{ReceiveWindow, SendWindow},
    priority::Priority,
};

/// Names a stream, for commands. It stays valid, and refers to nothing else, when the stream is
/// closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StreamId {
    pub(crate) number: u32,
    pub(crate) slot: u32,
}

impl StreamId {
    /// The identifier that frames bear.
    pub fn number(self) -> u32 {
        self.number
    }

    /// A place in a table of the caller's, below
    /// [`Config::max_concurrent_streams`](crate::Config::max_concurrent_streams). When the stream is
    /// closed, a later one may have the same.
    pub fn slot(self) -> usize {
        self.slot as usize
    }
}

/// Our half. The states of RFC 9113 section 5.1 are the product of both halves: *open* is any but
/// `Ended` beside `receives`, *half-closed (remote)* any but `Ended` without it, *half-closed
/// (local)* `Ended` beside it. A stream of which both have ended is *closed*, and removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sending {
    /// The head of the final response is not there yet.
    Head,
    /// Data or trailers may come.
    Body,
    /// The end of the stream follows `data`, in its last frame or as `trailers`.
    Ending,
    /// END_STREAM is in the output.
    Ended,
}

/// Whether the caller waits for capacity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asks {
    No,
    /// For the stream's window, or until `data` is sent.
    Stream,
    /// In the queue for the window of the connection.
    Connection,
}

/// A stream that is not closed.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) number: u32,
    pub(crate) sending: Sending,
    /// The peer has not ended its half.
    pub(crate) receives: bool,
    /// The stream is in the schedule: it has data and window.
    pub(crate) scheduled: bool,
    /// The stream is in `Connection::writable`.
    pub(crate) is_writable: bool,
    pub(crate) asks: Asks,
    /// The client is to stop sending its body when the response is sent.
    pub(crate) resets_when_sent: bool,
    pub(crate) priority: Priority,
    pub(crate) send_window: SendWindow,
    pub(crate) receive_window: ReceiveWindow,
    /// Bytes of body that `content-length` still promises; [`UNKNOWN_LENGTH`] if there is none.
    pub(crate) promised: u64,
    /// What waits for the window: one piece at most.
    pub(crate) data: Bytes,
    pub(crate) trailers: Option<Box<HeaderMap>>,
    /// Neighbours in a list of the schedule.
    pub(crate) next: u32,
    pub(crate) previous: u32,
}

/// No `content-length`.
pub(crate) const UNKNOWN_LENGTH: u64 = u64::MAX;

/// No slot.
pub(crate) const NONE: u32 = u32::MAX;

impl Stream {
    pub(crate) fn is_closed(&self) -> bool {
        self.sending == Sending::Ended && !self.receives
    }

    /// Whether some of the data may be sent, as far as the stream's window goes.
    pub(crate) fn is_sendable(&self) -> bool {
        !self.data.is_empty() && self.send_window.available() > 0
    }
}
