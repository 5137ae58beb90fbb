//! Frames as bytes (RFC 9113 sections 4 and 6).

use crate::error::ConnectionError;

/// The client's first bytes (RFC 9113 section 3.4).
pub(crate) const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Bytes of a frame before its payload (section 4.1).
pub(crate) const HEAD: usize = 9;

/// The least size of a frame's payload that SETTINGS_MAX_FRAME_SIZE can set, and its default
/// (section 6.5.2).
pub(crate) const MIN_MAX_FRAME_SIZE: u32 = 1 << 14;

/// The greatest (section 6.5.2).
pub(crate) const MAX_MAX_FRAME_SIZE: u32 = (1 << 24) - 1;

/// Bytes of the priority in PRIORITY and HEADERS (section 6.3).
pub(crate) const PRIORITY: usize = 5;

/// Types of frames (section 6).
pub(crate) mod kind {
    pub(crate) const DATA: u8 = 0x0;
    pub(crate) const HEADERS: u8 = 0x1;
    pub(crate) const PRIORITY: u8 = 0x2;
    pub(crate) const RST_STREAM: u8 = 0x3;
    pub(crate) const SETTINGS: u8 = 0x4;
    pub(crate) const PUSH_PROMISE: u8 = 0x5;
    pub(crate) const PING: u8 = 0x6;
    pub(crate) const GOAWAY: u8 = 0x7;
    pub(crate) const WINDOW_UPDATE: u8 = 0x8;
    pub(crate) const CONTINUATION: u8 = 0x9;
    /// RFC 9218 section 7.1.
    pub(crate) const PRIORITY_UPDATE: u8 = 0x10;
}

/// Flags (section 6).
pub(crate) mod flag {
    pub(crate) const ACK: u8 = 0x1;
    pub(crate) const END_STREAM: u8 = 0x1;
    pub(crate) const END_HEADERS: u8 = 0x4;
    pub(crate) const PADDED: u8 = 0x8;
    pub(crate) const PRIORITY: u8 = 0x20;
}

/// A frame's head (section 4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameHead {
    /// Bytes of payload.
    pub(crate) length: u32,
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
}

impl FrameHead {
    #[inline]
    pub(crate) fn parse(bytes: &[u8; HEAD]) -> Self {
        let [a, b, c, kind, flags, d, e, f, g] = *bytes;
        Self {
            length: u32::from_be_bytes([0, a, b, c]),
            kind,
            flags,
            // The reserved bit is ignored.
            stream: u32::from_be_bytes([d & 0x7f, e, f, g]),
        }
    }

    /// Only the low 24 bits of the length are sent.
    #[inline]
    pub(crate) fn encode(self) -> [u8; HEAD] {
        let [_, a, b, c] = self.length.to_be_bytes();
        let [d, e, f, g] = self.stream.to_be_bytes();
        [a, b, c, self.kind, self.flags, d, e, f, g]
    }

    #[inline]
    pub(crate) fn has(self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// Whether DATA or HEADERS end their stream.
    #[inline]
    pub(crate) fn ends_stream(self) -> bool {
        self.has(flag::END_STREAM)
    }
}

/// The priority of RFC 7540 in HEADERS and PRIORITY is deprecated, and ignored (section 5.3.2). A
/// stream that depends on itself remains an error, as in RFC 7540 section 5.3.1. RFC 9113 section
/// 5.4.1 lets it be one of the connection.
pub(crate) fn check_dependency(stream: u32, priority: &[u8]) -> Result<(), ConnectionError> {
    match number(priority, 0) & 0x7fff_ffff == stream {
        true => Err(ConnectionError::protocol("a stream depends on itself")),
        false => Ok(()),
    }
}

/// The header block within HEADERS: without padding and priority (section 6.2).
pub(crate) fn header_block(head: FrameHead, payload: &[u8]) -> Result<&[u8], ConnectionError> {
    const TOO_SHORT: ConnectionError =
        ConnectionError::frame_size("HEADERS are too short for their flags");
    let mut block = payload;
    let mut padding = 0;
    if head.has(flag::PADDED) {
        let (&length, rest) = block.split_first().ok_or(TOO_SHORT)?;
        padding = usize::from(length);
        block = rest;
    }
    if head.has(flag::PRIORITY) {
        let (priority, rest) = block.split_at_checked(PRIORITY).ok_or(TOO_SHORT)?;
        check_dependency(head.stream, priority)?;
        block = rest;
    }
    let length = block.len().checked_sub(padding);
    match length.and_then(|length| block.get(..length)) {
        Some(block) => Ok(block),
        None => Err(ConnectionError::protocol("more padding than payload")),
    }
}

/// The four bytes at `at` as a number, 0 if they are not there.
pub(crate) fn number(payload: &[u8], at: usize) -> u32 {
    let bytes = payload.get(at..).and_then(|rest| rest.first_chunk());
    bytes.map_or(0, |bytes| u32::from_be_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorCode;

    #[test]
    fn heads_survive_encoding() {
        let head = FrameHead {
            length: 0x12_3456,
            kind: kind::HEADERS,
            flags: flag::END_HEADERS | flag::PADDED,
            stream: 0x7fff_fffe,
        };
        assert_eq!(FrameHead::parse(&head.encode()), head);
        let mut reserved = head.encode();
        reserved[5] |= 0x80;
        assert_eq!(FrameHead::parse(&reserved), head);
    }

    #[test]
    fn header_blocks_lose_padding_and_priority() {
        let block = |flags, payload| {
            let head = FrameHead {
                length: 0,
                kind: kind::HEADERS,
                flags,
                stream: 1,
            };
            header_block(head, payload).map_err(|error| error.code())
        };
        const BOTH: u8 = flag::PADDED | flag::PRIORITY;
        assert_eq!(block(0, &[1, 2][..]), Ok(&[1, 2][..]));
        assert_eq!(block(flag::PADDED, &[1, 7, 0]), Ok(&[7][..]));
        assert_eq!(block(flag::PRIORITY, &[0, 0, 0, 0, 0, 7]), Ok(&[7][..]));
        assert_eq!(block(BOTH, &[1, 0, 0, 0, 0, 0, 7, 0]), Ok(&[7][..]));
        assert_eq!(block(flag::PADDED, &[1]), Err(ErrorCode::PROTOCOL_ERROR));
        assert_eq!(block(flag::PADDED, &[]), Err(ErrorCode::FRAME_SIZE_ERROR));
        assert_eq!(
            block(flag::PRIORITY, &[0; 4]),
            Err(ErrorCode::FRAME_SIZE_ERROR)
        );
        assert_eq!(
            block(BOTH, &[2, 0, 0, 0, 0, 0, 7]),
            Err(ErrorCode::PROTOCOL_ERROR)
        );
    }
}
