//! The two implementations of HTTP/2. One difference between them shows which one serves.

mod support;

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
};

use support::{Corelane, DEADLINE};

/// The preface, SETTINGS, and a request with a field that has a control character (RFC 9113 section 8.2.1).
const MALFORMED: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\
    \0\0\0\x04\0\0\0\0\0\
    \0\0\x11\x01\x05\0\0\0\x01\x82\x84\x86\x41\x07example\x40\x01x\x01\x01";

const RST_STREAM: u8 = 3;
const GOAWAY: u8 = 7;

/// The type of the frame that answers the malformed request: crate h2 ends the connection, crate corelane-http2
/// the stream.
fn answer(server: &Corelane) -> u8 {
    let mut socket = TcpStream::connect(server.addr()).expect("connects");
    socket.set_read_timeout(Some(DEADLINE)).expect("set");
    socket.write_all(MALFORMED).expect("sent");
    loop {
        let mut head = [0; 9];
        socket.read_exact(&mut head).expect("a frame");
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        socket.read_exact(&mut payload).expect("its payload");
        if let RST_STREAM | GOAWAY = head[3] {
            return head[3];
        }
    }
}

#[test]
fn the_engine_is_chosen_and_reloaded() {
    let dir = tempfile::tempdir().expect("a directory");
    let config = dir.path().join("corelane.toml");
    let pid_file = dir.path().join("pid");
    let configure = |engine: &str| {
        let text =
            format!("tls = \"none\"\nlisten = [\"127.0.0.1:0\"]\nworkers = \"1\"\n{engine}\n");
        fs::write(&config, text).expect("written");
    };
    configure("");
    let [config, pid_file] = [&config, &pid_file].map(|path| path.display().to_string());
    let server = Corelane::start(&["--config", &config, "--pid-file", &pid_file]);
    assert_eq!(answer(&server), GOAWAY, "h2 is the default");
    for (engine, expected) in [("corelane", RST_STREAM), ("h2", GOAWAY)] {
        configure(&format!("http2-engine = {engine:?}"));
        let reload = ["reload", "--pid-file", &pid_file];
        assert!(support::command(&reload).status().expect("runs").success());
        assert_eq!(answer(&server), expected, "{engine}");
    }
}
