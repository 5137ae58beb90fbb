//! A connection and its caller.

use std::collections::{BTreeMap, BTreeSet};

use corelane_http2::{Config, Connection, ErrorCode, Event, StreamId};

use crate::{
    client::Client,
    memory::{HELD, STREAMS, count},
};

/// Bytes of the caller's buffer for output.
const ROOM: usize = 16 * 1024;

/// Bytes of output with which the connection takes no more input.
const FULL: usize = 16 * 1024;

/// Bytes of the answers to one frame: SETTINGS may open the window of each stream.
const ANSWERS: usize = 13 * STREAMS as usize + 64;

/// An event, such that pieces of data make no difference.
#[derive(Debug, PartialEq, Eq)]
pub enum Seen {
    Data(StreamId, Vec<u8>, bool),
    Other(String),
}

/// A stream as its events tell.
pub struct Stream {
    pub id: StreamId,
    /// More of the request may come.
    pub receives: bool,
    /// Bytes of data that were not released.
    pub unreleased: usize,
    /// Nothing follows what was queued of the response.
    pub ends: bool,
    /// Bytes of it that were queued.
    pub queued: usize,
}

pub struct Server {
    pub connection: Connection,
    /// What the connection has allocated, bytes.
    pub held: isize,
    /// The longest output since it was shrunk.
    pub longest: usize,
    pub output: Vec<u8>,
    pub seen: Vec<Seen>,
    pub streams: BTreeMap<u32, Stream>,
    /// Streams that `poll_writable` and `poll_capacity` have to name.
    pub unnamed: BTreeSet<u32>,
    pub asking: BTreeSet<u32>,
    error: Option<ErrorCode>,
    /// Bytes of all trailers.
    pub trailers: usize,
}

impl Server {
    pub fn new(config: Config) -> Self {
        let mut held = 0;
        Self {
            connection: count(&mut held, || Connection::new(config)),
            held,
            longest: 0,
            output: Vec::new(),
            seen: Vec::new(),
            streams: BTreeMap::new(),
            unnamed: BTreeSet::new(),
            asking: BTreeSet::new(),
            error: None,
            trailers: 0,
        }
    }

    pub fn receive(&mut self, mut input: &[u8]) {
        loop {
            let waiting = self.connection.pending_output();
            let connection = &mut self.connection;
            let received = count(&mut self.held, || connection.receive(&mut input));
            let output = self.connection.pending_output();
            assert!(
                output <= waiting.max(FULL + ANSWERS),
                "{output} bytes of answers"
            );
            match received {
                Ok(Some(event)) => {
                    let seen = self.see(&event);
                    self.note(seen);
                    count(&mut self.held, || drop(event));
                }
                Ok(None) if input.is_empty() => break,
                Ok(None) => {
                    assert!(output >= FULL, "input is left");
                    self.transmit(ROOM);
                }
                Err(error) => {
                    assert!(self.error.is_none() && input.is_empty());
                    assert!(self.connection.is_ended());
                    self.error = Some(error.code());
                    self.seen.push(Seen::Other(error.to_string()));
                }
            }
        }
        self.check();
    }

    fn note(&mut self, seen: Seen) {
        if let (Some(Seen::Data(stream, data, end)), Seen::Data(of, more, ends)) =
            (self.seen.last_mut(), &seen)
            && stream == of
        {
            assert!(!*end);
            data.extend_from_slice(more);
            *end = *ends;
            return;
        }
        self.seen.push(seen);
    }

    fn see(&mut self, event: &Event<'_>) -> Seen {
        assert!(self.error.is_none(), "{event:?} behind an error");
        match event {
            Event::Request { stream, end, .. } | Event::HeadTooLarge { stream, end } => {
                let last = self.streams.last_key_value();
                assert!(last.is_none_or(|(last, _)| *last < stream.number()));
                assert!(stream.slot() < STREAMS as usize);
                assert!(self.connection.is_open(*stream));
                let entry = Stream {
                    id: *stream,
                    receives: !end,
                    unreleased: 0,
                    ends: false,
                    queued: 0,
                };
                self.streams.insert(stream.number(), entry);
            }
            Event::Data { stream, data, end } => {
                assert!(*end || !data.is_empty());
                let known = self.stream(*stream);
                assert!(std::mem::replace(&mut known.receives, !end));
                known.unreleased += data.len();
                return Seen::Data(*stream, data.to_vec(), *end);
            }
            Event::Trailers { stream, .. } => {
                let known = self.stream(*stream);
                assert!(std::mem::replace(&mut known.receives, false));
            }
            Event::Reset { stream, .. } => {
                self.stream(*stream).receives = false;
                assert!(!self.connection.is_open(*stream));
            }
            Event::PriorityChanged { stream, .. } => {
                self.stream(*stream);
                assert!(self.connection.is_open(*stream));
            }
            _ => {}
        }
        Seen::Other(format!("{event:?}"))
    }

    pub fn stream(&mut self, id: StreamId) -> &mut Stream {
        let stream = self.streams.get_mut(&id.number()).expect("a request");
        assert_eq!(stream.id, id);
        stream
    }

    pub fn transmit(&mut self, room: usize) {
        // The memory of the output is the caller's.
        self.output.reserve(room);
        let before = self.output.len();
        let wants = self.connection.wants_transmit();
        let n = count(&mut self.held, || {
            self.connection.transmit(&mut self.output, room)
        });
        assert!(n <= room && self.output.len() == before + n);
        assert!(n > 0 || !wants || room < 10, "no progress");
        assert!(n == 0 || wants);
        self.check();
    }

    pub fn transmit_all(&mut self) {
        while self.connection.wants_transmit() {
            self.transmit(ROOM);
        }
        assert_eq!(self.connection.pending_output(), 0);
    }

    /// What holds at any time.
    pub fn check(&mut self) {
        let it = &self.connection;
        assert!(it.open_streams() <= STREAMS as usize);
        assert!(!it.is_ended() || it.open_streams() == 0);
        self.longest = self.longest.max(it.pending_output());
        let queued: usize = self.streams.values().map(|one| it.queued(one.id)).sum();
        let most = HELD + (2 * (self.longest + FULL) + queued + 4 * self.trailers) as isize;
        assert!(self.held <= most, "{} of {most} bytes", self.held);
    }

    /// Everything was transmitted, and the client has it.
    pub fn check_that_nothing_waits(&mut self, client: &Client) {
        if self.connection.is_ended() {
            return;
        }
        self.poll_writable();
        self.poll_capacity();
        let it = &self.connection;
        let mut all = 0;
        for (number, stream) in &self.streams {
            let queued = it.queued(stream.id);
            all += queued;
            if !it.is_open(stream.id) {
                assert_eq!(queued, 0);
                continue;
            }
            let received = client.check_upload(*number, stream.receives);
            assert_eq!(queued, stream.queued - received);
            let window = client.window(*number);
            assert!(
                queued == 0 || window.min(client.window(0)) <= 0,
                "data waits"
            );
            if stream.ends || queued > 0 {
                continue;
            }
            assert!(!self.unnamed.contains(number), "data was sent");
            let has_capacity = window > 0 && it.connection_capacity() > 0;
            assert!(!has_capacity || !self.asking.contains(number), "capacity");
        }
        let capacity = client.window(0) - all as i64;
        assert_eq!(it.connection_capacity() as i64, capacity.max(0));
        client.check_answers();
    }

    /// It leaves nothing behind.
    pub fn end(mut self) {
        count(&mut self.held, || drop(self.connection));
        assert_eq!(self.held, 0);
    }
}
