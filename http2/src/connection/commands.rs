//! What the caller does.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use super::{Connection, MAX_STREAM};
use crate::{
    error::{CommandError, ErrorCode},
    fields::is_connection_field,
    flow_control::MAX_WINDOW,
    frame::{flag, kind},
    priority::Priority,
    settings,
    stream::{Asks, Sending, Stream, StreamId},
};

/// Bytes of data that go to the output at once, if no other stream waits: to copy them twice costs
/// less than to keep them.
const IMMEDIATE: usize = 512;

/// A piece of at most this many bytes may follow one that is still queued: the last bytes of a body. Both
/// are copied into one.
const FEW: usize = 16;

impl Connection {
    /// Queues the head of a response. `end` says that no body follows. If the body of the request
    /// has not arrived, [`reset_when_sent`](Self::reset_when_sent) tells the client to stop sending
    /// it.
    ///
    /// The caller completes the fields: none is added. Fields whose values are marked as sensitive
    /// enter no table.
    pub fn respond(
        &mut self,
        stream: StreamId,
        status: StatusCode,
        fields: &HeaderMap,
        end: bool,
    ) -> Result<(), CommandError> {
        let next = match end {
            true => Sending::Ended,
            false => Sending::Body,
        };
        if status.is_informational() {
            return Err(CommandError::ForbiddenField);
        }
        self.head(stream, status, fields, next)
    }

    /// Queues an informational response before the final one: 100 or 103, for example (RFC 9110
    /// section 15.2). HTTP/2 has no 101 (RFC 9113 section 8.6).
    pub fn informational(
        &mut self,
        stream: StreamId,
        status: StatusCode,
        fields: &HeaderMap,
    ) -> Result<(), CommandError> {
        if !status.is_informational() || status == StatusCode::SWITCHING_PROTOCOLS {
            return Err(CommandError::ForbiddenField);
        }
        self.head(stream, status, fields, Sending::Head)
    }

    #[inline]
    fn head(
        &mut self,
        id: StreamId,
        status: StatusCode,
        fields: &HeaderMap,
        next: Sending,
    ) -> Result<(), CommandError> {
        let stream = self.streams.get(id).ok_or(CommandError::Closed)?;
        if stream.sending != Sending::Head {
            return Err(CommandError::OutOfOrder);
        }
        if fields.keys().any(is_connection_field) {
            return Err(CommandError::ForbiddenField);
        }
        stream.sending = next;
        let encoder = &mut self.encoder;
        let (end, max) = (next == Sending::Ended, self.peer.max_frame_size);
        self.output.header_block(id.number, end, max, |out| {
            encoder.begin_block(out);
            encoder.status(status.as_u16(), out);
            for (name, value) in fields {
                encoder.field(name, value, out);
            }
        });
        if end {
            self.sent_all(id);
        }
        Ok(())
    }

    /// Queues a piece of a response's body; `end` says that nothing follows. The connection keeps it
    /// until the windows let it go, and then names the stream in
    /// [`poll_writable`](Self::poll_writable), unless it was the last. While it keeps a piece, another one
    /// of more than 16 bytes is [`CommandError::OutOfOrder`].
    pub fn send_data(
        &mut self,
        stream: StreamId,
        data: Bytes,
        end: bool,
    ) -> Result<(), CommandError> {
        let id = stream;
        let stream = self.streams.get(id).ok_or(CommandError::Closed)?;
        if stream.sending != Sending::Body {
            return Err(CommandError::OutOfOrder);
        }
        if data.is_empty() && !end {
            return Ok(());
        }
        if !stream.data.is_empty() {
            if data.len() > FEW {
                return Err(CommandError::OutOfOrder);
            }
            self.append(id, &data, end);
            return Ok(());
        }
        let length = data.len();
        let is_immediate = length <= IMMEDIATE
            && length <= stream.send_window.available()
            && length <= self.send_window.available()
            && self.schedule.next().is_none()
            && !self.output.is_full();
        if !is_immediate && length > 0 {
            stream.data = data;
            self.queued += length;
            if end {
                stream.sending = Sending::Ending;
            }
            self.schedule_if_sendable(id.slot);
            return Ok(());
        }
        stream.send_window.take(length);
        self.send_window.take(length);
        let flags = flag::END_STREAM * u8::from(end);
        self.output.frame(kind::DATA, flags, id.number, &data);
        if end {
            self.sent_all(id);
        } else if !std::mem::replace(&mut stream.is_writable, true) {
            self.writable.push_back(id);
        }
        Ok(())
    }

    #[cold]
    fn append(&mut self, id: StreamId, data: &[u8], end: bool) {
        if let Some(stream) = self.streams.get(id) {
            if !data.is_empty() {
                stream.data = [&stream.data, data].concat().into();
                self.queued += data.len();
            }
            if end {
                stream.sending = Sending::Ending;
            }
        }
    }

    /// Queues trailers behind the body, which end the response (RFC 9113 section 8.1).
    pub fn send_trailers(
        &mut self,
        stream: StreamId,
        trailers: HeaderMap,
    ) -> Result<(), CommandError> {
        let id = stream;
        let stream = self.streams.get(id).ok_or(CommandError::Closed)?;
        if stream.sending != Sending::Body {
            return Err(CommandError::OutOfOrder);
        }
        if trailers.keys().any(is_connection_field) {
            return Err(CommandError::ForbiddenField);
        }
        if stream.data.is_empty() {
            self.encode_trailers(id, &trailers);
        } else {
            stream.sending = Sending::Ending;
            stream.trailers = Some(Box::new(trailers));
        }
        Ok(())
    }

    /// The data is sent: the trailers go to the output.
    pub(super) fn encode_trailers(&mut self, id: StreamId, trailers: &HeaderMap) {
        let encoder = &mut self.encoder;
        let max = self.peer.max_frame_size;
        self.output.header_block(id.number, true, max, |out| {
            encoder.begin_block(out);
            for (name, value) in trailers {
                encoder.field(name, value, out);
            }
        });
        self.sent_all(id);
    }

    /// Tells the client, when the response is sent in full, to stop sending the body of its
    /// request: RST_STREAM with `NO_ERROR` (RFC 9113 section 8.1). Until then data still arrives.
    /// No effect if the request is complete by then.
    pub fn reset_when_sent(&mut self, stream: StreamId) -> Result<(), CommandError> {
        let id = stream;
        let stream = self.streams.get(id).ok_or(CommandError::Closed)?;
        stream.resets_when_sent = true;
        if stream.sending == Sending::Ended {
            self.sent_all(id);
        }
        Ok(())
    }

    /// The caller has no more commands for the stream, and needs no more of its request: a response that
    /// has not ended is reset with `CANCEL`, one that has is followed by
    /// [`reset_when_sent`](Self::reset_when_sent). No effect on a stream that is closed.
    pub fn abandon(&mut self, stream: StreamId) {
        let sending = self.streams.get(stream).map(|stream| stream.sending);
        // The stream is open, so neither is an error.
        let _ = match sending {
            None => Ok(()),
            Some(Sending::Head | Sending::Body) => self.reset(stream, ErrorCode::CANCEL),
            Some(Sending::Ending | Sending::Ended) => self.reset_when_sent(stream),
        };
    }

    /// How many bytes [`send_data`](Self::send_data) may queue so that the windows let all of them go:
    /// none while a piece is queued. Then [`poll_capacity`](Self::poll_capacity) names the stream when
    /// that has changed. For a caller that limits the time in which the client opens its windows.
    pub fn capacity(&mut self, stream: StreamId) -> usize {
        let of_connection = self.connection_capacity();
        let id = stream;
        let Some(stream) = self.streams.get(id) else {
            return 0;
        };
        let of_stream = match stream.data.is_empty() {
            true => stream.send_window.available(),
            false => 0,
        };
        let capacity = of_stream.min(of_connection);
        if capacity == 0 && stream.asks == Asks::No {
            stream.asks = Asks::Stream;
            self.queue_asking(id);
        }
        capacity
    }

    /// Ends a stream with RST_STREAM, and drops what it has queued. Frames of the client that were
    /// on their way are ignored.
    pub fn reset(&mut self, stream: StreamId, code: ErrorCode) -> Result<(), CommandError> {
        self.streams.get(stream).ok_or(CommandError::Closed)?;
        self.remove(stream.slot);
        self.reset_number(stream.number, code);
        Ok(())
    }

    /// Gives the bytes of [`Event::Data`](crate::Event::Data) back to the windows of the stream and
    /// of the connection. The client learns it when half of a window was given back (RFC 9113
    /// section 6.9). Never an error: the stream may be closed.
    pub fn release_capacity(&mut self, stream: StreamId, bytes: usize) {
        self.release(stream, u32::try_from(bytes).unwrap_or(u32::MAX));
    }

    /// Changes the priority of a response, as the server may (RFC 9218 section 8).
    pub fn set_priority(
        &mut self,
        stream: StreamId,
        priority: Priority,
    ) -> Result<(), CommandError> {
        self.streams.get(stream).ok_or(CommandError::Closed)?;
        self.schedule.remove(stream.slot, &mut self.streams);
        if let Some(it) = self.streams.get(stream) {
            it.priority = Priority {
                urgency: priority.urgency.min(7),
                ..priority
            };
        }
        self.schedule_if_sendable(stream.slot);
        Ok(())
    }

    /// Changes the window of a request's body, bytes, for open streams too
    /// (SETTINGS_INITIAL_WINDOW_SIZE, RFC 9113 section 6.9.2), 2^31-1 at most. A smaller one
    /// applies when the client acknowledges it ([`Event::SettingsAcknowledged`](crate::Event)):
    /// change it no more often than that.
    pub fn set_initial_stream_window_size(&mut self, bytes: u32) {
        if !self.ended {
            let bytes = bytes.min(MAX_WINDOW);
            settings::encode_window(bytes, self.output.bytes());
            self.announced.push_back(bytes);
            self.resize_receive_windows();
        }
    }

    /// Queues PING. The answer is [`Event::Pong`](crate::Event::Pong).
    pub fn ping(&mut self, payload: [u8; 8]) {
        if !self.ended {
            self.output.frame(kind::PING, 0, 0, &payload);
        }
    }

    /// The first step of a graceful shutdown (RFC 9113 section 6.8): GOAWAY with `NO_ERROR` tells
    /// the client to send no more requests. Those that it has sent until it reads this are
    /// accepted. Follow it by [`ping`](Self::ping), and by [`go_away`](Self::go_away) when the
    /// answer is there or a time limit is over.
    pub fn announce_shutdown(&mut self) {
        if !self.ended {
            self.output.go_away(self.accepts_up_to, ErrorCode::NO_ERROR);
        }
    }

    /// The second step: GOAWAY names the last request that is answered, and later ones are ignored.
    /// Streams that are open go on. When [`open_streams`](Self::open_streams) is 0,
    /// [`close`](Self::close) or close the transport.
    pub fn go_away(&mut self) {
        if !self.ended && self.accepts_up_to == MAX_STREAM {
            self.accepts_up_to = self.streams.last();
            self.output.go_away(self.accepts_up_to, ErrorCode::NO_ERROR);
        }
    }

    /// Ends the connection: all streams are dropped, and the output ends with GOAWAY and this code.
    pub fn close(&mut self, code: ErrorCode) {
        self.end(code);
    }

    /// Bytes of a response's body that the connection holds: [`send_data`](Self::send_data) takes
    /// another piece when there are none. 0 for a stream that is closed.
    pub fn queued(&self, stream: StreamId) -> usize {
        self.streams
            .peek(stream)
            .map_or(0, |stream| stream.data.len())
    }

    /// Whether the next [`transmit`](Self::transmit) can send some of what is [`queued`](Self::queued), so that
    /// it does not wait for the client to open a window.
    pub fn is_sendable(&self, stream: StreamId) -> bool {
        let stream = self.streams.peek(stream);
        self.send_window.available() > 0 && stream.is_some_and(Stream::is_sendable)
    }

    /// Whether the stream is not closed: commands may have an effect.
    pub fn is_open(&self, stream: StreamId) -> bool {
        self.streams.peek(stream).is_some()
    }
}
