//! A backend from outside the crate, on the public traits alone: XOR over plain TCP.

use std::{
    convert::Infallible,
    io::{self, IoSlice},
    sync::Arc,
};

use bytes::{BufMut, Bytes};
use corelane::{
    Body, Error, service_fn,
    tls::{Client, Negotiated, Start, TlsAcceptor, TlsSession, Wire, read_through},
};
use corelane_backend_tests::{Kit, backend_tests};
use corelane_test_support::{
    Drivers, H2Client, TestServer,
    client::{Stream, get, post, send},
    deadline,
};
use futures_util::future::{Either, select};
use http::{Request, Response};

const KEY: u8 = 0x5a;

struct Xor;

impl TlsAcceptor for Xor {
    fn backend(&self) -> &'static str {
        "xor"
    }

    fn expects_client_hello(&self) -> bool {
        false
    }

    fn start(&self, _client: &Client<'_>) -> Result<Start, Error> {
        Ok(XorSession::default().into())
    }
}

fn xor(bytes: &mut [u8]) {
    bytes.iter_mut().for_each(|byte| *byte ^= KEY);
}

backend_tests!(mod on_xor, Kit::new(|_| Ok(Xor)).without_tls(xor));

#[derive(Default)]
struct XorSession {
    sealed: Vec<u8>,
    closing: bool,
}

impl TlsSession for XorSession {
    fn handshake(&mut self, _wire: &mut dyn Wire) -> io::Result<()> {
        Ok(())
    }

    fn negotiated(&self) -> Negotiated {
        Negotiated::default()
    }

    fn read(&mut self, wire: &mut dyn Wire, buf: &mut dyn BufMut) -> io::Result<usize> {
        read_through(buf, |slice| {
            let n = wire.read(slice)?;
            xor(&mut slice[..n]);
            Ok(n)
        })
    }

    fn write(&mut self, wire: &mut dyn Wire, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        if self.closing {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        if self.sealed.len() >= corelane::tls::MAX_SEALED {
            self.flush(wire)?;
        }
        let before = self.sealed.len();
        for buf in bufs {
            self.sealed.extend(buf.iter().map(|byte| byte ^ KEY));
        }
        Ok(self.sealed.len() - before)
    }

    fn flush(&mut self, wire: &mut dyn Wire) -> io::Result<()> {
        while !self.sealed.is_empty() {
            let n = wire.write(&self.sealed)?;
            self.sealed.drain(..n);
        }
        Ok(())
    }

    fn wants_flush(&self) -> bool {
        !self.sealed.is_empty()
    }

    fn send_close_notify(&mut self) {
        self.closing = true;
    }
}

#[test]
fn external_backend_is_served() {
    for &driver in Drivers::all() {
        let server = TestServer::start(Arc::new(Xor), driver, |_| {
            service_fn(async |request: Request<Body>| {
                assert_eq!(request.body().connection().backend, "xor");
                Ok::<_, Infallible>(Response::new(request.into_body()))
            })
        });
        deadline(async {
            let tcp = tokio::net::TcpStream::connect(server.addr).await;
            let (ours, theirs) = tokio::io::duplex(64 * 1024);
            let xor = carry(tcp.expect("connects"), theirs);
            let work = async {
                let stream: Box<dyn Stream> = Box::new(ours);
                let (requests, connection) = h2::client::handshake(stream).await.expect("HTTP/2");
                let client = H2Client::new(requests, connection);
                client
                    .run(|requests| async move {
                        let big = Bytes::from(vec![7; 300_000]);
                        let answer = send(&requests, post("/", big.clone()), None).await;
                        assert_eq!(answer.expect("answered").body, big);
                        let answer = send(&requests, get("/"), None).await;
                        assert!(answer.expect("answered").body.is_empty());
                    })
                    .await;
            };
            let (work, xor) = (std::pin::pin!(work), std::pin::pin!(xor));
            if let Either::Right((ended, _)) = select(work, xor).await {
                panic!("the carrier ended: {ended:?}");
            }
        });
    }
}

/// The client's side of the toy backend: copies bytes both ways and XORs them.
async fn carry(tcp: tokio::net::TcpStream, plain: tokio::io::DuplexStream) -> io::Result<()> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    async fn one_way(
        mut from: impl AsyncReadExt + Unpin,
        mut to: impl AsyncWriteExt + Unpin,
    ) -> io::Result<()> {
        let mut buf = vec![0; 4096];
        loop {
            let n = from.read(&mut buf).await?;
            xor(&mut buf[..n]);
            to.write_all(&buf[..n]).await?;
            if n == 0 {
                return Ok(());
            }
        }
    }
    let (tcp_read, tcp_write) = tcp.into_split();
    let (plain_read, plain_write) = tokio::io::split(plain);
    let (up, down) = futures_util::future::join(
        one_way(plain_read, tcp_write),
        one_way(tcp_read, plain_write),
    )
    .await;
    up.and(down)
}
