//! A TLS client that sends any record, including records that no library sends.

use std::{
    io::{self, Write},
    net::{SocketAddr, TcpStream},
    sync::Arc,
};

use corelane_backend_tests::session::RawClient;
use rustls::ClientConnection;
use socket2::{Domain, Socket, Type};

use crate::client::{DEADLINE, Tls, rustls_config, server_name};

/// Types of records (RFC 8446 section 5.1).
pub const HANDSHAKE: u8 = 22;
pub const APPLICATION_DATA: u8 = 23;

/// A connection with a small receive buffer: unread data soon blocks the server's writes.
pub fn connect_with_small_buffer(addr: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, None).expect("a socket");
    socket.set_recv_buffer_size(4096).expect("a small buffer");
    socket.connect(&addr.into()).expect("connects");
    socket.into()
}

/// Seals records with the keys that a handshake by rustls has agreed on.
pub struct RawTls {
    pub tcp: TcpStream,
    raw: RawClient,
}

impl RawTls {
    pub fn connect(addr: SocketAddr, tls: Tls) -> Self {
        let mut tcp = connect_with_small_buffer(addr);
        tcp.set_nodelay(true).expect("nodelay");
        tcp.set_read_timeout(Some(DEADLINE)).expect("a time-out");
        let mut config = Arc::unwrap_or_clone(rustls_config(tls, &[b"h2"]));
        config.enable_secret_extraction = true;
        let mut client = ClientConnection::new(Arc::new(config), server_name()).expect("a client");
        while client.is_handshaking() || client.wants_write() {
            client.complete_io(&mut tcp).expect("a handshake");
        }
        let raw = RawClient::new(client);
        Self { tcp, raw }
    }

    pub fn send(&mut self, kind: u8, plaintext: &[u8]) -> io::Result<()> {
        let record = self.raw.seal(kind.into(), plaintext);
        self.tcp.write_all(&record)
    }
}
