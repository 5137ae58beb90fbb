//! What a client knows of the connection, and what it may get.

use std::collections::{BTreeMap, VecDeque};

use corelane_http2::hpack::Decoder;
use corelane_test_frames::{ACK, END_HEADERS, END_STREAM, PREFACE, kind, setting};

use crate::{
    command::{Done, Fields, body},
    frame::{Head, flags, number, values},
};

const DEFAULT_WINDOW: i64 = 65_535;

/// Only what it has sent in full counts, as the server cannot know more.
pub struct Client {
    /// Bytes of the preface that are missing.
    preface: usize,
    /// The first bytes of a frame, and how much is left of a DATA frame.
    unsent: Vec<u8>,
    data_left: usize,
    /// The highest stream of HEADERS.
    last: u32,
    /// SETTINGS and PING without an answer.
    settings: VecDeque<Vec<u8>>,
    pings: VecDeque<Vec<u8>>,
    /// PING of the server.
    expected_pings: VecDeque<[u8; 8]>,
    /// 0 is the connection.
    streams: BTreeMap<u32, Stream>,
    initial_window: i64,
    max_frame_size: usize,
    /// SETTINGS_INITIAL_WINDOW_SIZE of the server, and how many the client has acknowledged.
    announced: Vec<i64>,
    acknowledged: usize,
    connection_size: i64,
    unread: Vec<u8>,
    decoder: Decoder,
    block: Option<(u32, bool, Vec<u8>)>,
    /// The type of the last frame.
    kind: Option<u8>,
    goaway: u32,
}

#[derive(Default)]
struct Stream {
    /// Bytes that the server may send, without the initial window.
    window: i64,
    /// Bytes of DATA that were sent, and the sum of WINDOW_UPDATE.
    uploaded: i64,
    credited: i64,
    /// What the server's caller has queued and the client has not got.
    heads: VecDeque<(Fields, bool)>,
    queued: usize,
    trailers: Option<Fields>,
    ends: bool,
    /// Bytes of the response.
    received: usize,
    ended: bool,
    reset: bool,
}

impl Client {
    /// `connection_size`: the window of all request bodies.
    pub fn new(connection_size: i64) -> Self {
        let connection = Stream {
            window: DEFAULT_WINDOW,
            ..Stream::default()
        };
        Self {
            preface: PREFACE.len(),
            unsent: Vec::new(),
            data_left: 0,
            last: 0,
            settings: VecDeque::new(),
            pings: VecDeque::new(),
            expected_pings: VecDeque::new(),
            streams: BTreeMap::from([(0, connection)]),
            initial_window: DEFAULT_WINDOW,
            max_frame_size: 16_384,
            announced: Vec::new(),
            acknowledged: 0,
            connection_size,
            unread: Vec::new(),
            decoder: Decoder::new(4096),
            block: None,
            kind: None,
            goaway: u32::MAX,
        }
    }

    fn stream(&mut self, number: u32) -> &mut Stream {
        self.streams.entry(number).or_default()
    }

    /// The window of a stream, or of the connection, for what the server sends.
    pub fn window(&self, number: u32) -> i64 {
        let initial = if number == 0 { 0 } else { self.initial_window };
        initial + self.streams.get(&number).map_or(0, |it| it.window)
    }

    /// The client sends these bytes.
    pub fn sends(&mut self, bytes: &[u8]) {
        self.unsent.extend_from_slice(bytes);
        let mut bytes = std::mem::take(&mut self.unsent);
        let mut rest = &bytes[self.preface.min(bytes.len())..];
        self.preface -= bytes.len() - rest.len();
        loop {
            let skipped = self.data_left.min(rest.len());
            self.data_left -= skipped;
            rest = &rest[skipped..];
            let Some((head, after)) = rest.split_first_chunk::<9>() else {
                break;
            };
            let mut frame = Head::parse(head);
            // Servers ignore the reserved bit, and do not send it.
            frame.stream &= 0x7fff_ffff;
            if frame.kind == kind::DATA {
                let length = frame.length as i64;
                self.stream(frame.stream).uploaded += length;
                if frame.stream > 0 {
                    self.stream(0).uploaded += length;
                }
                self.data_left = frame.length;
                rest = after;
                continue;
            }
            let Some((payload, after)) = after.split_at_checked(frame.length) else {
                break;
            };
            self.send(&frame, payload);
            rest = after;
        }
        let taken = bytes.len() - rest.len();
        bytes.drain(..taken);
        self.unsent = bytes;
    }

    /// Frames that are malformed end the connection, or change nothing.
    fn send(&mut self, frame: &Head, payload: &[u8]) {
        match (frame.kind, payload.len()) {
            (kind::HEADERS, _) => {
                self.stream(frame.stream);
                self.last = self.last.max(frame.stream);
            }
            (kind::SETTINGS, _) if frame.flags & ACK == 0 => {
                self.settings.push_back(payload.to_vec());
            }
            (kind::SETTINGS, _) => self.acknowledged += 1,
            (kind::PING, 8) if frame.flags & ACK == 0 => self.pings.push_back(payload.to_vec()),
            (kind::WINDOW_UPDATE, 4) => {
                let increment = i64::from(number(payload, 0) & 0x7fff_ffff);
                self.stream(frame.stream).window += increment;
            }
            _ => {}
        }
    }

    /// The server's caller has done this.
    pub fn expect(&mut self, done: &Done) {
        match done {
            Done::Head(number, fields, end) => {
                let stream = self.stream(*number);
                stream.ends |= end;
                stream.heads.push_back((fields.clone(), *end));
            }
            Done::Data(number, length, end) => {
                let stream = self.stream(*number);
                assert!(!stream.ends);
                stream.ends |= end;
                stream.queued += length;
            }
            Done::Trailers(number, fields) => {
                let stream = self.stream(*number);
                assert!(!stream.ends);
                stream.ends = true;
                stream.trailers = Some(fields.clone());
            }
            Done::Ping(payload) => self.expected_pings.push_back(*payload),
            Done::Other(_) => {}
        }
    }

    /// The client gets these bytes.
    pub fn receives(&mut self, bytes: &[u8]) {
        self.unread.extend_from_slice(bytes);
        let mut bytes = std::mem::take(&mut self.unread);
        let mut rest = &bytes[..];
        while let Some((head, after)) = rest.split_first_chunk::<9>() {
            let frame = Head::parse(head);
            assert!(frame.length <= self.max_frame_size, "{frame:?}");
            let Some((payload, after)) = after.split_at_checked(frame.length) else {
                break;
            };
            self.receive(&frame, payload);
            self.kind = Some(frame.kind);
            rest = after;
        }
        let taken = bytes.len() - rest.len();
        bytes.drain(..taken);
        self.unread = bytes;
    }

    fn receive(&mut self, frame: &Head, payload: &[u8]) {
        let is_first = self.kind.is_none();
        assert!(!is_first || frame.kind == kind::SETTINGS && frame.flags == 0);
        if let Some((stream, ..)) = self.block {
            assert!(frame.kind == kind::CONTINUATION && frame.stream == stream);
        }
        assert!(frame.flags & !flags(frame.kind) == 0, "{frame:?}");
        let is_of_connection = matches!(frame.kind, kind::SETTINGS | kind::PING | kind::GOAWAY);
        if is_of_connection || frame.kind == kind::WINDOW_UPDATE && frame.stream == 0 {
            assert_eq!(frame.stream, 0);
        } else {
            assert!(frame.stream % 2 == 1 && frame.stream <= self.last);
            let reset = self.stream(frame.stream).reset;
            assert!(
                !reset || frame.kind == kind::RST_STREAM,
                "{frame:?} behind a reset"
            );
        }
        let ends = frame.flags & END_STREAM != 0;
        match frame.kind {
            kind::DATA => self.data(frame.stream, payload, ends),
            kind::HEADERS => {
                self.block = Some((frame.stream, ends, payload.to_vec()));
                self.continued(frame);
            }
            kind::CONTINUATION => {
                let block = self.block.as_mut().expect("HEADERS");
                block.2.extend_from_slice(payload);
                self.continued(frame);
            }
            kind::RST_STREAM => {
                assert_eq!(payload.len(), 4);
                self.stream(frame.stream).reset = true;
            }
            kind::SETTINGS if frame.flags & ACK != 0 => {
                assert!(payload.is_empty());
                let settings = self.settings.pop_front().expect("SETTINGS");
                self.apply(&settings);
            }
            kind::SETTINGS => {
                assert_eq!(payload.len() % 6, 0);
                let sizes = values(payload, setting::INITIAL_WINDOW_SIZE);
                self.announced.push(sizes.last().unwrap_or(DEFAULT_WINDOW));
            }
            kind::PING if frame.flags & ACK != 0 => {
                assert_eq!(self.pings.pop_front().as_deref(), Some(payload));
            }
            kind::PING => {
                let expected = self.expected_pings.pop_front().expect("a command");
                assert_eq!(payload, expected);
            }
            kind::GOAWAY => {
                assert_eq!(payload.len(), 8);
                let last = number(payload, 0);
                assert!(last <= self.goaway);
                self.goaway = last;
            }
            kind::WINDOW_UPDATE => {
                assert_eq!(payload.len(), 4);
                let increment = i64::from(number(payload, 0));
                assert!((1..1 << 31).contains(&increment));
                let above = match frame.stream {
                    0 => self.connection_size - DEFAULT_WINDOW,
                    _ => 0,
                };
                let stream = self.stream(frame.stream);
                stream.credited += increment;
                assert!(
                    stream.credited <= stream.uploaded + above,
                    "more than was sent"
                );
            }
            _ => panic!("{frame:?}"),
        }
    }

    /// The server has applied these settings.
    fn apply(&mut self, payload: &[u8]) {
        if let Some(size) = values(payload, setting::INITIAL_WINDOW_SIZE).last() {
            self.initial_window = size;
        }
        if let Some(size) = values(payload, setting::MAX_FRAME_SIZE).last() {
            self.max_frame_size = size as usize;
        }
        for size in values(payload, setting::HEADER_TABLE_SIZE) {
            self.decoder.set_max_table_size(size as usize);
        }
    }

    fn data(&mut self, number: u32, payload: &[u8], ends: bool) {
        let length = payload.len();
        let stream = self.stream(number);
        assert!(!stream.ended && stream.heads.is_empty());
        assert_eq!(payload, body(stream.received, length));
        stream.received += length;
        stream.window -= length as i64;
        stream.ended = ends;
        let is_all = stream.received == stream.queued;
        assert!(stream.received <= stream.queued);
        assert!(!ends || is_all && stream.ends && stream.trailers.is_none());
        self.stream(0).window -= length as i64;
        let window = self.window(number).min(self.window(0));
        assert!(length == 0 || window >= 0, "{window}: past a window");
    }

    fn continued(&mut self, frame: &Head) {
        if frame.flags & END_HEADERS == 0 {
            return;
        }
        let (number, ends, block) = self.block.take().expect("a block");
        let mut fields = Fields::new();
        let field = &mut |name: &[u8], value: &[u8], _| {
            fields.push((name.to_vec(), value.to_vec()));
        };
        self.decoder.decode(&block, 1 << 24, field).expect("HPACK");
        let stream = self.stream(number);
        assert!(!stream.ended);
        let expected = stream.heads.pop_front().unwrap_or_else(|| {
            assert_eq!(stream.received, stream.queued);
            (stream.trailers.take().expect("trailers"), true)
        });
        assert_eq!((fields, ends), expected);
        stream.ended = ends;
    }

    /// Everything is answered.
    pub fn check_answers(&self) {
        assert!(self.unread.is_empty() && self.block.is_none());
        assert!(self.settings.is_empty() && self.pings.is_empty());
        assert!(self.expected_pings.is_empty());
        if self.is_between_frames() {
            self.check_window(0, self.connection_size);
        }
    }

    /// The caller has released all data. Returns how much of the response has arrived.
    pub fn check_upload(&self, number: u32, receives: bool) -> usize {
        let stream = &self.streams[&number];
        if receives && self.is_between_frames() {
            let (known, new) = self.announced.split_at(self.acknowledged);
            let size = *known.last().unwrap_or(&DEFAULT_WINDOW);
            self.check_window(number, new.iter().copied().fold(size, i64::max));
        }
        let is_all = stream.received == stream.queued;
        assert!(stream.heads.is_empty());
        assert!(
            !is_all || stream.ended == stream.ends,
            "the end of {number}"
        );
        stream.received
    }

    fn is_between_frames(&self) -> bool {
        self.unsent.is_empty() && self.data_left == 0
    }

    /// At least half of it is announced.
    fn check_window(&self, number: u32, size: i64) {
        let stream = &self.streams[&number];
        let above = match number {
            0 => size - DEFAULT_WINDOW,
            _ => 0,
        };
        let used = stream.uploaded + above - stream.credited;
        assert!(2 * used <= size, "{used} of {size}");
    }

    pub fn check_that_it_ended(&self) {
        assert!(self.unread.is_empty());
        assert_eq!(self.kind, Some(kind::GOAWAY));
    }
}
