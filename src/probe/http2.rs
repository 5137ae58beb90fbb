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

use super::{options::ServerName, wire::shown};

/// The most that is read before the answer's status, bytes: SETTINGS, a window and one header
/// list. It is also HTTP/2's first window (RFC 9113 section 6.9.2), so a body does not fill it.
const MOST: usize = 64 * 1024;

const FRAME_HEADER: usize = 9;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const ACK: u8 = 1;

/// How the server began to answer.
#[derive(Default)]
pub(super) struct Heard {
    /// What has come, all of it.
    bytes: Vec<u8>,
}

impl Heard {
    /// What there is to say when nothing more comes.
    pub(super) fn so_far(&self) -> String {
        match self.bytes.len() {
            0 => "nothing came".into(),
            1..FRAME_HEADER => shown(&self.bytes),
            _ => "SETTINGS came, but no answer to a GET".into(),
        }
    }

    /// RFC 9113 section 3.4: the server begins with SETTINGS. What else it was that came.
    fn first_frame(&self) -> Result<(), String> {
        match self.bytes[..] {
            [_, _, _, SETTINGS, flags, 0, 0, 0, 0, ..] if flags & ACK == 0 => Ok(()),
            [_, _, _, GOAWAY, _, 0, 0, 0, 0, _, _, _, _, a, b, c, d, ..] => {
                let reason = h2::Reason::from(u32::from_be_bytes([a, b, c, d]));
                Err(format!("GOAWAY: {}", reason.description()))
            }
            _ => Err(shown(&self.bytes)),
        }
    }
}

/// Exchanges SETTINGS and asks for `/`; the status, or what came instead of it.
pub(super) async fn get<S>(
    stream: &mut S,
    name: &ServerName,
    heard: &mut Heard,
) -> Result<u16, String>
where
    S: AsyncReadRent + AsyncWriteRent,
{
    let queues = Queues::default();
    let (mut requests, connection) = h2::client::Builder::new()
        .enable_push(false)
        .handshake::<_, Bytes>(queues.clone())
        .await
        .map_err(|error| error.to_string())?;
    let request = http::Request::get(format!("https://{}/", authority(name)))
        .header("user-agent", "corelane")
        .body(())
        .map_err(|error| error.to_string())?;
    let (response, _) = requests
        .send_request(request, true)
        .map_err(|error| error.to_string())?;
    let (mut connection, mut response) = (pin!(connection), pin!(response));
    // Nobody is woken: both are polled again whenever something has come.
    let cx = &mut Context::from_waker(Waker::noop());
    loop {
        loop {
            let said = queues.outgoing();
            let driven = connection.as_mut().poll(cx);
            match response.as_mut().poll(cx) {
                Poll::Ready(Ok(response)) => return Ok(response.status().as_u16()),
                Poll::Ready(Err(error)) => return Err(error.to_string()),
                Poll::Pending => {}
            }
            match driven {
                Poll::Ready(Ok(())) => return Err("the connection was closed".into()),
                Poll::Ready(Err(error)) => return Err(error.to_string()),
                Poll::Pending if queues.outgoing() == said => break,
                Poll::Pending => {}
            }
        }
        let outgoing = queues.take_outgoing();
        if !outgoing.is_empty() {
            // Who closes early may have said why: it is read even if writing fails.
            if stream.write_all(outgoing).await.0.is_ok() {
                let _ = stream.flush().await;
            }
        }
        let begun = heard.bytes.len() >= FRAME_HEADER;
        let (read, bytes) = stream.read(Vec::with_capacity(MOST)).await;
        let ended = match read {
            Ok(0) => Some("the connection was closed".to_owned()),
            Ok(_) => None,
            Err(error) => Some(error.to_string()),
        };
        heard.bytes.extend_from_slice(&bytes);
        if let Some(ended) = ended {
            return Err(match heard.bytes.len() {
                0 => ended,
                1..FRAME_HEADER => shown(&heard.bytes),
                _ => format!("{}: {ended}", heard.so_far()),
            });
        }
        if !begun && heard.bytes.len() >= FRAME_HEADER {
            heard.first_frame()?;
            queues.put_incoming(&heard.bytes);
        } else if begun {
            queues.put_incoming(&bytes);
        }
        if heard.bytes.len() > MOST {
            return Err(format!("no answer to a GET within {MOST} bytes"));
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
