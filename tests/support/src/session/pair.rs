//! A session under test, its peer, and the wire between them, all in memory.

use std::{
    collections::VecDeque,
    io::{self, ErrorKind, IoSlice, Read, Write},
    sync::Arc,
};

use bytes::BufMut;
use corelane::{
    Error,
    tls::{self, ClientHello, TlsAcceptor, TlsSession},
};
use futures_util::FutureExt;
use rustls::{ClientConfig, ClientConnection};

use crate::{
    Backend,
    client::{Tls, rustls_config, server_name},
};

/// A misbehaving wire: two byte queues, which a test can make slow, full, ended or broken.
pub struct Wire {
    pub incoming: VecDeque<u8>,
    pub outgoing: VecDeque<u8>,
    /// How many more bytes it accepts.
    pub room: usize,
    /// How many bytes one call moves; if limited, every second call blocks.
    pub at_once: usize,
    rests: bool,
    pub ended: bool,
    pub broken: bool,
}

impl Default for Wire {
    fn default() -> Self {
        Self {
            incoming: VecDeque::new(),
            outgoing: VecDeque::new(),
            room: usize::MAX,
            at_once: usize::MAX,
            rests: false,
            ended: false,
            broken: false,
        }
    }
}

impl Wire {
    fn moves(&mut self, wanted: usize) -> io::Result<usize> {
        self.rests = !self.rests && self.at_once != usize::MAX;
        if self.broken {
            return Err(ErrorKind::ConnectionReset.into());
        }
        match wanted.min(self.at_once) {
            n if n > 0 && !self.rests => Ok(n),
            _ => Err(ErrorKind::WouldBlock.into()),
        }
    }
}

impl Read for Wire {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.ended && self.incoming.is_empty() {
            return Ok(0);
        }
        let n = self.moves(buf.len().min(self.incoming.len()))?;
        self.incoming.read(&mut buf[..n])
    }
}

impl Write for Wire {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let n = self.moves(buf.len().min(self.room))?;
        self.room -= n;
        self.outgoing.write(&buf[..n])
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The peer: a rustls client in memory, or plain bytes.
pub struct Client {
    pub tls: Option<ClientConnection>,
    pub received: Vec<u8>,
    pub closed: bool,
    pub error: Option<rustls::Error>,
}

impl Client {
    pub fn send(&mut self, plaintext: &[u8], wire: &mut Wire) {
        match &mut self.tls {
            Some(_) if self.error.is_some() => {}
            Some(tls) => tls.writer().write_all(plaintext).expect("memory"),
            None => wire.incoming.extend(plaintext),
        }
        self.turn(wire);
    }

    /// Reads everything available and sends everything pending.
    pub fn turn(&mut self, wire: &mut Wire) {
        let Some(tls) = &mut self.tls else {
            self.received.extend(wire.outgoing.drain(..));
            return;
        };
        while self.error.is_none() && !self.closed && !wire.outgoing.is_empty() {
            tls.read_tls(&mut wire.outgoing).expect("memory");
            self.error = tls.process_new_packets().err();
            self.closed = tls.reader().read_to_end(&mut self.received).is_ok();
        }
        while tls.wants_write() {
            tls.write_tls(&mut wire.incoming).expect("memory");
        }
    }

    pub fn close(&mut self, wire: &mut Wire) {
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
        }
        self.turn(wire);
    }
}

/// A session under test, its peer, and the wire between them.
pub struct Pair {
    pub session: Box<dyn TlsSession>,
    pub client: Client,
    pub wire: Wire,
}

/// A session of an acceptor that needs no time to start it.
pub fn start(
    acceptor: &dyn TlsAcceptor,
    hello: Option<&ClientHello>,
) -> Result<Box<dyn TlsSession>, Error> {
    let session = acceptor.start(&tls::Client::new(hello))?.session();
    session.now_or_never().expect("at once")
}

impl Pair {
    pub fn begun(backend: Backend, acceptor: &dyn TlsAcceptor, config: Arc<ClientConfig>) -> Self {
        let tls = ClientConnection::new(config, server_name()).expect("a client");
        let mut client = Client {
            tls: backend.tls.then_some(tls),
            received: Vec::new(),
            closed: false,
            error: None,
        };
        if let Some(tls) = &mut client.tls {
            tls.set_buffer_limit(None);
        }
        let mut wire = Wire::default();
        client.turn(&mut wire);
        let mut hello = ClientHello::default();
        hello.server_name = Some("localhost".into());
        if backend.tls {
            // Follows the headers of record and message, the version and the random.
            let session_id = &wire.incoming.make_contiguous()[43..];
            hello.session_id = session_id[1..][..usize::from(session_id[0])].to_vec();
        }
        let hello = backend.tls.then_some(&hello);
        let session = start(acceptor, hello).expect("a session");
        Self {
            session,
            client,
            wire,
        }
    }

    pub fn open(backend: Backend, tls: Tls) -> Self {
        let config = rustls_config(tls, &[b"h2"]);
        let mut pair = Self::begun(backend, &*backend.acceptor(), config);
        pair.shake_hands();
        pair
    }

    pub fn shake_hands(&mut self) {
        self.until_done(|session, wire| session.handshake(wire));
        self.flush();
    }

    /// Repeats a call while it would block and the two sides make progress.
    pub fn until_done<T>(
        &mut self,
        mut call: impl FnMut(&mut dyn TlsSession, &mut Wire) -> io::Result<T>,
    ) -> T {
        for _ in 0..1_000_000 {
            match call(&mut *self.session, &mut self.wire) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.client.turn(&mut self.wire)
                }
                result => return result.expect("no failure"),
            }
        }
        panic!("the call blocks forever");
    }

    pub fn flush(&mut self) {
        self.until_done(|session, wire| session.flush(wire));
        assert!(!self.session.wants_flush());
        self.client.turn(&mut self.wire);
    }

    pub fn handshake(&mut self) -> io::Result<()> {
        self.session.handshake(&mut self.wire)
    }

    pub fn read(&mut self) -> io::Result<Vec<u8>> {
        let mut buf = Vec::new();
        let n = self
            .session
            .read(&mut self.wire, &mut (&mut buf).limit(64 * 1024))?;
        assert_eq!(n, buf.len());
        Ok(buf)
    }

    pub fn write(&mut self, plaintext: &[u8]) -> io::Result<usize> {
        self.session
            .write(&mut self.wire, &[IoSlice::new(plaintext)])
    }
}

pub fn versions(backend: Backend) -> &'static [Tls] {
    match backend {
        Backend { tls: false, .. } => &[Tls::Any],
        Backend { tls_1_3: false, .. } => &[Tls::V1_2],
        _ => &[Tls::V1_2, Tls::V1_3],
    }
}

pub fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i % 251) as u8).collect()
}

pub fn kind<T: std::fmt::Debug>(result: io::Result<T>) -> ErrorKind {
    result.expect_err("fails").kind()
}

/// An unencrypted record of application data.
pub const GARBAGE: [u8; 37] = {
    let mut record = [0x55; 37];
    (record[0], record[1], record[2], record[3], record[4]) = (23, 3, 3, 0, 32);
    record
};
