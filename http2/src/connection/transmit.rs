//! What is sent next (RFC 9113 sections 5.2, 6.1 and 6.9, RFC 9218 section 10).

use bytes::{Buf, Bytes};

use super::Connection;
use crate::{
    frame::{FrameHead, HEAD, flag, kind},
    stream::{Sending, StreamId},
    transmit_buffer::TransmitBuffer,
};

/// Bytes of one turn of a stream, if the client takes frames as large: a TLS record holds no more.
const TURN: usize = 16 * 1024;

/// Bytes of data at least, if the stream has as many: a buffer with less room behind other frames
/// is full.
const MIN_PIECE: usize = 256;

impl Connection {
    /// Appends at most `max` bytes of frames to `out`, and returns how many. Data of responses is
    /// copied once, from the caller's `Bytes` to here, or not at all. Frames may be cut at the end
    /// of `out`, so that a TLS record is filled: the next call continues them.
    ///
    /// Frames of the connection and heads go first, then data: the most urgent streams, in turns.
    /// `max` below 10 sends no data.
    pub fn transmit(&mut self, out: &mut impl TransmitBuffer, max: usize) -> usize {
        let mut room = max;
        loop {
            if !self.output.is_empty() {
                room -= self.output.transmit(out, room);
                if !self.output.is_empty() {
                    break;
                }
            }
            match self.data_frame(out, room, room == max) {
                0 => break,
                length => room -= length,
            }
        }
        max - room
    }

    /// Whether [`transmit`](Self::transmit) has something to send.
    pub fn wants_transmit(&self) -> bool {
        !self.output.is_empty()
            || self.send_window.available() > 0 && self.schedule.next().is_some()
    }

    /// The next stream whose data was sent, and that takes more. Call it after `transmit` until it
    /// returns `None`.
    pub fn poll_writable(&mut self) -> Option<StreamId> {
        loop {
            let id = self.writable.pop_front()?;
            let Some(stream) = self.streams.get(id) else {
                continue;
            };
            stream.is_writable = false;
            if stream.sending == Sending::Body && stream.data.is_empty() {
                return Some(id);
            }
        }
    }

    /// Bytes of frames that wait, without DATA.
    pub fn pending_output(&self) -> usize {
        self.output.len()
    }

    /// Sends a DATA frame of the stream whose turn it is. Returns its length, 0 if there is none.
    #[inline]
    fn data_frame(&mut self, out: &mut impl TransmitBuffer, room: usize, is_first: bool) -> usize {
        let Some(slot) = self.schedule.next() else {
            return 0;
        };
        let window = self.send_window.available();
        let Some(stream) = self.streams.at(slot) else {
            return 0;
        };
        let left = stream.data.len();
        let wanted = left
            .min(stream.send_window.available())
            .min(window)
            .min(self.peer.max_frame_size as usize)
            .min(TURN);
        let length = wanted.min(room.saturating_sub(HEAD));
        if length == 0 || length < wanted && length < MIN_PIECE && !is_first {
            return 0;
        }
        let is_last = length == left;
        let end = is_last && stream.sending == Sending::Ending && stream.trailers.is_none();
        let number = stream.number;
        let head = FrameHead {
            length: length as u32,
            kind: kind::DATA,
            flags: flag::END_STREAM * u8::from(end),
            stream: number,
        };
        out.put_slice(&head.encode());
        out.put_data(&stream.data, length);
        stream.send_window.take(length);
        self.send_window.take(length);
        if !is_last {
            stream.data.advance(length);
            let more = stream.send_window.available() > 0;
            self.schedule.sent(slot, more, &mut self.streams);
            return HEAD + length;
        }
        stream.data = Bytes::new();
        let trailers = stream.trailers.take();
        let notifies =
            stream.sending == Sending::Body && !std::mem::replace(&mut stream.is_writable, true);
        self.schedule.sent(slot, false, &mut self.streams);
        let id = StreamId { number, slot };
        if end {
            self.sent_all(id);
        } else if let Some(trailers) = trailers {
            self.encode_trailers(id, &trailers);
        } else if notifies {
            self.writable.push_back(id);
        }
        HEAD + length
    }
}
