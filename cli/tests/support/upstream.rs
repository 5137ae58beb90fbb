//! An application behind the command: it answers what it was asked.

use std::{
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
};

pub(crate) struct Upstream {
    addr: SocketAddr,
}

impl Upstream {
    /// Answers each request with this name, the request line and the header lines.
    pub(crate) fn start(name: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let addr = listener.local_addr().expect("an address");
        thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.expect("a connection");
                thread::spawn(move || answer(name, &stream));
            }
        });
        Self { addr }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.addr)
    }
}

/// One request for each connection. An error is that of a client that has gone.
fn answer(name: &str, mut stream: &TcpStream) {
    let mut head = String::new();
    for line in BufReader::new(stream).lines() {
        match line {
            Ok(line) if !line.is_empty() => head.extend([line.as_str(), "\n"]),
            _ => break,
        }
    }
    let body = format!("{name}\n{head}");
    let length = body.len();
    let answer =
        format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
    let _ = stream.write_all(answer.as_bytes());
}
