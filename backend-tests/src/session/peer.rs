use std::{
    io::{Read, Write},
    sync::Arc,
};

use corelane::tls::TlsVersion;
use rustls::{ClientConfig, ClientConnection, pki_types::ServerName};

use super::wire::Wire;
use crate::client::client_config;

/// How a client talks to a backend.
#[derive(Clone, Copy, Debug)]
pub enum Peer {
    /// By this version of TLS.
    Tls(TlsVersion),
    /// Without TLS. The function turns plaintext into the bytes on the wire and back.
    Plain(fn(&mut [u8])),
}

impl Peer {
    /// Whether it speaks TLS.
    pub fn is_tls(self) -> bool {
        matches!(self, Self::Tls(_))
    }
}

/// The client's side: a rustls client in memory, or plain bytes.
#[derive(Debug)]
pub struct Client {
    /// The TLS connection, if it speaks TLS.
    pub tls: Option<ClientConnection>,
    plain: fn(&mut [u8]),
    /// The plaintext that it received.
    pub received: Vec<u8>,
    /// Whether the session sent close_notify.
    pub closed: bool,
    /// Why its connection failed, for example by an alert of the session.
    pub error: Option<rustls::Error>,
    left: bool,
}

/// The server name that clients ask for.
pub const SERVER_NAME: &str = "localhost";

impl Client {
    /// A client that offers `h2`.
    pub fn new(peer: Peer) -> Self {
        match peer {
            Peer::Tls(version) => Self::with(client_config(version, &[b"h2"])),
            Peer::Plain(plain) => Self::of(None, plain),
        }
    }

    /// A TLS client of this configuration.
    pub fn with(config: impl Into<Arc<ClientConfig>>) -> Self {
        Self::asking_for(SERVER_NAME, config)
    }

    /// The same with another server name.
    pub fn asking_for(name: &'static str, config: impl Into<Arc<ClientConfig>>) -> Self {
        let name = ServerName::try_from(name).expect("a server name");
        let mut tls = ClientConnection::new(config.into(), name).expect("a client");
        tls.set_buffer_limit(None);
        Self::of(Some(tls), |_| {})
    }

    fn of(tls: Option<ClientConnection>, plain: fn(&mut [u8])) -> Self {
        Self {
            tls,
            plain,
            received: Vec::new(),
            closed: false,
            error: None,
            left: false,
        }
    }

    /// Sends plaintext, after everything available is read.
    pub fn send(&mut self, plaintext: &[u8], wire: &mut Wire) {
        match &mut self.tls {
            Some(_) if self.error.is_some() => {}
            Some(tls) => tls.writer().write_all(plaintext).expect("memory"),
            None => {
                let mut bytes = plaintext.to_vec();
                (self.plain)(&mut bytes);
                wire.incoming.extend(bytes);
            }
        }
        self.turn(wire);
    }

    /// Reads everything available and sends everything pending.
    pub fn turn(&mut self, wire: &mut Wire) {
        if self.tls.is_none() {
            let from = self.received.len();
            self.received.extend(wire.outgoing.drain(..));
            (self.plain)(&mut self.received[from..]);
        }
        let Some(tls) = &mut self.tls else { return };
        if self.left {
            wire.outgoing.clear();
        }
        while self.error.is_none() && !self.closed && !wire.outgoing.is_empty() {
            tls.read_tls(&mut wire.outgoing).expect("memory");
            self.error = tls.process_new_packets().err();
            self.closed = tls.reader().read_to_end(&mut self.received).is_ok();
        }
        self.transmit(wire);
    }

    /// Sends everything pending, and reads nothing.
    pub fn transmit(&mut self, wire: &mut Wire) {
        let Some(tls) = &mut self.tls else { return };
        while tls.wants_write() {
            tls.write_tls(&mut wire.incoming).expect("memory");
        }
    }

    /// Sends close_notify.
    pub fn close(&mut self, wire: &mut Wire) {
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
        }
        self.turn(wire);
    }

    /// Sends close_notify, and reads nothing anymore. A client of rustls that does read must get nothing
    /// invalid: it sends no alert behind its close_notify, and a debug build of it panics.
    pub fn leave(&mut self, wire: &mut Wire) {
        self.turn(wire);
        self.left = true;
        self.close(wire);
    }

    /// Sends a KeyUpdate that asks for one in return (RFC 8446 section 4.6.3), and reads nothing.
    pub fn update_keys(&mut self, wire: &mut Wire) {
        if let Some(tls) = &mut self.tls {
            // Refused before the end of the handshake, and in TLS 1.2.
            let _ = tls.refresh_traffic_keys();
        }
        self.transmit(wire);
    }

    /// The TLS connection.
    ///
    /// # Panics
    ///
    /// Without TLS.
    pub fn connection(&mut self) -> &mut ClientConnection {
        self.tls.as_mut().expect("a client with TLS")
    }
}
