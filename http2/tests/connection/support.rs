//! A connection beside its client, who writes and reads frames by hand.

use corelane_http2::{Config, Connection, ConnectionError, Event, StreamId, hpack::Decoder};
use corelane_test_frames::{self as frames, hpack, kind};
use http::{HeaderMap, StatusCode};

/// A frame of the server's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

impl Frame {
    pub fn is(&self, kind: u8, stream: u32) -> bool {
        self.kind == kind && self.stream == stream
    }

    /// The four bytes at `at`.
    pub fn number(&self, at: usize) -> u32 {
        let bytes = self.payload.get(at..at + 4).expect("long enough");
        u32::from_be_bytes(bytes.try_into().expect("four bytes"))
    }
}

/// An event that borrows nothing.
#[expect(clippy::large_enum_variant)]
#[derive(Debug)]
pub enum Seen {
    Data(StreamId, Vec<u8>, bool),
    Event(Event<'static>),
}

pub struct Pair {
    pub server: Connection,
    decoder: Decoder,
    sent: Vec<u8>,
}

impl Pair {
    /// The prefaces are exchanged and acknowledged.
    pub fn new(config: Config) -> Self {
        let mut pair = Self::unacknowledged(config);
        pair.send(&frames::settings_ack());
        pair
    }

    /// The client has not acknowledged the server's settings.
    pub fn unacknowledged(config: Config) -> Self {
        let mut pair = Self {
            server: Connection::new(config),
            decoder: Decoder::new(4096),
            sent: Vec::new(),
        };
        pair.send(frames::PREFACE);
        pair.send(&frames::settings(&[]));
        let first = pair.frames();
        assert!(first[0].is(kind::SETTINGS, 0), "{first:?}");
        pair
    }

    /// Returns the events.
    pub fn send(&mut self, bytes: &[u8]) -> Vec<Seen> {
        self.try_send(bytes).expect("no error")
    }

    pub fn try_send(&mut self, bytes: &[u8]) -> Result<Vec<Seen>, ConnectionError> {
        let mut input = bytes;
        let mut seen = Vec::new();
        while let Some(event) = self.server.receive(&mut input)? {
            seen.push(match event {
                Event::Data { stream, data, end } => Seen::Data(stream, data.to_vec(), end),
                Event::Request { stream, head, end } => {
                    Seen::Event(Event::Request { stream, head, end })
                }
                Event::HeadTooLarge { stream, end } => {
                    Seen::Event(Event::HeadTooLarge { stream, end })
                }
                Event::Trailers { stream, trailers } => {
                    Seen::Event(Event::Trailers { stream, trailers })
                }
                Event::Reset {
                    stream,
                    code,
                    by_peer,
                } => Seen::Event(Event::Reset {
                    stream,
                    code,
                    by_peer,
                }),
                Event::Settings(settings) => Seen::Event(Event::Settings(settings)),
                Event::SettingsAcknowledged => Seen::Event(Event::SettingsAcknowledged),
                Event::Pong(payload) => Seen::Event(Event::Pong(payload)),
                Event::PriorityChanged { stream, priority } => {
                    Seen::Event(Event::PriorityChanged { stream, priority })
                }
                Event::GoAway { code } => Seen::Event(Event::GoAway { code }),
                _ => panic!("an event without a test"),
            });
        }
        assert!(input.is_empty(), "the output is full");
        Ok(seen)
    }

    /// Opens a stream by a request for this path.
    pub fn request(&mut self, number: u32, path: &str) -> StreamId {
        let request = frames::headers(number, frames::WHOLE, &hpack::get(path));
        stream_of(&self.send(&request))
    }

    /// Opens a stream whose body follows.
    pub fn upload(&mut self, number: u32) -> StreamId {
        let request = frames::headers(number, frames::END_HEADERS, &hpack::post("/"));
        stream_of(&self.send(&request))
    }

    /// Opens a stream and begins a response.
    pub fn responding(&mut self, number: u32) -> StreamId {
        let stream = self.request(number, "/");
        let fields = HeaderMap::new();
        let responded = self.server.respond(stream, StatusCode::OK, &fields, false);
        assert_eq!(responded, Ok(()));
        stream
    }

    /// All that the server sends, in records of this many bytes.
    pub fn frames_in(&mut self, room: usize) -> Vec<Frame> {
        while self.server.wants_transmit() {
            let before = self.sent.len();
            let n = self.server.transmit(&mut self.sent, room);
            assert!(n > 0 && n <= room);
            assert_eq!(self.sent.len(), before + n);
        }
        let mut frames = Vec::new();
        let mut rest = &self.sent[..];
        while let Some((&[a, b, c, kind, flags, d, e, f, g], tail)) = rest.split_first_chunk() {
            let length = u32::from_be_bytes([0, a, b, c]) as usize;
            let (payload, tail) = tail.split_at(length);
            frames.push(Frame {
                kind,
                flags,
                stream: u32::from_be_bytes([d, e, f, g]),
                payload: payload.to_vec(),
            });
            rest = tail;
        }
        assert!(rest.is_empty(), "no frame is cut off");
        self.sent.clear();
        frames
    }

    pub fn frames(&mut self) -> Vec<Frame> {
        self.frames_in(16 * 1024)
    }

    /// Name and value of each field of a header block.
    pub fn fields(&mut self, block: &[u8]) -> Vec<(String, String)> {
        let mut fields = Vec::new();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let decoded = self.decoder.decode(block, 1 << 20, &mut |name, value, _| {
            fields.push((text(name), text(value)));
        });
        assert_eq!(decoded, Ok(()));
        fields
    }

    /// The code of the RST_STREAM that the server sends on this stream.
    pub fn reset_code(&mut self, stream: u32) -> Option<u32> {
        let frames = self.frames();
        let reset = frames.iter().find(|it| it.is(kind::RST_STREAM, stream));
        reset.map(|frame| frame.number(0))
    }
}

/// The stream of the first request.
pub fn stream_of(seen: &[Seen]) -> StreamId {
    let stream = seen.iter().find_map(|it| match it {
        Seen::Event(Event::Request { stream, .. }) => Some(*stream),
        _ => None,
    });
    stream.unwrap_or_else(|| panic!("no request: {seen:?}"))
}

/// The numbers of the streams of DATA frames, and their lengths.
pub fn data_of(frames: &[Frame]) -> Vec<(u32, usize)> {
    let data = frames.iter().filter(|frame| frame.kind == kind::DATA);
    data.map(|frame| (frame.stream, frame.payload.len()))
        .collect()
}
