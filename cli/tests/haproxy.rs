//! haproxy in front of the command, with the PROXY protocol.

mod support;

use std::{
    fs,
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use bytes::Bytes;

use support::{
    DEADLINE,
    access_log::{Dir, lines},
    http2::{ask, with_client},
};

struct Haproxy(Child);

impl Haproxy {
    /// `None` where it is not installed.
    fn start(dir: &Dir, listen: SocketAddr, to: SocketAddr, how: &str) -> Option<Self> {
        let config = dir.0.join("haproxy.cfg");
        let text = format!(
            "defaults\n mode tcp\n timeout connect 10s\n timeout client 60s\n timeout server 60s\n\
             listen corelane\n bind {listen}\n server one {to} {how}\n"
        );
        fs::write(&config, text).expect("written");
        // Debian installs it in a directory that is only in root's PATH.
        let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin";
        let started = Command::new("haproxy")
            .env("PATH", path)
            .args(["-q", "-db", "-f"])
            .arg(&config)
            .stdout(Stdio::null())
            .spawn();
        let proxy = Self(started.ok()?);
        let started = Instant::now();
        // An empty connection, which the server counts as a failed handshake.
        while TcpStream::connect(listen).is_err() {
            assert!(started.elapsed() < DEADLINE, "haproxy does not listen");
            std::thread::sleep(Duration::from_millis(10));
        }
        Some(proxy)
    }
}

impl Drop for Haproxy {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn haproxy_passes_client_addresses_in_both_versions() {
    for how in ["send-proxy", "send-proxy-v2", "send-proxy-v2-ssl-cn"] {
        let dir = Dir::new(how);
        let trusting = [
            "--proxy-protocol",
            "127.0.0.1",
            "--access-log-format",
            "json",
        ];
        let (server, log) = dir.start(&trusting);
        let free = TcpListener::bind("127.0.0.1:0").expect("a port");
        let listen = free.local_addr().expect("bound");
        drop(free);
        let Some(_haproxy) = Haproxy::start(&dir, listen, server.addr(), how) else {
            eprintln!("NOT TESTED: haproxy is not installed (`ci/setup servers` installs it)");
            return;
        };
        with_client(listen, |requests| async move {
            ask(&requests, "/", Bytes::new(), None).await;
        });
        let line: serde_json::Value = serde_json::from_str(&lines(&log, 1)[0]).expect("JSON");
        let addr = |what: &str| {
            let addr = line[what].as_str().and_then(|addr| addr.parse().ok());
            addr.unwrap_or_else(|| panic!("{what} of {how} in {line}"))
        };
        let (peer, proxy): (SocketAddr, SocketAddr) = (addr("peer"), addr("proxy"));
        assert!(peer.ip().is_loopback(), "{line}");
        assert_ne!(peer, proxy, "{how}");
    }
}
