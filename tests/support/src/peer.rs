//! A client that sends only the bytes that a test gives it, and reads frames.

use std::{
    io,
    net::Shutdown,
    os::fd::{AsFd, OwnedFd},
};

use bytes::{Buf, BytesMut};
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{
    Backend, TestServer,
    client::{self, Tls},
    frames::{self, ACK, END_STREAM, kind},
};

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

    pub fn ends(&self, stream: u32) -> bool {
        (self.is(kind::DATA, stream) || self.is(kind::HEADERS, stream))
            && self.flags & END_STREAM != 0
    }

    pub fn is_ack(&self, of: u8) -> bool {
        self.is(of, 0) && self.flags & ACK != 0
    }

    /// The error code of GOAWAY and RST_STREAM.
    pub fn code(&self) -> Option<u32> {
        let at = match self.kind {
            kind::GOAWAY => 4,
            kind::RST_STREAM => 0,
            _ => return None,
        };
        self.number(at)
    }

    pub fn number(&self, at: usize) -> Option<u32> {
        let bytes = self.payload.get(at..at + 4)?;
        bytes.try_into().ok().map(u32::from_be_bytes)
    }

    /// The status of a response. Decodes only those that the tests need.
    pub fn status(&self) -> u16 {
        let mut block = &self.payload[..];
        // A change of the table size may precede it.
        while let [first, rest @ ..] = block
            && first >> 5 == 1
        {
            block = match first & 0x1f {
                0x1f => {
                    let last = rest.iter().position(|byte| byte & 0x80 == 0);
                    &rest[last.expect("an integer ends") + 1..]
                }
                _ => rest,
            };
        }
        match block {
            [0x88, ..] => 200,
            [0x8c, ..] => 400,
            [0x8e, ..] => 500,
            // ":status" and the number, Huffman-encoded.
            [0x08 | 0x48, 0x83, 0x69, 0x90, 0xff, ..] => 431,
            [0x08 | 0x48, 0x83, 0x68, 0x0d, 0xff, ..] => 405,
            [0x08 | 0x48, 0x83, 0x68, 0x0f, 0x7f, ..] => 408,
            // As it is.
            [0x08 | 0x48, 3, digits @ ..] => {
                let digits = digits.iter().take(3).map(|digit| u16::from(digit - b'0'));
                digits.fold(0, |status, digit| 10 * status + digit)
            }
            _ => panic!("a status that the tests do not know: {block:02x?}"),
        }
    }
}

pub struct Peer {
    stream: Box<dyn client::Stream>,
    /// The same socket.
    socket: OwnedFd,
    unread: BytesMut,
    /// How the connection ended: cleanly, which over TLS is by close_notify, or by this error.
    pub end: Option<Result<(), io::ErrorKind>>,
    /// The code of the last GOAWAY that [`Peer::settle`] read.
    pub goaway: Option<u32>,
    pings: u64,
}

/// How a flood ended.
#[derive(Debug, Default)]
pub struct Flooded {
    /// The code of GOAWAY.
    pub goaway: Option<u32>,
    /// The number of RST_STREAM frames that arrived.
    pub resets: usize,
    pub sent: usize,
}

impl Peer {
    /// A connection on which nothing was sent yet.
    pub async fn connect(backend: Backend, server: &TestServer) -> Self {
        Self::with(backend, server, Tls::Any, &[b"h2"]).await
    }

    /// The same by this version of TLS and with these protocols in ALPN, if the backend has TLS.
    pub async fn with(backend: Backend, server: &TestServer, tls: Tls, alpn: &[&[u8]]) -> Self {
        let tcp = client::tcp(server.addr).await;
        let socket = tcp.as_fd().try_clone_to_owned().expect("a descriptor");
        Self {
            stream: client::over_version(backend, tls, alpn, tcp).await,
            socket,
            unread: BytesMut::new(),
            end: None,
            goaway: None,
            pings: 0,
        }
    }

    /// A connection on which both sides have acknowledged the other's settings.
    pub async fn open(backend: Backend, server: &TestServer, settings: &[(u16, u32)]) -> Self {
        let mut peer = Self::connect(backend, server).await;
        let hello = [frames::PREFACE, &frames::settings(settings)].concat();
        peer.send(&hello).await.expect("sent");
        let theirs = peer.next().await.expect("SETTINGS");
        assert!(theirs.is(kind::SETTINGS, 0), "{theirs:?}");
        peer.send(&frames::settings_ack()).await.expect("sent");
        peer.until(|frame| frame.is_ack(kind::SETTINGS)).await;
        peer
    }

    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }

    /// Ends the sending side, over TLS with close_notify.
    pub async fn end(&mut self) -> io::Result<()> {
        self.stream.shutdown().await
    }

    /// Ends the sending side of the socket, without close_notify.
    pub fn end_socket(&self) -> io::Result<()> {
        SockRef::from(&self.socket).shutdown(Shutdown::Write)
    }

    /// The next frame, or `None` after the end of the connection.
    pub async fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = take(&mut self.unread) {
                return Some(frame);
            }
            let mut chunk = [0; 16 * 1024];
            match self.stream.read(&mut chunk).await {
                Ok(0) => self.end = Some(Ok(())),
                Err(error) => self.end = Some(Err(error.kind())),
                Ok(n) => {
                    self.unread.extend_from_slice(&chunk[..n]);
                    continue;
                }
            }
            return None;
        }
    }

    /// Reads some bytes from the socket, at most as many as the buffer has room for.
    pub async fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.stream.read(into).await
    }

    /// The frames up to and including the wanted one.
    pub async fn until(&mut self, wanted: impl Fn(&Frame) -> bool) -> Vec<Frame> {
        let mut frames = Vec::new();
        loop {
            let Some(frame) = self.next().await else {
                panic!("the connection ended early: {frames:?}");
            };
            let found = wanted(&frame);
            frames.push(frame);
            if found {
                return frames;
            }
        }
    }

    /// All frames until the connection ends.
    pub async fn until_closed(&mut self) -> Vec<Frame> {
        let mut frames = Vec::new();
        while let Some(frame) = self.next().await {
            frames.push(frame);
        }
        frames
    }

    /// Sends, and waits until the server has handled everything, even if streams fail. Returns
    /// false if the connection ended meanwhile.
    pub async fn settle(&mut self, bytes: &[u8]) -> bool {
        let _ = self.send(bytes).await;
        for _ in 0..3 {
            self.pings += 1;
            let payload = self.pings.to_be_bytes();
            let _ = self.send(&frames::ping(&payload)).await;
            loop {
                match self.next().await {
                    Some(frame) if frame.is_ack(kind::PING) && frame.payload == payload => break,
                    Some(frame) if frame.kind == kind::GOAWAY => self.goaway = frame.code(),
                    Some(_) => {}
                    None => return false,
                }
            }
        }
        true
    }

    /// Sends the same bytes repeatedly until the server ends the connection or the amount is sent,
    /// and reads meanwhile.
    pub async fn flood(mut self, over_and_over: &[u8], most: usize) -> Flooded {
        let mut flooded = Flooded::default();
        let (mut reader, mut writer) = tokio::io::split(&mut self.stream);
        let mut sent = 0;
        let write = async {
            while sent < most && writer.write_all(over_and_over).await.is_ok() {
                sent += over_and_over.len();
            }
            // The server's last frames are unread so far.
            let _ = writer.write_all(&frames::ping(b"the last")).await;
            let _ = writer.flush().await;
            std::future::pending::<()>().await;
        };
        let read = async {
            let mut chunk = vec![0; 64 * 1024];
            loop {
                while let Some(frame) = take(&mut self.unread) {
                    match frame.kind {
                        kind::GOAWAY => flooded.goaway = frame.code(),
                        kind::RST_STREAM => flooded.resets += 1,
                        kind::PING if frame.payload == b"the last" => return,
                        _ => {}
                    }
                }
                match reader.read(&mut chunk).await {
                    Ok(0) | Err(_) => return,
                    Ok(n) => self.unread.extend_from_slice(&chunk[..n]),
                }
            }
        };
        // Polls the reader first; a writer that never waits would starve it.
        futures_util::future::select(std::pin::pin!(read), std::pin::pin!(write)).await;
        flooded.sent = sent;
        flooded
    }

    /// Does the same without reading, and returns how much it sent before the server ended the
    /// connection.
    pub async fn flood_deaf(&mut self, over_and_over: &[u8], most: usize) -> usize {
        let mut sent = 0;
        while sent < most && self.send(over_and_over).await.is_ok() {
            sent += over_and_over.len();
        }
        sent
    }
}

fn take(unread: &mut BytesMut) -> Option<Frame> {
    let head = unread.first_chunk::<9>()?;
    let &[a, b, c, kind, flags, stream @ ..] = head;
    let length = u32::from_be_bytes([0, a, b, c]) as usize;
    let stream = u32::from_be_bytes(stream);
    let payload = unread.get(9..9 + length)?.to_vec();
    unread.advance(9 + length);
    Some(Frame {
        kind,
        flags,
        stream,
        payload,
    })
}
