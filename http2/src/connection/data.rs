//! DATA (RFC 9113 section 6.1), and its windows (section 6.9.1).

use super::{Connection, receive::take};
use crate::{
    error::{ConnectionError, ErrorCode},
    event::Event,
    frame::{FrameHead, flag},
    input::{DataFrame, Input},
    stats::SMALL_DATA,
    stream::{StreamId, UNKNOWN_LENGTH},
    streams::Found,
};

impl Connection {
    /// Checks a DATA frame as a whole, when its head has arrived, and the length of its padding.
    pub(super) fn data_head(
        &mut self,
        head: FrameHead,
        pad_length: Option<u8>,
    ) -> Result<Option<Event<'static>>, ConnectionError> {
        if head.stream == 0 {
            return Err(ConnectionError::protocol("DATA on stream 0"));
        }
        let padding = u32::from(pad_length.unwrap_or(0));
        let overhead = padding + u32::from(head.has(flag::PADDED));
        let Some(length) = head.length.checked_sub(overhead) else {
            return Err(ConnectionError::protocol("more padding than payload"));
        };
        let payload = head.length - u32::from(pad_length.is_some());
        self.stats.data = self.stats.data.wrapping_add(1);
        if length < SMALL_DATA {
            self.stats.small_data = self.stats.small_data.wrapping_add(1);
        }
        if length == 0 && !head.ends_stream() {
            self.stats.empty_data = self.stats.empty_data.wrapping_add(1);
        }
        if self.receive_window.take(head.length).is_err() {
            return Err(ConnectionError::new(
                ErrorCode::FLOW_CONTROL_ERROR,
                "DATA past the window of the connection",
            ));
        }
        let found = self.streams.find(head.stream);
        let refused = match found {
            Found::Live(slot) => self.accept_data(slot, head, length),
            Found::Idle if head.stream <= self.accepts_up_to => {
                return Err(ConnectionError::protocol("DATA on an idle stream"));
            }
            Found::Idle | Found::Reset => None,
            Found::Closed | Found::Skipped => Some(ErrorCode::STREAM_CLOSED),
        };
        if let Some(code) = refused {
            self.release_connection(head.length);
            self.skip(payload);
            return Ok(self.stream_error(head.stream, code));
        }
        let Found::Live(slot) = found else {
            self.release_connection(head.length);
            self.skip(payload);
            return Ok(None);
        };
        let stream = StreamId {
            number: head.stream,
            slot,
        };
        if overhead > 0 {
            self.release(stream, overhead);
        }
        let frame = DataFrame {
            stream,
            data: length,
            padding,
            end: head.ends_stream(),
        };
        if length > 0 {
            self.input = Input::Data(frame);
            return Ok(None);
        }
        Ok(self.data_piece(frame, &mut &[][..]))
    }

    /// Whether a stream takes this DATA. If not, with which code it is reset.
    fn accept_data(&mut self, slot: u32, head: FrameHead, length: u32) -> Option<ErrorCode> {
        let stream = self.streams.at(slot)?;
        if !stream.receives {
            return Some(ErrorCode::STREAM_CLOSED);
        }
        if stream.receive_window.take(head.length).is_err() {
            return Some(ErrorCode::FLOW_CONTROL_ERROR);
        }
        if stream.promised == UNKNOWN_LENGTH {
            return None;
        }
        match stream.promised.checked_sub(u64::from(length)) {
            Some(rest) if rest == 0 || !head.ends_stream() => {
                stream.promised = rest;
                None
            }
            // Section 8.1.1: content-length is another than that of the data.
            _ => Some(ErrorCode::PROTOCOL_ERROR),
        }
    }

    /// The data that has arrived of a frame.
    #[inline]
    pub(super) fn data_piece<'i>(
        &mut self,
        frame: DataFrame,
        input: &mut &'i [u8],
    ) -> Option<Event<'i>> {
        let data = take(input, frame.data as usize);
        let left = frame.data - data.len() as u32;
        if left > 0 {
            self.input = Input::Data(DataFrame {
                data: left,
                ..frame
            });
        } else {
            self.skip(frame.padding);
        }
        let end = frame.end && left == 0;
        let Some(stream) = self.streams.get(frame.stream) else {
            // The caller has reset it meanwhile.
            self.release_connection(data.len() as u32);
            return None;
        };
        if end {
            stream.receives = false;
            if stream.is_closed() {
                self.remove(frame.stream.slot);
            }
        }
        (end || !data.is_empty()).then_some(Event::Data {
            stream: frame.stream,
            data,
            end,
        })
    }

    /// Gives bytes back to the window of a stream, if the client may still send on it, and to the
    /// connection's.
    pub(super) fn release(&mut self, id: StreamId, bytes: u32) {
        self.release_connection(bytes);
        if let Some(stream) = self.streams.get(id)
            && stream.receives
            && let Some(increment) = stream.receive_window.release(bytes)
        {
            self.output.window_update(id.number, increment);
        }
    }

    pub(super) fn release_connection(&mut self, bytes: u32) {
        if let Some(increment) = self.receive_window.release(bytes)
            && !self.ended
        {
            self.output.window_update(0, increment);
        }
    }
}
