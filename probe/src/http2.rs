//! One GET over HTTP/2, in one direction at a time.
//!
//! The h2 crate speaks to two queues of bytes in memory. What it has to say is taken from one and
//! written, what comes is read and put into the other, in turns: so a stream that cannot read and
//! write at once will do.

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
use monoio::io::{AsyncReadRent, AsyncWriteRent, AsyncWriteRentExt};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{
    Http2,
    options::ServerName,
    peer_text::{one_line, shortened},
    wire::first_line,
};

/// The most that is read before the answer's status, bytes: SETTINGS, a window and one header
/// list. It is also HTTP/2's first window (RFC 9113 section 6.9.2), so a body does not fill it.
const MOST: usize = 64 * 1024;

const FRAME_HEADER: usize = 9;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const ACK: u8 = 1;
/// Of a GOAWAY: the last stream and the reason.
const GOAWAY_FIXED: usize = 8;
/// HTTP_1_1_REQUIRED, the last of the reasons that have a name (RFC 9113 section 7).
const LAST_KNOWN: u32 = 13;

/// The most that is shown of what a GOAWAY says for the debugging of its sender, bytes.
const DEBUG_DATA: usize = 60;

/// How the server began to answer.
#[derive(Default)]
pub(super) struct Heard {
    /// What has come, all of it.
    bytes: Vec<u8>,
    /// Whether it began as HTTP/2 does.
    settings: bool,
}

impl Heard {
    /// What it comes to when nothing more is to be heard, and why that is.
    pub(super) fn no_more(&self, why: &str) -> Http2 {
        match (self.settings, &self.bytes[..]) {
            (true, _) => Http2::Spoken(one_line(why)),
            (false, []) => Http2::NotServed(one_line(why)),
            (false, bytes) => Http2::NotServed(first_line(bytes)),
        }
    }

    /// RFC 9113 section 3.4: the server begins with SETTINGS. Or what else it was that came; `None`
    /// until that can be said.
    fn first_frame(&self) -> Option<Result<(), String>> {
        match &self.bytes[..] {
            [_, _, _, SETTINGS, flags, 0, 0, 0, 0, ..] if flags & ACK == 0 => Some(Ok(())),
            [a, b, c, GOAWAY, _, 0, 0, 0, 0, payload @ ..] => {
                let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
                let wanted = length.min(GOAWAY_FIXED + DEBUG_DATA + 1);
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

/// `GOAWAY 12 INADEQUATE_SECURITY (what its sender adds)`.
fn code(frame: &str, reason: h2::Reason, debug_data: &str) -> String {
    let number = u32::from(reason);
    let name = match number <= LAST_KNOWN {
        true => format!(" {reason:?}"),
        false => String::new(),
    };
    match debug_data {
        "" => format!("{frame} {number}{name}"),
        text => format!("{frame} {number}{name} ({})", shortened(text, DEBUG_DATA)),
    }
}

/// What h2 made of what came.
fn error(error: &h2::Error) -> String {
    let text = error.to_string();
    match error.reason() {
        Some(reason) if error.is_remote() && error.is_go_away() => {
            // There is no other way to the debug data.
            let debug_data = text.split_once(" (b\"").map(|(_, data)| data);
            let debug_data = debug_data.map(|data| data.trim_end_matches("\")"));
            code("GOAWAY", reason, debug_data.unwrap_or_default())
        }
        Some(reason) if error.is_remote() && error.is_reset() => code("RST_STREAM", reason, ""),
        _ => text,
    }
}

/// Exchanges SETTINGS and asks for `/`. An error where the stream failed before any of it came.
pub(super) async fn get<S>(
    stream: &mut S,
    name: &ServerName,
    heard: &mut Heard,
) -> io::Result<Http2>
where
    S: AsyncReadRent + AsyncWriteRent,
{
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
    // Nobody is woken: both are polled again whenever something has come.
    let cx = &mut Context::from_waker(Waker::noop());
    loop {
        loop {
            let said = queues.outgoing();
            let driven = connection.as_mut().poll(cx);
            match response.as_mut().poll(cx) {
                Poll::Ready(Ok(response)) => {
                    return Ok(match response.status().as_u16() {
                        status @ 100..=599 => Http2::Served(status),
                        odd => {
                            heard.no_more(&format!("the status {odd}, which HTTP does not have"))
                        }
                    });
                }
                Poll::Ready(Err(why)) => return Ok(heard.no_more(&error(&why))),
                Poll::Pending => {}
            }
            match driven {
                Poll::Ready(Ok(())) => return Ok(heard.no_more("the connection was closed")),
                Poll::Ready(Err(why)) => return Ok(heard.no_more(&error(&why))),
                Poll::Pending if queues.outgoing() == said => break,
                Poll::Pending => {}
            }
        }
        let outgoing = queues.take_outgoing();
        if !outgoing.is_empty() {
            // Who refuses to read may have said why: it is read even if writing fails.
            if stream.write_all(outgoing).await.0.is_ok() {
                let _ = stream.flush().await;
            }
        }
        let (read, bytes) = stream.read(Vec::with_capacity(MOST)).await;
        match read {
            Ok(1..) => {}
            Err(error) if heard.bytes.is_empty() => return Err(error),
            // Without a goodbye of TLS's, or with bytes of ours that it did not read.
            Err(error)
                if !matches!(
                    error.kind(),
                    io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset
                ) =>
            {
                return Ok(heard.no_more(&error.to_string()));
            }
            _ => return Ok(heard.no_more("the connection was closed")),
        }
        heard.bytes.extend_from_slice(&bytes);
        if heard.settings {
            queues.put_incoming(&bytes);
        } else {
            match heard.first_frame() {
                None => {}
                Some(Err(what)) => return Ok(Http2::NotServed(what)),
                Some(Ok(())) => {
                    heard.settings = true;
                    queues.put_incoming(&heard.bytes);
                }
            }
        }
        if heard.bytes.len() > MOST {
            return Ok(heard.no_more(&format!("no answer within {MOST} bytes")));
        }
    }
}

/// RFC 3986 section 3.2.2.
fn authority(name: &ServerName) -> String {
    match name {
        ServerName::Ip(IpAddr::V6(ip)) => format!("[{ip}]"),
        other => other.host(),
    }
}

/// h2's side of the connection.
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
