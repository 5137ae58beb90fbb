//! Where the connection is in the client's bytes.

use crate::stream::StreamId;

/// What comes next.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Input {
    /// This many bytes of the preface have arrived (RFC 9113 section 3.4).
    Preface(u8),
    /// A frame's head.
    Frame,
    /// More of a DATA frame's payload.
    Data(DataFrame),
    /// This many bytes that are ignored.
    Skip(u32),
}

/// The rest of a DATA frame, which was checked as a whole when its head arrived.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DataFrame {
    pub(crate) stream: StreamId,
    pub(crate) data: u32,
    /// Bytes behind the data.
    pub(crate) padding: u32,
    pub(crate) end: bool,
}

/// A header block that CONTINUATION continues.
#[derive(Debug)]
pub(crate) struct PartialBlock {
    pub(crate) stream: u32,
    pub(crate) end_stream: bool,
    pub(crate) bytes: Vec<u8>,
    pub(crate) continuations: u32,
}

/// CONTINUATION frames of one header block. Clients send frames that are full, so that the
/// largest block needs four or five of them; proxies may cut smaller ones.
pub(crate) const MAX_CONTINUATIONS: u32 = 32;

/// Bytes of one header block for each byte that a header list may have. A block is usually shorter
/// than its list: one that is longer than this is not sent to be read. Up to here a list that is
/// too large is answered by 431.
pub(crate) const BLOCK_PER_LIST: usize = 5;
