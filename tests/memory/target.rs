//! A connection under attack.

use std::{
    io::{self, Write},
    net::TcpStream,
    time::Duration,
};

use corelane::tls::MAX_PLAINTEXT;
use corelane_test_support::{
    Backend, TestServer,
    client::{DEADLINE, Tls},
    deadline,
    frames::{PREFACE, setting::INITIAL_WINDOW_SIZE, settings, window_update},
    raw_tls::{APPLICATION_DATA, RawTls, connect_with_small_buffer},
};

use crate::counting::settled;

/// A client that reads nothing. Its windows for the server's data are the largest.
pub struct Target<'s> {
    socket: Socket,
    server: &'s TestServer,
    /// The requests that the server had when this connection began.
    before: u64,
}

enum Socket {
    Tls(Box<RawTls>),
    Plain(TcpStream),
}

/// The largest window (RFC 9113 section 6.9.1).
const ALL: u32 = (1 << 31) - 1;

impl<'s> Target<'s> {
    pub fn connect(backend: Backend, server: &'s TestServer) -> Self {
        let socket = match backend.tls {
            true => Socket::Tls(Box::new(RawTls::connect(server.addr, Tls::Any))),
            false => Socket::Plain(connect_with_small_buffer(server.addr)),
        };
        let before = server.counters()[0].requests;
        let mut target = Self {
            socket,
            server,
            before,
        };
        target.send(PREFACE);
        target.send(&settings(&[(INITIAL_WINDOW_SIZE, ALL)]));
        target.send(&window_update(0, ALL - 65_535));
        target
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.write(bytes, DEADLINE).expect("the server reads");
    }

    /// Returns whether the server still reads.
    pub fn try_send(&mut self, bytes: &[u8]) -> bool {
        self.write(bytes, Duration::from_millis(200)).is_ok()
    }

    fn write(&mut self, bytes: &[u8], limit: Duration) -> io::Result<()> {
        let tcp = match &self.socket {
            Socket::Tls(raw) => &raw.tcp,
            Socket::Plain(tcp) => tcp,
        };
        tcp.set_write_timeout(Some(limit))?;
        match &mut self.socket {
            Socket::Tls(raw) => bytes
                .chunks(MAX_PLAINTEXT)
                .try_for_each(|chunk| raw.send(APPLICATION_DATA, chunk)),
            Socket::Plain(tcp) => tcp.write_all(bytes),
        }
    }

    /// Waits until the server has this many requests of the connection, and has sent its windows.
    pub fn wait_for(&self, requests: u32) {
        let all = self.before + u64::from(requests);
        self.server.wait_for("requests", |c| c.requests >= all);
        // It sends them when it has read all requests, and then it waits.
        deadline(settled(Duration::from_millis(20)));
    }
}
