//! Takes bytes apart into frames (RFC 9113 sections 3.4 and 4).

use super::Connection;
use crate::{
    error::{ConnectionError, ErrorCode},
    event::Event,
    frame::{FrameHead, HEAD, PREFACE, flag, kind},
    input::Input,
};

impl Connection {
    /// Takes bytes off the front of `input`, up to the next event. `None` means that the input is
    /// used up, or that [`transmit`](Self::transmit) has to make room for the answers first: then
    /// some input is left. The error comes once; after it, and after [`close`](Self::close), all
    /// input is ignored.
    ///
    /// Frames that are whole in the input are parsed where they lie.
    pub fn receive<'i>(
        &mut self,
        input: &mut &'i [u8],
    ) -> Result<Option<Event<'i>>, ConnectionError> {
        let result = self.next_event(input);
        if let Err(error) = &result {
            self.end(error.code());
            *input = &[];
        }
        result
    }

    fn next_event<'i>(
        &mut self,
        input: &mut &'i [u8],
    ) -> Result<Option<Event<'i>>, ConnectionError> {
        if self.ended {
            *input = &[];
        }
        while !input.is_empty() && !self.output.is_full() {
            let event = match self.input {
                Input::Frame => self.frame(input)?,
                Input::Data(frame) => self.data_piece(frame, input),
                Input::Skip(length) => {
                    let taken = take(input, length as usize).len() as u32;
                    self.skip(length - taken);
                    None
                }
                Input::Preface(have) => {
                    self.preface(usize::from(have), input)?;
                    None
                }
            };
            if self.has_too_many_errors() {
                return Err(ConnectionError::new(
                    ErrorCode::ENHANCE_YOUR_CALM,
                    "too many streams with errors",
                ));
            }
            if event.is_some() {
                return Ok(event);
            }
        }
        Ok(None)
    }

    /// Ignores the next bytes.
    pub(super) fn skip(&mut self, length: u32) {
        self.input = match length {
            0 => Input::Frame,
            _ => Input::Skip(length),
        };
    }

    fn preface(&mut self, have: usize, input: &mut &[u8]) -> Result<(), ConnectionError> {
        let expected = &PREFACE[have..];
        let piece = take(input, expected.len());
        if !expected.starts_with(piece) {
            return Err(ConnectionError::protocol(
                "the preface of HTTP/2 is missing",
            ));
        }
        let have = have + piece.len();
        self.input = match have < PREFACE.len() {
            true => Input::Preface(have as u8),
            false => Input::Frame,
        };
        Ok(())
    }

    #[inline]
    fn frame<'i>(&mut self, input: &mut &'i [u8]) -> Result<Option<Event<'i>>, ConnectionError> {
        if self.partial.is_empty()
            && let Some((head, rest)) = input.split_first_chunk::<HEAD>()
        {
            let head = FrameHead::parse(head);
            if let Some((payload, rest)) = rest.split_at_checked(held_length(head)) {
                self.check(head)?;
                *input = rest;
                return self.handle(head, payload);
            }
        }
        self.partial_frame(input)
    }

    /// Collects a frame that arrives in pieces.
    #[cold]
    fn partial_frame<'i>(
        &mut self,
        input: &mut &'i [u8],
    ) -> Result<Option<Event<'i>>, ConnectionError> {
        let missing = HEAD.saturating_sub(self.partial.len());
        let piece = take(input, missing);
        self.partial.extend_from_slice(piece);
        let Some(head) = self.partial.first_chunk() else {
            return Ok(None);
        };
        let head = FrameHead::parse(head);
        if missing > 0 {
            self.check(head)?;
        }
        let length = HEAD + held_length(head);
        let piece = take(input, length - self.partial.len());
        let needed = self.partial.len() + piece.len();
        if needed > self.partial.capacity() {
            // As a vector grows, but no larger than the frame.
            let capacity = needed.max(2 * self.partial.capacity()).min(length);
            self.partial.reserve_exact(capacity - self.partial.len());
        }
        self.partial.extend_from_slice(piece);
        if self.partial.len() < length {
            return Ok(None);
        }
        let frame = std::mem::take(&mut self.partial);
        self.handle(head, frame.get(HEAD..).unwrap_or_default())
    }

    /// Checks a head before its payload is there.
    #[inline]
    fn check(&mut self, head: FrameHead) -> Result<(), ConnectionError> {
        if head.length > self.config.max_frame_size {
            return Err(ConnectionError::frame_size(
                "a frame above SETTINGS_MAX_FRAME_SIZE",
            ));
        }
        self.stats.frames = self.stats.frames.wrapping_add(1);
        if !self.has_peer_settings && (head.kind != kind::SETTINGS || head.has(flag::ACK)) {
            return Err(ConnectionError::protocol("the first frame is not SETTINGS"));
        }
        match &self.block {
            // Section 4.3.
            Some(block) if head.kind != kind::CONTINUATION || head.stream != block.stream => Err(
                ConnectionError::protocol("another frame within a header block"),
            ),
            _ => Ok(()),
        }
    }
}

/// How much of the payload has to be there to handle a frame. The rest is taken as it arrives.
#[inline]
fn held_length(head: FrameHead) -> usize {
    match head.kind {
        // The length of the padding.
        kind::DATA => usize::from(head.has(flag::PADDED) && head.length > 0),
        kind::HEADERS..=kind::CONTINUATION | kind::PRIORITY_UPDATE => head.length as usize,
        _ => 0,
    }
}

/// Takes at most `length` bytes off the front.
#[inline]
pub(super) fn take<'i>(input: &mut &'i [u8], length: usize) -> &'i [u8] {
    let (taken, rest) = input.split_at(length.min(input.len()));
    *input = rest;
    taken
}
