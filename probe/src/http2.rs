//! One GET over HTTP/2, in one direction at a time.
//!
//! Crate h2 reads from and writes to two byte queues in memory. In turns, [`get`] writes what is in
//! one to the stream and puts what it reads into the other, so that it needs no stream that can read
//! and write at once.

use std::{
    cell::RefCell,
    collections::VecDeque,
    io,
    net::IpAddr,
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{
    outcome::Http2,
    peer_text::{one_line, shortened},
    server_name::ServerName,
    stream::Stream,
    wire::first_line,
};

/// The maximum to read before the response's status, bytes: SETTINGS, a window update and one
/// header list. It is also HTTP/2's initial window (RFC 9113 section 6.9.2), so a body does not
/// fill it.
const MAX_READ: usize = 64 * 1024;

const FRAME_HEADER: usize = 9;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const ACK: u8 = 1;
/// The part of a GOAWAY before its debug data: last stream and error code.
const GOAWAY_FIXED: usize = 8;
/// HTTP_1_1_REQUIRED, the last error code that has a name (RFC 9113 section 7).
const LAST_NAMED_CODE: u32 = 13;

/// The maximum to show of a GOAWAY's debug data, bytes.
const MAX_DEBUG_DATA: usize = 60;

const CLOSED: &str = "the connection was closed";

/// What the server has sent so far.
#[derive(Default)]
pub(crate) struct Received {
    bytes: Vec<u8>,
    /// Whether it begins with SETTINGS, as HTTP/2 does.
    settings: bool,
}

impl Received {
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The result if nothing more is read; `why` is the reason for that.
    pub(crate) fn conclude(&self, why: &str) -> Http2 {
        match (self.settings, &self.bytes[..]) {
            (true, _) => Http2::Spoken(one_line(why)),
            (false, []) => Http2::NotServed(one_line(why)),
            (false, bytes) => Http2::NotServed(first_line(bytes)),
        }
    }

    /// Whether the first frame is SETTINGS (RFC 9113 section 3.4); if not, what it is instead. `None`
    /// until that is known.
    fn first_frame(&self) -> Option<Result<(), String>> {
        match &self.bytes[..] {
            [_, _, _, SETTINGS, flags, 0, 0, 0, 0, ..] if flags & ACK == 0 => Some(Ok(())),
            [a, b, c, GOAWAY, _, 0, 0, 0, 0, payload @ ..] => {
                let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
                let wanted = length.min(GOAWAY_FIXED + MAX_DEBUG_DATA + 1);
                match payload.get(..wanted)? {
                    [_, _, _, _, a, b, c, d, debug_data @ ..] => {
                        let reason = u32::from_be_bytes([*a, *b, *c, *d]).into();
                        Some(Err(code(
                            "GOAWAY",
                            reason,
                            &debug_data.escape_ascii().to_string(),
                        )))
                    }
                    _ => Some(Err("a GOAWAY without a reason".into())),
                }
            }
            bytes if bytes.len() < FRAME_HEADER => None,
            bytes => Some(Err(first_line(bytes))),
        }
    }
}

/// `GOAWAY 12 INADEQUATE_SECURITY (debug data)`.
fn code(frame: &str, reason: h2::Reason, debug_data: &str) -> String {
    let number = u32::from(reason);
    let name = match number <= LAST_NAMED_CODE {
        true => format!(" {reason:?}"),
        false => String::new(),
    };
    match debug_data {
        "" => format!("{frame} {number}{name}"),
        text => format!(
            "{frame} {number}{name} ({})",
            shortened(text, MAX_DEBUG_DATA)
        ),
    }
}

/// The server's GOAWAY or RST_STREAM, or else h2's own error.
fn describe(error: &h2::Error) -> String {
    let text = error.to_string();
    match error.reason() {
        Some(reason) if error.is_remote() && error.is_go_away() => {
            // h2 gives the debug data as text only.
            let debug_data = text.split_once(" (b\"").map(|(_, data)| data);
            let debug_data = debug_data.map(|data| data.trim_end_matches("\")"));
            code("GOAWAY", reason, debug_data.unwrap_or_default())
        }
        Some(reason) if error.is_remote() && error.is_reset() => code("RST_STREAM", reason, ""),
        _ => text,
    }
}

/// Exchanges SETTINGS and sends a GET for `/`. It fails if the stream fails, unless the server closes
/// the connection after it has sent something.
pub(crate) async fn get(
    stream: &mut impl Stream,
    name: &ServerName,
    received: &mut Received,
) -> io::Result<Http2> {
    let queues = Queues::default();
    let (mut requests, connection) = h2::client::Builder::new()
        .enable_push(false)
        .handshake::<_, Bytes>(queues.clone())
        .await
        .map_err(io::Error::other)?;
    let request = http::Request::get(format!("https://{}/", authority(name)))
        .header("user-agent", "corelane")
        .body(())
        .map_err(io::Error::other)?;
    let (response, _) = requests
        .send_request(request, true)
        .map_err(io::Error::other)?;
    let (mut connection, mut response) = (pin!(connection), pin!(response));
    loop {
        let driven = drive(connection.as_mut(), response.as_mut(), &queues);
        match driven {
            Some(Ok(status @ 100..=599)) => return Ok(Http2::Served(status)),
            Some(Ok(odd)) => {
                let why = format!("the invalid status {odd}");
                return Ok(received.conclude(&why));
            }
            Some(Err(why)) => return Ok(received.conclude(&why)),
            None => {}
        }
        let outgoing = queues.take_outgoing();
        // A server that does not read may still have sent something: a failed write is no end.
        if !outgoing.is_empty() {
            let _ = stream.write(outgoing).await;
        }
        let bytes = match stream.read(MAX_READ).await {
            Ok(bytes) if !bytes.is_empty() => bytes,
            Err(error) if received.is_empty() || !is_close(&error) => return Err(error),
            _ => return Ok(received.conclude(CLOSED)),
        };
        received.bytes.extend_from_slice(&bytes);
        if received.settings {
            queues.put_incoming(&bytes);
        } else {
            match received.first_frame() {
                None => {}
                Some(Err(what)) => return Ok(Http2::NotServed(what)),
                Some(Ok(())) => {
                    received.settings = true;
                    queues.put_incoming(&received.bytes);
                }
            }
        }
        if received.bytes.len() > MAX_READ {
            return Ok(received.conclude(&format!("no answer within {MAX_READ} bytes")));
        }
    }
}

/// Runs h2 until it needs more bytes: the response's status, or why there will be none.
fn drive(
    mut connection: Pin<&mut impl Future<Output = Result<(), h2::Error>>>,
    mut response: Pin<&mut h2::client::ResponseFuture>,
    queues: &Queues,
) -> Option<Result<u16, String>> {
    // Nothing needs a wake-up: `get` polls again after each read.
    let cx = &mut Context::from_waker(Waker::noop());
    loop {
        let written = queues.outgoing();
        let driven = connection.as_mut().poll(cx);
        match response.as_mut().poll(cx) {
            Poll::Ready(Ok(response)) => return Some(Ok(response.status().as_u16())),
            Poll::Ready(Err(error)) => return Some(Err(describe(&error))),
            Poll::Pending => {}
        }
        match driven {
            Poll::Ready(Ok(())) => return Some(Err(CLOSED.into())),
            Poll::Ready(Err(error)) => return Some(Err(describe(&error))),
            Poll::Pending if queues.outgoing() == written => return None,
            Poll::Pending => {}
        }
    }
}

/// Whether the server closed without close_notify, or before it had read everything.
fn is_close(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset
    )
}

/// The name as the authority of a URI (RFC 3986 section 3.2.2).
fn authority(name: &ServerName) -> String {
    match name {
        ServerName::Ip(IpAddr::V6(ip)) => format!("[{ip}]"),
        other => other.host(),
    }
}

/// The two byte queues that h2 takes for a connection.
#[derive(Clone, Default)]
struct Queues(Rc<RefCell<Inner>>);

#[derive(Default)]
struct Inner {
    incoming: VecDeque<u8>,
    outgoing: Vec<u8>,
}

impl Queues {
    fn outgoing(&self) -> usize {
        self.0.borrow().outgoing.len()
    }

    fn take_outgoing(&self) -> Vec<u8> {
        std::mem::take(&mut self.0.borrow_mut().outgoing)
    }

    fn put_incoming(&self, bytes: &[u8]) {
        self.0.borrow_mut().incoming.extend(bytes);
    }
}

impl AsyncRead for Queues {
    fn poll_read(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let incoming = &mut self.0.borrow_mut().incoming;
        if incoming.is_empty() {
            return Poll::Pending;
        }
        let (front, _) = incoming.as_slices();
        let n = front.len().min(buf.remaining());
        buf.put_slice(&front[..n]);
        incoming.drain(..n);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Queues {
    fn poll_write(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.0.borrow_mut().outgoing.extend_from_slice(buf);
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
