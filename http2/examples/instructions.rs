//! Answers small requests in memory, by this crate or by crate h2: counts of callgrind then compare
//! both.
//!
//! ```console
//! $ cargo build --release -p corelane-http2 --example instructions
//! $ for batches in 100 1100; do
//! >     valgrind --tool=callgrind target/release/examples/instructions engine 32 $batches
//! > done
//! ```
//!
//! The difference of both counts, by 1,000 and by the requests of a batch, is the cost of a
//! request: 32 arrive in one read here, and the answers leave before the next read. A fourth
//! argument is the length of a response's body, 13 bytes otherwise; a fifth, `call`, sends a
//! message of gRPC and reads trailers. `none` in place of the engine is what the client costs.

use std::{
    env,
    error::Error,
    future::Future,
    io,
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use corelane_http2::{Config, Connection, Event, StreamId, TransmitBuffer};
use corelane_test_frames as frames;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

const USAGE: &str = "usage: instructions engine|h2|none [STREAMS [BATCHES [LENGTH [call]]]]";

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let engine = arguments.next().unwrap_or_default();
    let mut number = |default| match arguments.next() {
        Some(argument) => argument.parse().map_err(|_| USAGE),
        None => Ok(default),
    };
    let (streams, batches, length) = (number(32)?, number(100)?, number(13)?);
    let is_call = match arguments.next().as_deref() {
        None => false,
        Some("call") => true,
        Some(_) => return Err(USAGE.into()),
    };
    let input = Input::new(streams, is_call);
    let handler = Handler {
        is_call,
        body: Bytes::from(vec![b'x'; length as usize]),
        length: HeaderValue::from(length),
    };
    let sent = match engine.as_str() {
        "engine" => by_this_crate(input, batches, &handler),
        "h2" => by_h2(input, batches, &handler),
        "none" => by_none(input, batches),
        _ => return Err(USAGE.into()),
    };
    println!("{engine}: {batches} batches of {streams}: {sent} bytes sent");
    Ok(())
}

fn by_none(mut input: Input, batches: u32) -> usize {
    for _ in 0..batches {
        input.batch();
        input.bytes.clear();
    }
    0
}

/// Answers each request alike.
struct Handler {
    is_call: bool,
    body: Bytes,
    length: HeaderValue,
}

impl Handler {
    fn fields(&self) -> HeaderMap {
        let mut fields = HeaderMap::with_capacity(4);
        fields.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        fields.insert(header::CONTENT_LENGTH, self.length.clone());
        let date = HeaderValue::from_static("Mon, 30 Nov 2026 12:00:00 GMT");
        fields.insert(header::DATE, date);
        fields
    }

    /// Trailers of a call.
    fn trailers(&self) -> HeaderMap {
        let mut trailers = HeaderMap::with_capacity(2);
        trailers.insert("grpc-status", HeaderValue::from_static("0"));
        trailers
    }
}

/// What the client sends.
struct Input {
    bytes: Vec<u8>,
    streams: u32,
    next: u32,
    is_call: bool,
}

impl Input {
    fn new(streams: u32, is_call: bool) -> Self {
        let bytes = [
            frames::PREFACE,
            &frames::settings(&[(frames::setting::INITIAL_WINDOW_SIZE, (1 << 31) - 1)]),
            &frames::settings_ack(),
            &frames::window_update(0, (1 << 31) - 1 - 65_535),
        ];
        Self {
            bytes: bytes.concat(),
            streams,
            next: 1,
            is_call,
        }
    }

    /// Adds requests, as libraries encode them: of the same fields, all but `:path` are indexed
    /// after the first.
    fn batch(&mut self) {
        const FIRST: &[u8] =
            b"\x82\x87\x04\x05/tiny\x41\x09localhost\x7a\x06client\x53\x03*/*\x50\x04gzip";
        const NEXT: &[u8] = b"\x82\x87\x04\x05/tiny\xc1\xc0\xbf\xbe";
        // A message of gRPC follows.
        const FIRST_CALL: &[u8] = b"\x83\x86\x04\x05/tiny\x41\x09localhost\x7a\x06client\
            \x40\x02te\x08trailers\x5f\x10application/grpc";
        const NEXT_CALL: &[u8] = b"\x83\x86\x04\x05/tiny\xc1\xc0\xbf\xbe";
        let (first, next, flags) = match self.is_call {
            true => (FIRST_CALL, NEXT_CALL, frames::END_HEADERS),
            false => (FIRST, NEXT, frames::WHOLE),
        };
        for _ in 0..self.streams {
            let block = if self.next == 1 { first } else { next };
            self.frame(frames::kind::HEADERS, flags, block);
            if self.is_call {
                self.frame(
                    frames::kind::DATA,
                    frames::END_STREAM,
                    b"\0\0\0\0\x07message",
                );
            }
            self.next += 2;
        }
    }

    fn frame(&mut self, kind: u8, flags: u8, payload: &[u8]) {
        let head = frames::head(payload.len() as u32, kind, flags, self.next);
        self.bytes.extend_from_slice(&head);
        self.bytes.extend_from_slice(payload);
    }
}

/// Does not copy what h2 does not copy.
#[derive(Default)]
struct Pieces {
    heads: Vec<u8>,
    data: Vec<Bytes>,
}

impl TransmitBuffer for Pieces {
    fn put_slice(&mut self, bytes: &[u8]) {
        self.heads.extend_from_slice(bytes);
    }

    fn put_data(&mut self, data: &Bytes, length: usize) {
        match length {
            0..1024 => self.put_slice(&data[..length]),
            _ => self.data.push(data.slice(..length)),
        }
    }
}

fn by_this_crate(mut input: Input, batches: u32, handler: &Handler) -> usize {
    let mut connection = Connection::new(Config::default());
    let (mut output, mut sent) = (Pieces::default(), 0);
    for _ in 0..batches {
        input.batch();
        let mut rest = &input.bytes[..];
        while let Some(event) = connection.receive(&mut rest).expect("valid frames") {
            match event {
                Event::Request { stream, head, end } => {
                    assert_eq!(head.uri.path(), "/tiny");
                    if end {
                        answer(&mut connection, stream, handler);
                    }
                }
                Event::Data { stream, data, end } => {
                    let message = Bytes::copy_from_slice(data);
                    connection.release_capacity(stream, message.len());
                    assert!(end);
                    answer(&mut connection, stream, handler);
                }
                _ => {}
            }
        }
        assert!(rest.is_empty());
        while connection.wants_transmit() {
            output.heads.clear();
            output.data.clear();
            sent += connection.transmit(&mut output, 16 * 1024);
        }
        // The client waits.
        connection.shrink();
        input.bytes.clear();
    }
    sent
}

fn answer(connection: &mut Connection, stream: StreamId, handler: &Handler) {
    let (fields, body) = (handler.fields(), handler.body.clone());
    let responded = connection.respond(stream, StatusCode::OK, &fields, false);
    responded.expect("open");
    let sent = connection.send_data(stream, body, !handler.is_call);
    sent.expect("open");
    if handler.is_call {
        let sent = connection.send_trailers(stream, handler.trailers());
        sent.expect("open");
    }
}

/// A transport of which each read returns everything.
struct Memory {
    input: Input,
    sent: usize,
    /// How much was read.
    read: usize,
}

impl AsyncRead for Memory {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let rest = &self.input.bytes[self.read..];
        if rest.is_empty() {
            return Poll::Pending;
        }
        let n = rest.len().min(buffer.remaining());
        buffer.put_slice(&rest[..n]);
        self.read += n;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Memory {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.sent += bytes.len();
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Lends the memory to h2, which owns its transport.
struct Lent(std::rc::Rc<std::cell::RefCell<Memory>>);

impl AsyncRead for Lent {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0.borrow_mut()).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Lent {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0.borrow_mut()).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

fn by_h2(mut input: Input, batches: u32, handler: &Handler) -> usize {
    input.batch();
    let memory = Memory {
        input,
        sent: 0,
        read: 0,
    };
    let memory = std::rc::Rc::new(std::cell::RefCell::new(memory));
    let cx = &mut Context::from_waker(Waker::noop());
    let handshake = h2::server::Builder::new().handshake(Lent(memory.clone()));
    let Poll::Ready(Ok(mut connection)) = pin!(handshake).poll(cx) else {
        panic!("the preface is there");
    };
    for batch in 0..batches {
        if batch > 0 {
            let mut memory = memory.borrow_mut();
            memory.input.bytes.clear();
            memory.read = 0;
            memory.input.batch();
        }
        let mut calls = Vec::new();
        while let Poll::Ready(Some(request)) = connection.poll_accept(cx) {
            let (request, respond) = request.expect("valid frames");
            assert_eq!(request.uri().path(), "/tiny");
            calls.push((request, respond));
        }
        for (request, mut respond) in calls {
            if handler.is_call {
                let body = &mut request.into_body();
                let Poll::Ready(Some(Ok(message))) = body.poll_data(cx) else {
                    panic!("it is there");
                };
                let released = body.flow_control().release_capacity(message.len());
                released.expect("open");
            }
            let mut response = Response::new(());
            *response.headers_mut() = handler.fields();
            let mut stream = respond.send_response(response, false).expect("open");
            let sent = stream.send_data(handler.body.clone(), !handler.is_call);
            sent.expect("open");
            if handler.is_call {
                let sent = stream.send_trailers(handler.trailers());
                sent.expect("open");
            }
        }
        assert!(connection.poll_accept(cx).is_pending());
    }
    memory.borrow().sent
}
