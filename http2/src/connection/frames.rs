//! What each frame does (RFC 9113 section 6, RFC 9218 section 7.1).

use super::Connection;
use crate::{
    error::{ConnectionError, ErrorCode},
    event::Event,
    frame::{self, FrameHead, flag, kind},
    priority::Priority,
    stream::{Sending, StreamId},
    streams::Found,
};

/// Priorities that are kept for streams that are idle. A client sends them right before the
/// request.
const MAX_EARLY_PRIORITIES: usize = 16;

impl Connection {
    /// Handles a frame whose head was checked. The payload is there as far as the receiver holds
    /// it.
    #[inline]
    pub(super) fn handle<'i>(
        &mut self,
        head: FrameHead,
        payload: &[u8],
    ) -> Result<Option<Event<'i>>, ConnectionError> {
        match head.kind {
            kind::DATA => self.data_head(head, payload.first().copied()),
            kind::HEADERS => self.headers(head, payload),
            kind::CONTINUATION => self.continuation(head, payload),
            kind::WINDOW_UPDATE => self.window_update(head, payload),
            kind::RST_STREAM => self.rst_stream(head, payload),
            kind::SETTINGS => self.settings(head, payload),
            kind::PING => self.received_ping(head, payload),
            kind::GOAWAY => self.received_go_away(head, payload),
            kind::PRIORITY => self.priority(head, payload),
            kind::PRIORITY_UPDATE => self.priority_update(head, payload),
            kind::PUSH_PROMISE => Err(ConnectionError::protocol("PUSH_PROMISE by a client")),
            // Section 5.5.
            _ => {
                self.stats.unknown = self.stats.unknown.wrapping_add(1);
                self.skip(head.length);
                Ok(None)
            }
        }
    }

    /// Resets a stream because of what the client sent (section 5.4.2). The event is for a stream
    /// that the caller knows.
    pub(super) fn stream_error(&mut self, number: u32, code: ErrorCode) -> Option<Event<'static>> {
        self.stats.stream_errors = self.stats.stream_errors.wrapping_add(1);
        let found = self.streams.find(number);
        if !self.has_too_many_errors() {
            self.reset_number(number, code);
        }
        let Found::Live(slot) = found else {
            return None;
        };
        self.remove(slot);
        Some(Event::Reset {
            stream: StreamId { number, slot },
            code,
            by_peer: false,
        })
    }

    pub(super) fn has_too_many_errors(&self) -> bool {
        let errors = self.stats.stream_errors.wrapping_add(self.stats.refused);
        errors > self.config.max_stream_errors
    }

    pub(super) fn reset_number(&mut self, number: u32, code: ErrorCode) {
        self.output.reset(number, code);
        self.streams.remember_reset(number);
    }

    /// Section 6.9.
    fn window_update(
        &mut self,
        head: FrameHead,
        payload: &[u8],
    ) -> Result<Option<Event<'static>>, ConnectionError> {
        self.stats.window_updates = self.stats.window_updates.wrapping_add(1);
        if payload.len() != 4 {
            return Err(ConnectionError::frame_size("WINDOW_UPDATE is not 4 bytes"));
        }
        let increment = i64::from(frame::number(payload, 0) & 0x7fff_ffff);
        if head.stream == 0 {
            if increment == 0 {
                return Err(ConnectionError::protocol("WINDOW_UPDATE by 0"));
            }
            return match self.send_window.add(increment) {
                Ok(()) => Ok(None),
                Err(_) => Err(WINDOW_OVERFLOW),
            };
        }
        let slot = match self.streams.find(head.stream) {
            Found::Live(slot) => slot,
            Found::Idle if head.stream <= self.accepts_up_to => {
                return Err(ConnectionError::protocol("WINDOW_UPDATE on an idle stream"));
            }
            _ => return Ok(None),
        };
        let Some(stream) = self.streams.at(slot) else {
            return Ok(None);
        };
        if increment == 0 {
            return Ok(self.stream_error(head.stream, ErrorCode::PROTOCOL_ERROR));
        }
        if stream.send_window.add(increment).is_err() {
            return Ok(self.stream_error(head.stream, ErrorCode::FLOW_CONTROL_ERROR));
        }
        self.schedule_if_sendable(slot);
        self.queue_asking(StreamId {
            number: head.stream,
            slot,
        });
        Ok(None)
    }

    pub(super) fn schedule_if_sendable(&mut self, slot: u32) {
        if self.streams.at(slot).is_some_and(|it| it.is_sendable()) {
            self.schedule.add(slot, &mut self.streams);
        }
    }

    /// Section 6.4.
    fn rst_stream(
        &mut self,
        head: FrameHead,
        payload: &[u8],
    ) -> Result<Option<Event<'static>>, ConnectionError> {
        if head.stream == 0 {
            return Err(ConnectionError::protocol("RST_STREAM on stream 0"));
        }
        if payload.len() != 4 {
            return Err(ConnectionError::frame_size("RST_STREAM is not 4 bytes"));
        }
        let code = ErrorCode(frame::number(payload, 0));
        let slot = match self.streams.find(head.stream) {
            Found::Live(slot) => slot,
            Found::Idle if head.stream <= self.accepts_up_to => {
                return Err(ConnectionError::protocol("RST_STREAM on an idle stream"));
            }
            _ => return Ok(None),
        };
        self.stats.resets = self.stats.resets.wrapping_add(1);
        let is_early = |stream: &mut crate::stream::Stream| stream.sending == Sending::Head;
        if self.streams.at(slot).is_some_and(is_early) {
            self.stats.early_resets = self.stats.early_resets.wrapping_add(1);
        }
        self.remove(slot);
        Ok(Some(Event::Reset {
            stream: StreamId {
                number: head.stream,
                slot,
            },
            code,
            by_peer: true,
        }))
    }

    /// Section 6.5.
    fn settings(
        &mut self,
        head: FrameHead,
        payload: &[u8],
    ) -> Result<Option<Event<'static>>, ConnectionError> {
        self.stats.settings = self.stats.settings.wrapping_add(1);
        if head.stream != 0 {
            return Err(ConnectionError::protocol("SETTINGS on a stream"));
        }
        if head.has(flag::ACK) {
            if !payload.is_empty() {
                return Err(ConnectionError::frame_size(
                    "SETTINGS with ACK and a payload",
                ));
            }
            return self.acknowledged().map(Some);
        }
        let window = i64::from(self.peer.initial_window_size);
        let encoder = &mut self.encoder;
        self.peer
            .update(payload, |size| encoder.set_max_table_size(size as usize))?;
        self.has_peer_settings = true;
        self.prioritizes |= self.peer.no_rfc7540_priorities;
        self.resize_send_windows(i64::from(self.peer.initial_window_size) - window)?;
        self.output.frame(kind::SETTINGS, flag::ACK, 0, &[]);
        Ok(Some(Event::Settings(self.peer)))
    }

    /// Section 6.9.2.
    fn resize_send_windows(&mut self, difference: i64) -> Result<(), ConnectionError> {
        if difference == 0 {
            return Ok(());
        }
        for slot in 0..self.streams.slots() {
            let Some(stream) = self.streams.at(slot) else {
                continue;
            };
            if stream.send_window.add(difference).is_err() {
                return Err(WINDOW_OVERFLOW);
            }
            if stream.is_sendable() {
                self.schedule.add(slot, &mut self.streams);
            } else {
                let number = stream.number;
                self.schedule.remove(slot, &mut self.streams);
                self.queue_asking(StreamId { number, slot });
            }
        }
        Ok(())
    }

    /// Section 6.5.3: what the server has set applies. Larger values do from the start.
    fn acknowledged(&mut self) -> Result<Event<'static>, ConnectionError> {
        let Some(window) = self.announced.pop_front() else {
            return Err(ConnectionError::protocol(
                "SETTINGS with ACK that acknowledge nothing",
            ));
        };
        self.decoder
            .set_max_table_size(self.config.header_table_size as usize);
        self.acknowledged_window = window;
        self.resize_receive_windows();
        Ok(Event::SettingsAcknowledged)
    }

    /// Section 6.7.
    fn received_ping(
        &mut self,
        head: FrameHead,
        payload: &[u8],
    ) -> Result<Option<Event<'static>>, ConnectionError> {
        self.stats.pings = self.stats.pings.wrapping_add(1);
        if head.stream != 0 {
            return Err(ConnectionError::protocol("PING on a stream"));
        }
        let Ok(payload) = <[u8; 8]>::try_from(payload) else {
            return Err(ConnectionError::frame_size("PING is not 8 bytes"));
        };
        if head.has(flag::ACK) {
            return Ok(Some(Event::Pong(payload)));
        }
        self.output.frame(kind::PING, flag::ACK, 0, &payload);
        Ok(None)
    }

    /// Section 6.8. The identifier within counts the server's streams: it has none.
    fn received_go_away(
        &mut self,
        head: FrameHead,
        payload: &[u8],
    ) -> Result<Option<Event<'static>>, ConnectionError> {
        if head.stream != 0 {
            return Err(ConnectionError::protocol("GOAWAY on a stream"));
        }
        if payload.len() < 8 {
            return Err(ConnectionError::frame_size("GOAWAY is below 8 bytes"));
        }
        let code = ErrorCode(frame::number(payload, 4));
        Ok(Some(Event::GoAway { code }))
    }

    /// Section 6.3: the contents are deprecated.
    fn priority(
        &mut self,
        head: FrameHead,
        payload: &[u8],
    ) -> Result<Option<Event<'static>>, ConnectionError> {
        self.stats.priorities = self.stats.priorities.wrapping_add(1);
        if head.stream == 0 {
            return Err(ConnectionError::protocol("PRIORITY on stream 0"));
        }
        if payload.len() == frame::PRIORITY {
            return frame::check_dependency(head.stream, payload).map(|()| None);
        }
        match self.streams.find(head.stream) {
            Found::Live(_) | Found::Closed => {
                Ok(self.stream_error(head.stream, ErrorCode::FRAME_SIZE_ERROR))
            }
            // An idle stream cannot be reset.
            Found::Idle => Err(ConnectionError::frame_size("PRIORITY is not 5 bytes")),
            _ => Ok(None),
        }
    }

    /// RFC 9218 section 7.1.
    fn priority_update(
        &mut self,
        head: FrameHead,
        payload: &[u8],
    ) -> Result<Option<Event<'static>>, ConnectionError> {
        self.stats.priorities = self.stats.priorities.wrapping_add(1);
        if head.stream != 0 {
            return Err(ConnectionError::protocol("PRIORITY_UPDATE on a stream"));
        }
        let Some(field) = payload.get(4..) else {
            return Err(ConnectionError::frame_size(
                "PRIORITY_UPDATE is below 4 bytes",
            ));
        };
        let number = frame::number(payload, 0) & 0x7fff_ffff;
        if number == 0 {
            return Err(ConnectionError::protocol("PRIORITY_UPDATE of stream 0"));
        }
        let priority = Priority::parse(field);
        self.prioritizes = true;
        match self.streams.find(number) {
            Found::Live(slot) => {
                self.schedule.remove(slot, &mut self.streams);
                if let Some(stream) = self.streams.at(slot) {
                    stream.priority = priority;
                }
                self.schedule_if_sendable(slot);
                let stream = StreamId { number, slot };
                return Ok(Some(Event::PriorityChanged { stream, priority }));
            }
            Found::Idle if number % 2 == 1 => {
                self.early_priorities.retain(|(other, _)| *other != number);
                if self.early_priorities.len() == MAX_EARLY_PRIORITIES {
                    self.early_priorities.remove(0);
                }
                self.early_priorities.push((number, priority));
            }
            _ => {}
        }
        Ok(None)
    }

    /// The priority that PRIORITY_UPDATE gave a stream before its request: it overrides the
    /// request's own.
    #[inline]
    pub(super) fn take_early_priority(&mut self, number: u32) -> Option<Priority> {
        if self.early_priorities.is_empty() {
            return None;
        }
        let mut early = self.early_priorities.iter();
        let found = early.find(|(other, _)| *other == number);
        let priority = found.map(|(_, priority)| *priority);
        // Identifiers below are never used again.
        self.early_priorities.retain(|(other, _)| *other > number);
        priority
    }
}

/// Section 6.9.1.
const WINDOW_OVERFLOW: ConnectionError =
    ConnectionError::new(ErrorCode::FLOW_CONTROL_ERROR, "a window above 2^31-1");
