//! HEADERS and CONTINUATION (RFC 9113 sections 4.3, 6.2, 6.10 and 8.1).

use bytes::Bytes;

use super::Connection;
use crate::{
    error::{ConnectionError, ErrorCode},
    event::Event,
    flow_control::{ReceiveWindow, SendWindow},
    frame::{self, FrameHead, flag},
    hpack::{self, Decoder, Field},
    input::{BLOCK_PER_LIST, MAX_CONTINUATIONS, PartialBlock},
    priority::Priority,
    request_head::{RequestBuilder, TrailersBuilder},
    stream::{Asks, NONE, Sending, Stream, StreamId, UNKNOWN_LENGTH},
    streams::Found,
};

impl Connection {
    pub(super) fn headers(
        &mut self,
        head: FrameHead,
        payload: &[u8],
    ) -> Result<Option<Event<'static>>, ConnectionError> {
        if head.stream.is_multiple_of(2) {
            return Err(ConnectionError::protocol(
                "HEADERS on a stream that no client can open",
            ));
        }
        let block = frame::header_block(head, payload)?;
        if head.has(flag::END_HEADERS) {
            return self.block(head.stream, head.ends_stream(), block);
        }
        self.block = Some(Box::new(PartialBlock {
            stream: head.stream,
            end_stream: head.ends_stream(),
            bytes: block.to_vec(),
            continuations: 0,
        }));
        Ok(None)
    }

    /// [`check`](Self::check) has compared the stream.
    pub(super) fn continuation(
        &mut self,
        head: FrameHead,
        payload: &[u8],
    ) -> Result<Option<Event<'static>>, ConnectionError> {
        self.stats.continuations = self.stats.continuations.wrapping_add(1);
        let Some(mut block) = self.block.take() else {
            return Err(ConnectionError::protocol(
                "CONTINUATION without a header block",
            ));
        };
        block.continuations += 1;
        let limit = (self.config.max_header_list_size as usize).saturating_mul(BLOCK_PER_LIST);
        let limit = limit.max(self.config.max_frame_size as usize);
        let length = block.bytes.len() + payload.len();
        if block.continuations > MAX_CONTINUATIONS || length > limit {
            return Err(ConnectionError::new(
                ErrorCode::ENHANCE_YOUR_CALM,
                "a header block far above the limit",
            ));
        }
        if length > block.bytes.capacity() {
            // As a vector grows, but no larger than the limit.
            let capacity = length.max(2 * block.bytes.capacity()).min(limit);
            block.bytes.reserve_exact(capacity - block.bytes.len());
        }
        block.bytes.extend_from_slice(payload);
        if head.has(flag::END_HEADERS) {
            return self.block(block.stream, block.end_stream, &block.bytes);
        }
        self.block = Some(block);
        Ok(None)
    }

    /// A complete header block. It is decoded whatever becomes of it, to keep the dynamic table.
    fn block(
        &mut self,
        number: u32,
        end: bool,
        block: &[u8],
    ) -> Result<Option<Event<'static>>, ConnectionError> {
        match self.streams.find(number) {
            Found::Idle if number > self.accepts_up_to => self.ignore(block).map(|()| None),
            Found::Idle => self.request(number, end, block),
            Found::Live(slot) => self.trailers(StreamId { number, slot }, end, block),
            Found::Reset => self.ignore(block).map(|()| None),
            Found::Closed => Err(ConnectionError::new(
                ErrorCode::STREAM_CLOSED,
                "HEADERS on a closed stream",
            )),
            Found::Skipped => Err(ConnectionError::protocol(
                "the identifier of a stream is below an earlier one",
            )),
        }
    }

    fn ignore(&mut self, block: &[u8]) -> Result<(), ConnectionError> {
        let limit = self.config.max_header_list_size;
        decode(&mut self.decoder, block, limit, &mut |_| {}).map(|_fits| ())
    }

    fn request(
        &mut self,
        number: u32,
        end: bool,
        block: &[u8],
    ) -> Result<Option<Event<'static>>, ConnectionError> {
        self.stats.requests = self.stats.requests.wrapping_add(1);
        self.streams.open(number);
        let early = self.take_early_priority(number);
        if self.streams.len() >= self.config.max_concurrent_streams as usize {
            self.ignore(block)?;
            self.stats.refused = self.stats.refused.wrapping_add(1);
            if !self.has_too_many_errors() {
                self.reset_number(number, ErrorCode::REFUSED_STREAM);
            }
            return Ok(None);
        }
        let mut builder = RequestBuilder::new(&mut self.cache, block);
        let limit = self.config.max_header_list_size;
        let fits = decode(&mut self.decoder, block, limit, &mut |field| {
            builder.field(field);
        })?;
        if !fits {
            let stream = self.open(number, end, UNKNOWN_LENGTH, early);
            return Ok(Some(Event::HeadTooLarge { stream, end }));
        }
        let Ok(head) = builder.finish(end, self.config.extended_connect) else {
            return Ok(self.stream_error(number, ErrorCode::PROTOCOL_ERROR));
        };
        self.prioritizes |= head.priority.is_some();
        let stream = self.open(number, end, head.promised, early.or(head.priority));
        let head = head.parts;
        Ok(Some(Event::Request { stream, head, end }))
    }

    fn open(
        &mut self,
        number: u32,
        end: bool,
        promised: u64,
        priority: Option<Priority>,
    ) -> StreamId {
        let default = Priority {
            // Fair turns for a client that does not know of priorities.
            incremental: !self.prioritizes,
            ..Priority::default()
        };
        self.streams.insert(Stream {
            number,
            sending: Sending::Head,
            receives: !end,
            scheduled: false,
            is_writable: false,
            asks: Asks::No,
            resets_when_sent: false,
            priority: priority.unwrap_or(default),
            send_window: SendWindow::new(self.peer.initial_window_size),
            receive_window: ReceiveWindow::new(self.stream_window),
            promised,
            data: Bytes::new(),
            trailers: None,
            next: NONE,
            previous: NONE,
        })
    }

    fn trailers(
        &mut self,
        id: StreamId,
        end: bool,
        block: &[u8],
    ) -> Result<Option<Event<'static>>, ConnectionError> {
        let mut builder = TrailersBuilder::default();
        let limit = self.config.max_header_list_size;
        let fits = decode(&mut self.decoder, block, limit, &mut |field| {
            builder.field(field);
        })?;
        let Some(stream) = self.streams.get(id) else {
            return Ok(None);
        };
        let is_complete = matches!(stream.promised, 0 | UNKNOWN_LENGTH);
        let trailers = builder.finish();
        let code = if !stream.receives {
            ErrorCode::STREAM_CLOSED
        } else if !fits {
            ErrorCode::ENHANCE_YOUR_CALM
        } else if let Ok(trailers) = trailers
            && end
            && is_complete
        {
            stream.receives = false;
            if stream.is_closed() {
                self.remove(id.slot);
            }
            return Ok(Some(Event::Trailers {
                stream: id,
                trailers,
            }));
        } else {
            ErrorCode::PROTOCOL_ERROR
        };
        Ok(self.stream_error(id.number, code))
    }
}

/// Returns whether the list is within its limit.
#[inline]
fn decode(
    decoder: &mut Decoder,
    block: &[u8],
    limit: u32,
    field: &mut impl FnMut(Field<'_>),
) -> Result<bool, ConnectionError> {
    match decoder.decode_fields(block, limit as usize, field) {
        Ok(()) => Ok(true),
        Err(hpack::Error::ListTooLarge) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
