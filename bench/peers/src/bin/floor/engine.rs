//! A connection by crate corelane-http2.

use std::{
    collections::HashMap,
    io::{self, IoSlice},
    ops::Deref,
};

use bench_peers::{Bodies, answer, octets};
use bytes::Bytes;
use corelane_http2::{Config, Event, StreamId, TransmitBuffer};
use http::{HeaderValue, Request, Response};
use http_body_util::Empty;

use crate::{
    connection::{self, complete, now},
    session::Session,
};

/// Bytes that fill a record.
const RECORD: usize = 16 * 1024;

pub struct Connection {
    session: Session,
    exchange: Exchange,
    output: Pieces,
}

struct Exchange {
    http2: corelane_http2::Connection,
    bodies: &'static Bodies,
    /// Bytes of requests whose body has not arrived yet.
    uploads: HashMap<StreamId, usize>,
}

/// A record: a large piece of a response, and what goes before and behind it.
#[derive(Default)]
struct Pieces {
    before: Vec<u8>,
    data: Bytes,
    behind: Vec<u8>,
}

impl TransmitBuffer for Pieces {
    fn put_slice(&mut self, bytes: &[u8]) {
        match self.data.is_empty() {
            true => self.before.extend_from_slice(bytes),
            false => self.behind.extend_from_slice(bytes),
        }
    }

    fn put_data(&mut self, data: &Bytes, length: usize) {
        match length < 1024 || !self.data.is_empty() {
            true => self.put_slice(&data[..length]),
            false => self.data = data.slice(..length),
        }
    }
}

impl Pieces {
    fn is_empty(&self) -> bool {
        self.before.is_empty() && self.data.is_empty()
    }

    fn clear(&mut self) {
        self.before.clear();
        self.data = Bytes::new();
        self.behind.clear();
    }
}

impl Connection {
    pub fn new(session: Session, bodies: &'static Bodies) -> Self {
        let config = Config::default()
            .max_concurrent_streams(200)
            .initial_stream_window_size(1 << 20)
            .initial_connection_window_size(1 << 20);
        Self {
            session,
            exchange: Exchange {
                http2: corelane_http2::Connection::new(config),
                bodies,
                uploads: HashMap::new(),
            },
            output: Pieces::default(),
        }
    }

    /// False if the connection has ended.
    fn read(&mut self, date: &HeaderValue) -> io::Result<bool> {
        while self.session.fill()?.is_some() {
            let mut input = self.session.plaintext();
            let length = input.len();
            self.exchange.receive(&mut input, date)?;
            let taken = length - input.len();
            // The end, or a client that does not read what it asks for: none of the benchmark's.
            if taken == 0 {
                return Ok(false);
            }
            self.session.consume(taken);
            if taken < length {
                self.send()?;
            }
        }
        self.send()?;
        Ok(!self.exchange.http2.is_ended())
    }

    fn send(&mut self) -> io::Result<()> {
        loop {
            if self.output.is_empty() {
                if !self.exchange.http2.wants_transmit() {
                    break;
                }
                self.exchange.http2.transmit(&mut self.output, RECORD);
            }
            let Pieces {
                before,
                data,
                behind,
            } = &self.output;
            let slices = [before.deref(), data, behind].map(IoSlice::new);
            if self.session.write(&slices)?.is_none() {
                return Ok(());
            }
            self.output.clear();
        }
        self.session.flush()?;
        while self.exchange.http2.poll_writable().is_some() {}
        Ok(())
    }
}

impl Exchange {
    fn receive(&mut self, input: &mut &[u8], date: &HeaderValue) -> io::Result<()> {
        while let Some(event) = self.http2.receive(input).map_err(io::Error::other)? {
            match event {
                Event::Request { stream, head, end } if end => {
                    let request = Request::from_parts(head, Empty::<Bytes>::new());
                    if let Some(Ok(response)) = now(answer(self.bodies, request)) {
                        self.respond(stream, response, date);
                    }
                }
                Event::Request { stream, .. } => {
                    self.uploads.insert(stream, 0);
                }
                Event::Data { stream, data, end } => {
                    let length = self.uploads.entry(stream).or_default();
                    *length += data.len();
                    let length = *length;
                    self.http2.release_capacity(stream, data.len());
                    if end {
                        self.uploads.remove(&stream);
                        self.respond(stream, octets(format!("{length}\n").into()), date);
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn respond(&mut self, stream: StreamId, mut response: Response<Bytes>, date: &HeaderValue) {
        complete(&mut response, date);
        let (head, body) = response.into_parts();
        // Fails only if the client has reset the stream.
        let _ = self
            .http2
            .respond(stream, head.status, &head.headers, false);
        let _ = self.http2.send_data(stream, body, true);
    }
}

impl connection::Connection for Connection {
    fn turn(&mut self, date: &HeaderValue) -> bool {
        self.session.begin_turn();
        self.read(date).unwrap_or(false)
    }

    fn is_blocked(&self) -> bool {
        self.session.is_blocked()
    }
}
