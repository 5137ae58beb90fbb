//! A server in memory on a [`Connection`], and the frames that it sends.

// Each test uses a part.
#![allow(dead_code)]

use std::collections::BTreeMap;

use bytes::Bytes;
use corelane_http2::{Connection, ConnectionError, ErrorCode, Event, StreamId};
use http::{HeaderMap, Method, StatusCode};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
/// Flags (RFC 9113 section 6).
const ACK: u8 = 1;
const END_STREAM: u8 = 1;

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

    pub fn is_ack(&self, of: u8) -> bool {
        self.kind == of && self.flags & ACK != 0
    }

    pub fn ends_stream(&self) -> bool {
        matches!(self.kind, DATA | HEADERS) && self.flags & END_STREAM != 0
    }

    pub fn number(&self, at: usize) -> u32 {
        u32::from_be_bytes(self.payload[at..at + 4].try_into().expect("four bytes"))
    }
}

/// Takes whole frames off the front.
pub fn take_frames(bytes: &mut Vec<u8>) -> Vec<Frame> {
    let mut frames = Vec::new();
    let mut rest = &bytes[..];
    while let Some((&[a, b, c, kind, flags, stream @ ..], payload)) = rest.split_first_chunk::<9>()
    {
        let length = u32::from_be_bytes([0, a, b, c]) as usize;
        let Some((payload, after)) = payload.split_at_checked(length) else {
            break;
        };
        frames.push(Frame {
            kind,
            flags,
            stream: u32::from_be_bytes(stream),
            payload: payload.to_vec(),
        });
        rest = after;
    }
    *bytes = rest.to_vec();
    frames
}

/// An event, such that pieces of data make no difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    Request(u32, String, bool),
    Data(u32, Vec<u8>, bool),
    Trailers(u32, HeaderMap),
    Reset(u32, ErrorCode, bool),
    Other(String),
    Error(ErrorCode),
}

/// What a request asks for, by its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    /// `/bytes/N`: N bytes at once.
    Bytes(usize),
    /// `/wait`: the body is read, and nothing answered.
    Wait,
    /// `/unread`: the body is not even released.
    Unread,
    /// Anything else: the length of the body.
    Length,
    /// This status alone.
    Status(StatusCode),
}

#[derive(Debug)]
struct Exchange {
    stream: StreamId,
    wish: Wish,
    body: usize,
    ended: bool,
    responded: bool,
    /// Bytes of the response that the connection has not taken yet.
    left: usize,
}

/// Handles events at the end of each step, so that the cuts of the input make no difference.
pub struct Service {
    pub connection: Connection,
    /// By the identifiers of their streams.
    exchanges: BTreeMap<u32, Exchange>,
    /// By the identifiers of their streams.
    unreleased: BTreeMap<u32, (StreamId, usize)>,
    /// The client sends no more requests.
    is_last: bool,
    pub error: Option<ConnectionError>,
    pub seen: Vec<Seen>,
    pub output: Vec<u8>,
    /// How much the buffers for output take, in turns.
    pub rooms: Vec<usize>,
    turn: usize,
}

/// Bytes of a piece of a response.
const PIECE: usize = 10_000;

impl Service {
    pub fn new(connection: Connection) -> Self {
        Self {
            connection,
            exchanges: BTreeMap::new(),
            unreleased: BTreeMap::new(),
            is_last: false,
            error: None,
            seen: Vec::new(),
            output: Vec::new(),
            rooms: vec![16 * 1024],
            turn: 0,
        }
    }

    /// Gives bytes to the connection.
    pub fn receive(&mut self, mut input: &[u8]) {
        while !input.is_empty() {
            match self.connection.receive(&mut input) {
                Ok(Some(event)) => {
                    self.is_last |= matches!(event, Event::GoAway { .. });
                    let seen = see(&mut self.exchanges, &mut self.unreleased, &event);
                    self.note(seen);
                }
                Ok(None) if input.is_empty() => return,
                Ok(None) => self.transmit(),
                Err(error) => {
                    self.error = Some(error);
                    self.note(Seen::Error(error.code()));
                }
            }
        }
    }

    fn note(&mut self, seen: Seen) {
        if let (Some(Seen::Data(stream, data, end)), Seen::Data(of, more, ends)) =
            (self.seen.last_mut(), &seen)
            && stream == of
            && !*end
        {
            data.extend_from_slice(more);
            *end = *ends;
            return;
        }
        self.seen.push(seen);
    }

    /// Handles what was received, and sends everything that can be sent.
    pub fn act(&mut self) {
        self.handle();
        if self.is_last && self.connection.open_streams() == 0 {
            self.connection.close(ErrorCode::NO_ERROR);
            self.transmit();
        }
    }

    fn handle(&mut self) {
        for (stream, bytes) in std::mem::take(&mut self.unreleased).into_values() {
            self.connection.release_capacity(stream, bytes);
        }
        for exchange in self.exchanges.values_mut() {
            exchange.act(&mut self.connection);
        }
        let connection = &self.connection;
        self.exchanges.retain(|_, it| connection.is_open(it.stream));
        loop {
            self.transmit();
            let mut more = false;
            while let Some(stream) = self.connection.poll_writable() {
                if let Some(exchange) = self.exchanges.get_mut(&stream.number()) {
                    exchange.send(&mut self.connection);
                    more = true;
                }
            }
            if !more {
                return;
            }
        }
    }

    /// # Panics
    ///
    /// If the connection wants to send but does not.
    pub fn transmit(&mut self) {
        while self.connection.wants_transmit() {
            let room = self.rooms[self.turn % self.rooms.len()];
            self.turn += 1;
            let before = self.output.len();
            let n = self.connection.transmit(&mut self.output, room);
            assert!(n > 0, "no progress");
            assert!(n <= room && self.output.len() == before + n);
        }
    }

    pub fn frames(&mut self) -> Vec<Frame> {
        take_frames(&mut self.output)
    }

    /// Bytes of the response to this stream that were not sent.
    pub fn unsent(&self, stream: u32) -> usize {
        let found = self.exchanges.get(&stream);
        found.map_or(0, |it| it.left + self.connection.queued(it.stream))
    }
}

impl Exchange {
    fn new(stream: StreamId, wish: Wish, ended: bool) -> Self {
        let left = match wish {
            Wish::Bytes(length) => length,
            _ => 0,
        };
        Self {
            stream,
            wish,
            body: 0,
            ended,
            responded: false,
            left,
        }
    }

    fn act(&mut self, connection: &mut Connection) {
        let status = match self.wish {
            Wish::Bytes(_) => StatusCode::OK,
            Wish::Status(status) => status,
            Wish::Length if self.ended => StatusCode::OK,
            _ => return,
        };
        if std::mem::replace(&mut self.responded, true) {
            return;
        }
        let body = (self.wish == Wish::Length).then(|| self.body.to_string());
        let ends = self.left == 0 && body.is_none();
        // Errors say that the stream is closed.
        let _ = connection.respond(self.stream, status, &HeaderMap::new(), ends);
        if matches!(self.wish, Wish::Status(_)) {
            let _ = connection.reset_when_sent(self.stream);
        }
        match body {
            Some(body) => drop(connection.send_data(self.stream, body.into(), true)),
            None if ends => {}
            None => self.send(connection),
        }
    }

    fn send(&mut self, connection: &mut Connection) {
        let piece = self.left.min(PIECE);
        self.left -= piece;
        let data = Bytes::from(vec![b'x'; piece]);
        let _ = connection.send_data(self.stream, data, self.left == 0);
    }
}

fn see(
    exchanges: &mut BTreeMap<u32, Exchange>,
    unreleased: &mut BTreeMap<u32, (StreamId, usize)>,
    event: &Event<'_>,
) -> Seen {
    match event {
        Event::Request { stream, head, end } => {
            let path = head.uri.path();
            let wish = match path.strip_prefix("/bytes/").map(str::parse) {
                // As the server does.
                _ if head.method == Method::CONNECT => Wish::Status(StatusCode::METHOD_NOT_ALLOWED),
                Some(Ok(length)) => Wish::Bytes(length),
                _ if path == "/wait" => Wish::Wait,
                _ if path == "/unread" => Wish::Unread,
                _ => Wish::Length,
            };
            exchanges.insert(stream.number(), Exchange::new(*stream, wish, *end));
            Seen::Request(stream.number(), format!("{head:?}"), *end)
        }
        Event::HeadTooLarge { stream, end } => {
            exchanges.insert(
                stream.number(),
                Exchange::new(
                    *stream,
                    Wish::Status(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE),
                    *end,
                ),
            );
            Seen::Request(stream.number(), "too large".to_owned(), *end)
        }
        Event::Data { stream, data, end } => {
            let exchange = exchanges
                .get_mut(&stream.number())
                .expect("a request came before");
            exchange.body += data.len();
            exchange.ended |= end;
            if exchange.wish != Wish::Unread {
                unreleased.entry(stream.number()).or_insert((*stream, 0)).1 += data.len();
            }
            Seen::Data(stream.number(), data.to_vec(), *end)
        }
        Event::Trailers { stream, trailers } => {
            exchanges
                .get_mut(&stream.number())
                .expect("a request came before")
                .ended = true;
            Seen::Trailers(stream.number(), trailers.clone())
        }
        Event::Reset {
            stream,
            code,
            by_peer,
        } => {
            exchanges
                .remove(&stream.number())
                .expect("a request came before");
            Seen::Reset(stream.number(), *code, *by_peer)
        }
        other => Seen::Other(format!("{other:?}")),
    }
}
