//! A server and a client that share two queues of bytes: no sockets, no threads, no runtime.
//!
//! ```console
//! $ cargo run -p corelane-http2 --example two_queues
//! ```
//!
//! The server answers an upload with the same bytes, within the windows of both directions. The
//! client is a few frames written by hand.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;
use corelane_http2::{Config, Connection, ErrorCode, Event, StreamId};
use corelane_test_frames::{self as frames, hpack, kind};
use http::{HeaderMap, StatusCode};

/// Bytes of one direction.
type Queue = Vec<u8>;

/// What a server knows of one request beside its connection.
#[derive(Default)]
struct Echo {
    /// What was received and not sent.
    pieces: VecDeque<Bytes>,
    is_complete: bool,
}

struct Server {
    connection: Connection,
    echoes: HashMap<StreamId, Echo>,
}

impl Server {
    fn new() -> Self {
        Self {
            connection: Connection::new(Config::default()),
            echoes: HashMap::new(),
        }
    }

    /// Takes what the client sent, and sends what there is to send.
    fn exchange(&mut self, from_client: &mut Queue, to_client: &mut Queue) {
        let mut input = &from_client[..];
        // If answers have to leave first, some input is left: once more.
        loop {
            self.receive(&mut input);
            self.send(to_client);
            if input.is_empty() {
                break;
            }
        }
        from_client.clear();
    }

    fn receive(&mut self, input: &mut &[u8]) {
        loop {
            match self.connection.receive(input) {
                Ok(Some(event)) => self.handle(event),
                Ok(None) => break,
                // The client reads the same in GOAWAY. This client is right.
                Err(error) => panic!("{error}"),
            }
        }
    }

    fn handle(&mut self, event: Event<'_>) {
        match event {
            Event::Request { stream, head, end } => {
                println!("server: {} {}", head.method, head.uri);
                let fields = HeaderMap::new();
                // An error would mean that the client has reset the stream: its event follows.
                let _ = self
                    .connection
                    .respond(stream, StatusCode::OK, &fields, false);
                let echo = Echo {
                    is_complete: end,
                    ..Echo::default()
                };
                self.echoes.insert(stream, echo);
                self.continue_response(stream);
            }
            Event::Data { stream, data, end } => {
                if let Some(echo) = self.echoes.get_mut(&stream) {
                    echo.pieces.push_back(Bytes::copy_from_slice(data));
                    echo.is_complete = end;
                }
                self.continue_response(stream);
            }
            Event::HeadTooLarge { stream, .. } => {
                let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
                let fields = HeaderMap::new();
                let _ = self.connection.respond(stream, status, &fields, true);
            }
            Event::Trailers { stream, .. } => {
                if let Some(echo) = self.echoes.get_mut(&stream) {
                    echo.is_complete = true;
                }
                self.continue_response(stream);
            }
            Event::Reset { stream, code, .. } => {
                println!("server: reset by {code}");
                self.echoes.remove(&stream);
            }
            Event::GoAway { .. } => {
                self.connection.go_away();
            }
            _ => {}
        }
        if self.connection.open_streams() == 0 && self.echoes.is_empty() {
            self.connection.shrink();
        }
    }

    /// Gives the connection the next piece, if it has sent the one before. Only then the client may
    /// send more.
    fn continue_response(&mut self, stream: StreamId) {
        let Some(echo) = self.echoes.get_mut(&stream) else {
            return;
        };
        if self.connection.queued(stream) > 0 {
            return;
        }
        let piece = echo.pieces.pop_front().unwrap_or_default();
        let is_last = echo.is_complete && echo.pieces.is_empty();
        let length = piece.len();
        if self.connection.send_data(stream, piece, is_last).is_ok() {
            self.connection.release_capacity(stream, length);
        }
        if is_last {
            self.echoes.remove(&stream);
        }
    }

    fn send(&mut self, to_client: &mut Queue) {
        while self.connection.wants_transmit() {
            self.connection.transmit(to_client, 16 * 1024);
            while let Some(stream) = self.connection.poll_writable() {
                self.continue_response(stream);
            }
        }
    }
}

fn main() {
    let (mut to_server, mut to_client) = (Queue::new(), Queue::new());
    let mut server = Server::new();
    to_server.extend_from_slice(frames::PREFACE);
    to_server.extend(frames::settings(&[]));
    to_server.extend(frames::headers(
        1,
        frames::END_HEADERS,
        &hpack::post("/echo"),
    ));
    // As much as the server's window takes at first; then as much as it grants.
    let (mut left, mut window) = (300_000_usize, 65_535_usize);
    let mut received = 0;
    while server.connection.open_streams() > 0 || left > 0 {
        while left > 0 && window > 0 {
            let length = left.min(window).min(16 * 1024);
            left -= length;
            window -= length;
            to_server.extend(frames::data(1, u8::from(left == 0), &vec![0; length]));
        }
        server.exchange(&mut to_server, &mut to_client);
        for (kind, flags, stream, payload) in take_frames(&mut to_client) {
            match kind {
                kind::SETTINGS if flags & frames::ACK == 0 => {
                    to_server.extend(frames::settings_ack())
                }
                kind::WINDOW_UPDATE if stream == 1 => {
                    let increment = payload.try_into().map(u32::from_be_bytes);
                    window += increment.expect("four bytes") as usize;
                }
                kind::DATA => {
                    received += payload.len();
                    let length = payload.len() as u32;
                    if length > 0 {
                        to_server.extend(frames::window_update(0, length));
                        to_server.extend(frames::window_update(1, length));
                    }
                }
                _ => {}
            }
        }
    }
    println!("client: {received} bytes came back");
    assert_eq!(received, 300_000);
    server.connection.close(ErrorCode::NO_ERROR);
    server.exchange(&mut to_server, &mut to_client);
}

/// Type, flags, stream and payload of all frames.
fn take_frames(queue: &mut Queue) -> Vec<(u8, u8, u32, Vec<u8>)> {
    let mut found = Vec::new();
    let mut rest = &queue[..];
    while let Some((&[a, b, c, kind, flags, d, e, f, g], tail)) = rest.split_first_chunk() {
        let length = u32::from_be_bytes([0, a, b, c]) as usize;
        let (payload, tail) = tail.split_at(length);
        found.push((
            kind,
            flags,
            u32::from_be_bytes([d, e, f, g]),
            payload.to_vec(),
        ));
        rest = tail;
    }
    queue.clear();
    found
}
