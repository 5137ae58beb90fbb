//! Bytes that wait to be sent: frames of the connection, header blocks and small data, in their
//! order.

use crate::{
    error::ErrorCode,
    frame::{FrameHead, HEAD, flag, kind},
    transmit_buffer::TransmitBuffer,
};

/// Bytes beyond which the connection takes no more input: a peer that sends PINGs, or requests, and
/// reads no answers has to wait. Enough for the heads of some hundred responses.
const FULL: usize = 16 * 1024;

/// Bytes that an idle connection keeps: the head of a response, and more.
const KEPT: usize = 1024;

/// Encoded frames: all but DATA that is large or has to wait.
///
/// Holds up to 16 KiB that wait and 16 KiB that were sent. Beyond that one more frame of the client and the
/// commands of the caller add: for each open stream the head of its response, trailers and two
/// WINDOW_UPDATE. The memory stays until [`shrink`](Self::shrink).
#[derive(Debug, Default)]
pub(crate) struct Output {
    bytes: Vec<u8>,
    /// How many of them were sent.
    sent: usize,
}

impl Output {
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.bytes.len() - self.sent >= FULL
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len() - self.sent
    }

    pub(crate) fn bytes(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Moves at most `room` bytes. Returns how many.
    #[inline]
    pub(crate) fn transmit(&mut self, out: &mut impl TransmitBuffer, room: usize) -> usize {
        let rest = self.bytes.get(self.sent..).unwrap_or_default();
        let n = rest.len().min(room);
        out.put_slice(&rest[..n]);
        if n == rest.len() {
            self.sent = 0;
            self.bytes.clear();
        } else {
            self.sent += n;
            if self.sent >= FULL {
                self.bytes.drain(..self.sent);
                self.sent = 0;
            }
        }
        n
    }

    /// Frees the memory, but for what one request at a time needs.
    pub(crate) fn shrink(&mut self) {
        if self.bytes.is_empty() && self.bytes.capacity() > KEPT {
            self.bytes = Vec::new();
        }
    }

    pub(crate) fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let head = FrameHead {
            length: payload.len() as u32,
            kind,
            flags,
            stream,
        };
        self.bytes.extend_from_slice(&head.encode());
        self.bytes.extend_from_slice(payload);
    }

    pub(crate) fn reset(&mut self, stream: u32, code: ErrorCode) {
        self.frame(kind::RST_STREAM, 0, stream, &code.0.to_be_bytes());
    }

    pub(crate) fn window_update(&mut self, stream: u32, increment: u32) {
        self.frame(kind::WINDOW_UPDATE, 0, stream, &increment.to_be_bytes());
    }

    pub(crate) fn go_away(&mut self, last: u32, code: ErrorCode) {
        let payload = [last.to_be_bytes(), code.0.to_be_bytes()];
        self.frame(kind::GOAWAY, 0, 0, payload.as_flattened());
    }

    /// Appends a header block, which `encode` writes: HEADERS, and CONTINUATION where the block is
    /// longer than the peer's frames may be (section 4.3).
    #[inline]
    pub(crate) fn header_block(
        &mut self,
        stream: u32,
        end_stream: bool,
        max_frame_size: u32,
        encode: impl FnOnce(&mut Vec<u8>),
    ) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; HEAD]);
        encode(&mut self.bytes);
        let length = self.bytes.len() - start - HEAD;
        let max = max_frame_size as usize;
        let end = flag::END_STREAM * u8::from(end_stream);
        let head = |length: usize, kind, flags| FrameHead {
            length: length as u32,
            kind,
            flags,
            stream,
        };
        let first = match length <= max {
            true => head(length, kind::HEADERS, end | flag::END_HEADERS),
            false => head(max, kind::HEADERS, end),
        };
        if let Some(place) = self.bytes[start..].first_chunk_mut() {
            *place = first.encode();
        }
        if length > max {
            let rest = self.bytes.split_off(start + HEAD + max);
            let mut pieces = rest.chunks(max).peekable();
            while let Some(piece) = pieces.next() {
                let flags = flag::END_HEADERS * u8::from(pieces.peek().is_none());
                let head = head(piece.len(), kind::CONTINUATION, flags);
                self.bytes.extend_from_slice(&head.encode());
                self.bytes.extend_from_slice(piece);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sent_is_dropped_even_if_some_is_always_left() {
        let mut output = Output::default();
        let mut sent = Vec::new();
        for i in 0..10_000u32 {
            output.window_update(1, i);
            output.transmit(&mut sent, if i == 0 { 12 } else { 13 });
            assert!(output.bytes.len() <= FULL + 26);
        }
        output.transmit(&mut sent, 1);
        assert_eq!(sent.len(), 130_000);
        assert!(sent.ends_with(&9999u32.to_be_bytes()));
    }

    #[test]
    fn a_long_block_continues() {
        let mut output = Output::default();
        output.header_block(7, true, 10, |bytes| bytes.extend_from_slice(&[1; 25]));
        let mut bytes = Vec::new();
        // However small the room is.
        while output.transmit(&mut bytes, 4) > 0 {}
        let mut frames = Vec::new();
        while let Some((head, rest)) = bytes.split_first_chunk() {
            let head = FrameHead::parse(head);
            frames.push((head.length, head.kind, head.flags, head.stream));
            bytes = rest[head.length as usize..].to_vec();
        }
        assert_eq!(
            frames,
            [(10, 1, 1, 7), (10, 9, 0, 7), (5, 9, 4, 7)],
            "length, kind, flags, stream"
        );
        assert!(output.is_empty());
    }
}
