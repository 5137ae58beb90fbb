//! A server of cleartext HTTP/2 with prior knowledge (RFC 9113 section 3.3), a thread for each
//! connection: for h2spec, nghttp, h2load and curl. Without any limit on time or on floods: for
//! development only.
//!
//! ```console
//! $ cargo run --release -p corelane-http2 --example h2c_server -- 127.0.0.1:8080
//! $ curl --http2-prior-knowledge http://127.0.0.1:8080/bytes/100
//! ```
//!
//! It answers with the length of the request's body; `/bytes/N` with N bytes, `/wait` never,
//! `/hint` with 103 before the response. `/unread` neither reads nor answers.

use std::{
    collections::HashMap,
    env, io,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    thread,
};

use bytes::Bytes;
use corelane_http2::{Config, Connection, ErrorCode, Event, StreamId};
use http::{HeaderMap, HeaderValue, StatusCode, header};

fn main() -> io::Result<()> {
    let addr = env::args().nth(1).unwrap_or("127.0.0.1:8080".to_owned());
    for socket in TcpListener::bind(&addr)?.incoming() {
        let socket = socket?;
        thread::spawn(move || Server::new().serve(socket));
    }
    Ok(())
}

/// Bytes of a record of TLS, which a server with TLS would fill.
const RECORD: usize = 16 * 1024;

struct Server {
    connection: Connection,
    /// Requests that are not answered yet.
    requests: HashMap<StreamId, Request>,
}

struct Request {
    path: String,
    received: usize,
}

impl Server {
    fn new() -> Self {
        let config = Config::default()
            .max_concurrent_streams(100)
            .initial_stream_window_size(1 << 20)
            .initial_connection_window_size(1 << 20);
        Self {
            connection: Connection::new(config),
            requests: HashMap::new(),
        }
    }

    fn serve(mut self, mut socket: TcpStream) -> io::Result<()> {
        socket.set_nodelay(true)?;
        let mut input = vec![0; RECORD];
        let mut output = Vec::new();
        self.send(&mut socket, &mut output)?;
        while !self.connection.is_ended() {
            let n = socket.read(&mut input)?;
            if n == 0 {
                break;
            }
            let mut rest = &input[..n];
            while !rest.is_empty() {
                self.receive(&mut rest);
                self.send(&mut socket, &mut output)?;
            }
        }
        // Reads to the end, so that no reset overtakes what was sent.
        socket.shutdown(std::net::Shutdown::Write)?;
        while socket.read(&mut input)? > 0 {}
        Ok(())
    }

    fn receive(&mut self, input: &mut &[u8]) {
        let mut is_leaving = false;
        loop {
            let event = match self.connection.receive(input) {
                Ok(Some(event)) => event,
                Ok(None) => break,
                Err(error) => {
                    eprintln!("{error}");
                    break;
                }
            };
            match event {
                Event::Request { stream, head, end } => {
                    let path = head.uri.path().to_owned();
                    self.requests.insert(stream, Request { path, received: 0 });
                    if end {
                        self.answer(stream);
                    }
                }
                Event::HeadTooLarge { stream, .. } => {
                    let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
                    let _ = self
                        .connection
                        .respond(stream, status, &HeaderMap::new(), true);
                }
                Event::Data { stream, data, end } => {
                    if let Some(request) = self.requests.get_mut(&stream) {
                        request.received += data.len();
                        if request.path != "/unread" {
                            self.connection.release_capacity(stream, data.len());
                        }
                    }
                    if end {
                        self.answer(stream);
                    }
                }
                Event::Trailers { stream, .. } => self.answer(stream),
                Event::Reset { stream, .. } => {
                    self.requests.remove(&stream);
                }
                Event::GoAway { .. } => is_leaving = true,
                _ => {}
            }
        }
        if is_leaving {
            self.connection.go_away();
            if self.connection.open_streams() == 0 {
                self.connection.close(ErrorCode::NO_ERROR);
            }
        }
    }

    fn answer(&mut self, stream: StreamId) {
        let Some(request) = self.requests.get(&stream) else {
            return;
        };
        if request.path == "/wait" || request.path == "/unread" {
            return;
        }
        let body = match request.path.strip_prefix("/bytes/").map(str::parse) {
            Some(Ok(length)) => Bytes::from(vec![b'x'; length]),
            _ => Bytes::from(request.received.to_string()),
        };
        let is_hint = request.path == "/hint";
        self.requests.remove(&stream);
        let connection = &mut self.connection;
        let mut fields = HeaderMap::new();
        if is_hint {
            let link = HeaderValue::from_static("</style.css>; rel=preload; as=style");
            fields.insert(header::LINK, link);
            let _ = connection.informational(stream, StatusCode::EARLY_HINTS, &fields);
            fields.clear();
        }
        fields.insert(header::CONTENT_LENGTH, body.len().into());
        let _ = connection.respond(stream, StatusCode::OK, &fields, false);
        let _ = connection.send_data(stream, body, true);
    }

    fn send(&mut self, socket: &mut TcpStream, output: &mut Vec<u8>) -> io::Result<()> {
        while self.connection.wants_transmit() {
            output.clear();
            self.connection.transmit(output, RECORD);
            socket.write_all(output)?;
        }
        while self.connection.poll_writable().is_some() {}
        self.connection.shrink();
        Ok(())
    }
}
