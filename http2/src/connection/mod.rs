//! The connection: its state, and how it is used.

mod commands;
mod data;
mod frames;
mod headers;
mod receive;
mod transmit;

use std::{collections::VecDeque, fmt};

use crate::{
    config::{Config, DEFAULT_HEADER_TABLE_SIZE},
    error::{ConnectionError, ErrorCode},
    field_cache::FieldCache,
    flow_control::{DEFAULT_WINDOW, ReceiveWindow, SendWindow},
    hpack::{Decoder, Encoder},
    input::{Input, PartialBlock},
    output::Output,
    priority::Priority,
    schedule::Schedule,
    settings::{self, PeerSettings},
    stats::Stats,
    stream::{Asks, Sending, StreamId},
    streams::Streams,
};

/// A server's side of one connection of HTTP/2, without I/O.
///
/// It is `Send`, and a thread at a time uses it.
///
/// # How it is used
///
/// 1. Give what was read to [`receive`](Self::receive), again and again, until it returns `None`:
///    each call takes frames up to the next event. If it leaves input behind, transmit first.
/// 2. Act on the events by commands: [`respond`](Self::respond), [`send_data`](Self::send_data),
///    [`send_trailers`](Self::send_trailers), [`reset`](Self::reset),
///    [`release_capacity`](Self::release_capacity). A command on a stream that was closed meanwhile
///    is [`CommandError::Closed`](crate::CommandError::Closed), and otherwise of no effect.
/// 3. Call [`transmit`](Self::transmit) while [`wants_transmit`](Self::wants_transmit), and send
///    what it writes. It has to arrive in full and in order.
/// 4. Give more data to the streams that [`poll_writable`](Self::poll_writable) names, and go to 3
///    if there were any.
/// 5. When [`is_ended`](Self::is_ended) and nothing is left to transmit, close the transport.
///
/// Nothing here waits or has a clock. Time limits are the caller's: for the first bytes, for
/// [`Event::SettingsAcknowledged`](crate::Event::SettingsAcknowledged), for a stream that makes no
/// progress, for a connection without streams.
///
/// # Errors
///
/// A malformed request ends its stream only: the connection sends RST_STREAM, and returns
/// [`Event::Reset`](crate::Event::Reset) if it has returned the request before. What breaks the
/// connection ends it: `receive` returns an error once, the output ends with GOAWAY, and all
/// streams are closed.
///
/// # What it holds
///
/// Everything is bounded by [`Config`]:
///
/// | what | bytes at most |
/// |---|---|
/// | a part of a frame; DATA is never held | `max_frame_size` + 9 |
/// | a header block in several frames | 5 × `max_header_list_size`, or `max_frame_size` if that is more |
/// | the tables of HPACK | 44/32 × (`header_table_size` + 4,096), and the index of the encoder |
/// | fields that were checked, of the table of requests | 32 × 376 |
/// | frames to be sent, small DATA among them | 32 KiB + one frame, and the heads, trailers and WINDOW_UPDATE of the streams that are open; their vector may have twice the capacity |
/// | streams | `max_concurrent_streams`, about 200 bytes each |
/// | larger response data | one piece for each stream, as large as the caller makes it |
/// | streams whose data was sent, until the caller asks for them by [`poll_writable`](Self::poll_writable) or [`poll_sent`](Self::poll_sent) | 8 each |
/// | priorities of requests that have not arrived, identifiers of streams that were reset | 16 and 64 |
///
/// The data of requests is the caller's at once. What it does not release, the windows bound:
/// `initial_connection_window_size` for all streams.
///
/// Memory is allocated when it is needed. [`shrink`](Self::shrink) frees what an idle connection
/// does not need.
pub struct Connection {
    config: Config,
    input: Input,
    /// The first bytes of a frame whose rest has not arrived. Empty, and without memory, otherwise.
    partial: Vec<u8>,
    block: Option<Box<PartialBlock>>,
    decoder: Decoder,
    cache: FieldCache,
    encoder: Encoder,
    peer: PeerSettings,
    /// The client's SETTINGS have arrived.
    has_peer_settings: bool,
    streams: Streams,
    schedule: Schedule,
    output: Output,
    send_window: SendWindow,
    /// Bytes of all streams' data that wait to be sent.
    queued: usize,
    /// Streams that wait for the connection's window. Each is here once at most.
    asking: VecDeque<StreamId>,
    receive_window: ReceiveWindow,
    /// The window of a new stream's request body: the largest of the one that the client has
    /// acknowledged and of `announced`.
    stream_window: u32,
    acknowledged_window: u32,
    /// The windows in SETTINGS that the client has not acknowledged.
    announced: VecDeque<u32>,
    /// Streams whose data was sent. Each is here once at most.
    writable: VecDeque<StreamId>,
    /// The client sends priorities, so that the defaults of RFC 9218 apply.
    prioritizes: bool,
    /// Priorities of streams that are idle.
    early_priorities: Vec<(u32, Priority)>,
    /// Requests above are ignored (RFC 9113 section 6.8).
    accepts_up_to: u32,
    ended: bool,
    stats: Stats,
}

/// The highest identifier of a stream.
const MAX_STREAM: u32 = (1 << 31) - 1;

impl Connection {
    /// A connection whose output begins with the server's SETTINGS (RFC 9113 section 3.4).
    pub fn new(config: Config) -> Self {
        let mut output = Output::default();
        settings::encode(&config, output.bytes());
        let window = config.initial_connection_window_size;
        if window > DEFAULT_WINDOW {
            output.window_update(0, window - DEFAULT_WINDOW);
        }
        Self {
            config,
            input: Input::Preface(0),
            partial: Vec::new(),
            block: None,
            // The client may use the defaults until it knows the settings: a smaller table or
            // window applies when it acknowledges them.
            decoder: Decoder::new(config.header_table_size.max(DEFAULT_HEADER_TABLE_SIZE) as usize),
            cache: FieldCache::default(),
            encoder: Encoder::new(),
            peer: PeerSettings::default(),
            has_peer_settings: false,
            streams: Streams::default(),
            schedule: Schedule::default(),
            output,
            send_window: SendWindow::new(DEFAULT_WINDOW),
            queued: 0,
            asking: VecDeque::new(),
            receive_window: ReceiveWindow::new(window),
            stream_window: config.initial_stream_window_size.max(DEFAULT_WINDOW),
            acknowledged_window: DEFAULT_WINDOW,
            announced: VecDeque::from([config.initial_stream_window_size]),
            writable: VecDeque::new(),
            prioritizes: false,
            early_priorities: Vec::new(),
            accepts_up_to: MAX_STREAM,
            ended: false,
            stats: Stats::default(),
        }
    }

    /// What the client has set.
    pub fn peer_settings(&self) -> &PeerSettings {
        &self.peer
    }

    /// Counts of what the client has sent.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// How many streams are open or half-closed.
    pub fn open_streams(&self) -> usize {
        self.streams.len()
    }

    /// Whether the client has sent its preface, with SETTINGS (RFC 9113 section 3.4).
    pub fn is_established(&self) -> bool {
        self.has_peer_settings
    }

    /// Whether the client has not acknowledged the server's SETTINGS yet.
    pub fn awaits_settings_ack(&self) -> bool {
        !self.announced.is_empty()
    }

    /// Whether the input so far ends within a frame, within a header block or within the preface: a
    /// client that closes its side now has cut something off.
    pub fn is_within_frame(&self) -> bool {
        match self.input {
            Input::Preface(_) | Input::Data(_) | Input::Skip(_) => true,
            Input::Frame => !self.partial.is_empty() || self.block.is_some(),
        }
    }

    /// Whether the connection takes no more input, because of an error or of
    /// [`close`](Self::close).
    pub fn is_ended(&self) -> bool {
        self.ended
    }

    /// Frees memory that a connection without streams does not need, but for 1 KiB that one request
    /// at a time needs again. Call it before a wait for the client.
    pub fn shrink(&mut self) {
        self.output.shrink();
        self.streams.shrink();
        if self.streams.is_empty() {
            for list in [&mut self.writable, &mut self.asking] {
                if list.is_empty() && list.capacity() > 4 {
                    *list = VecDeque::new();
                }
            }
        }
    }

    /// Ends everything: GOAWAY is the last frame.
    fn end(&mut self, code: ErrorCode) {
        if self.ended {
            return;
        }
        self.ended = true;
        let last = self.streams.last().min(self.accepts_up_to);
        self.output.go_away(last, code);
        self.schedule.clear();
        self.streams.clear();
        self.writable = VecDeque::new();
        self.asking = VecDeque::new();
        self.queued = 0;
        self.early_priorities = Vec::new();
        self.partial = Vec::new();
        self.block = None;
        self.input = Input::Frame;
    }

    /// Applies the window that request bodies have now to all streams.
    fn resize_receive_windows(&mut self) {
        let announced = self.announced.iter().copied();
        let window = announced.fold(self.acknowledged_window, u32::max);
        if window == self.stream_window {
            return;
        }
        self.stream_window = window;
        for (_, stream) in self.streams.iter_mut() {
            let increment = stream.receive_window.resize(window);
            if let Some(increment) = increment.filter(|_| stream.receives) {
                self.output.window_update(stream.number, increment);
            }
        }
    }

    /// END_STREAM is in the output: the stream may be closed.
    fn sent_all(&mut self, id: StreamId) {
        let Some(stream) = self.streams.get(id) else {
            return;
        };
        stream.sending = Sending::Ended;
        if stream.is_closed() {
            self.remove(id.slot);
        } else if stream.resets_when_sent {
            self.remove(id.slot);
            self.reset_number(id.number, ErrorCode::NO_ERROR);
        }
    }

    /// Removes a stream that is closed.
    fn remove(&mut self, slot: u32) {
        self.schedule.remove(slot, &mut self.streams);
        if let Some(stream) = self.streams.remove(slot) {
            self.queued -= stream.data.len();
            if stream.asks == Asks::Connection {
                self.asking.retain(|id| id.slot != slot);
            }
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("open_streams", &self.open_streams())
            .field("is_ended", &self.ended)
            .field("stats", &self.stats)
            .finish_non_exhaustive()
    }
}

impl From<crate::hpack::Error> for ConnectionError {
    fn from(error: crate::hpack::Error) -> Self {
        use crate::hpack::Error;
        match error {
            Error::ListTooLarge | Error::ListFarTooLarge => Self::new(
                ErrorCode::ENHANCE_YOUR_CALM,
                "a header list far above the limit",
            ),
            _ => Self::new(
                ErrorCode::COMPRESSION_ERROR,
                "a header block that cannot be decoded",
            ),
        }
    }
}
