//! What is sent next (RFC 9113 sections 5.2, 6.1 and 6.9, RFC 9218 section 10).

use bytes::{Buf, Bytes};

use super::Connection;
use crate::{
    frame::{FrameHead, HEAD, flag, kind},
    stream::{Asks, Sending, StreamId},
    transmit_buffer::TransmitBuffer,
};

/// Bytes of one turn of a stream, if the client takes frames as large: a TLS record holds no more.
const TURN: usize = 16 * 1024;

/// If less room is left behind other frames, bytes, data waits for the next buffer, unless the stream
/// has no more.
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

    /// The next stream of which a piece of data was sent, the last one too: for a caller that counts
    /// what it has queued. Call it in place of [`poll_writable`](Self::poll_writable). It may name a piece
    /// that was sent when [`send_data`](Self::send_data) returned, or a stream that is closed by now, and
    /// does not name a piece that a reset has dropped.
    pub fn poll_sent(&mut self) -> Option<StreamId> {
        loop {
            let id = self.writable.pop_front()?;
            let Some(stream) = self.streams.get(id) else {
                return Some(id);
            };
            stream.is_writable = false;
            // A later piece may be queued already.
            if stream.data.is_empty() {
                return Some(id);
            }
        }
    }

    /// The next stream that has asked for [`capacity`](Self::capacity) and has some now. Call it after
    /// `receive` and `transmit`, for as many streams as can use
    /// [`connection_capacity`](Self::connection_capacity).
    pub fn poll_capacity(&mut self) -> Option<StreamId> {
        loop {
            let id = *self.asking.front()?;
            let has_some = self.connection_capacity() > 0;
            if let Some(stream) = self.streams.get(id) {
                if stream.send_window.available() == 0 {
                    stream.asks = Asks::Stream;
                } else if !has_some {
                    return None;
                } else {
                    stream.asks = Asks::No;
                    self.asking.pop_front();
                    return Some(id);
                }
            }
            self.asking.pop_front();
        }
    }

    /// The window of the connection, bytes, less the data that is queued for it.
    pub fn connection_capacity(&self) -> usize {
        self.send_window.available().saturating_sub(self.queued)
    }

    /// If the caller waits for capacity of the stream and it has some, it waits for the connection's.
    pub(super) fn queue_asking(&mut self, id: StreamId) {
        if let Some(stream) = self.streams.get(id)
            && stream.asks == Asks::Stream
            && stream.data.is_empty()
            && stream.send_window.available() > 0
        {
            stream.asks = Asks::Connection;
            self.asking.push_back(id);
        }
    }

    /// Bytes that wait for [`transmit`](Self::transmit), without the data of
    /// [`queued`](Self::queued).
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
        self.queued -= length;
        if !is_last {
            stream.data.advance(length);
            let more = stream.send_window.available() > 0;
            self.schedule.sent(slot, more, &mut self.streams);
            return HEAD + length;
        }
        stream.data = Bytes::new();
        let trailers = stream.trailers.take();
        let is_named = std::mem::replace(&mut stream.is_writable, true);
        self.schedule.sent(slot, false, &mut self.streams);
        let id = StreamId { number, slot };
        if !is_named {
            self.writable.push_back(id);
        }
        if end {
            self.sent_all(id);
        } else if let Some(trailers) = trailers {
            self.encode_trailers(id, &trailers);
        } else {
            self.queue_asking(id);
        }
        HEAD + length
    }
}
