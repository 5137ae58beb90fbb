//! Tests the PROXY protocol: the networks that may name a client, and missing, invalid and
//! untrusted headers.

use std::{
    convert::Infallible,
    io,
    net::{SocketAddr, TcpListener},
    pin::Pin,
    task::{Context, Poll, ready},
    thread,
    time::Duration,
};

use corelane::{
    Body, ConnectionInfo, ConnectionOptions, Driver, IpNet, Limits, serve_connection, service_fn,
};
use corelane_test_support::{
    Backend, Drivers, H2Client, TestServer, block_on,
    client::{Stream, get, over, send},
    deadline, for_each_backend,
};
use http::{Request, Response};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf},
    net::TcpStream,
};

for_each_backend!(
    proxy_header_sets_peer_address,
    missing_or_invalid_proxy_header_is_rejected,
    proxy_header_from_untrusted_network_is_not_parsed,
    serve_connection_reads_proxy_header,
);

const HEADERS: [&[u8]; 2] = [
    b"PROXY TCP4 192.0.2.7 198.51.100.1 12345 443\r\n",
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x07\xc6\x33\x64\x01\x30\x39\x01\xbb",
];

/// Versions 1 and 2 of a header in which the proxy speaks for itself.
const OF_ITS_OWN: [&[u8]; 2] = [
    b"PROXY UNKNOWN\r\n",
    b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00",
];

fn network(text: &str) -> IpNet {
    text.parse().expect("a network")
}

fn addresses(info: &ConnectionInfo) -> String {
    format!("{} {:?}", info.peer(), info.proxy_addr)
}

/// A server whose handlers answer with the addresses of the client and the proxy.
fn start(backend: Backend, driver: Driver, proxies: &str) -> TestServer {
    let proxies = network(proxies);
    let options = |builder: corelane::Builder| {
        let mut limits = Limits::default();
        // Applies to silent connections; all others are done at once.
        limits.handshake = Duration::from_secs(2);
        builder.proxy_protocol([proxies]).limits(limits)
    };
    TestServer::with(backend.acceptor(), driver, options, |_| service_fn(answer))
}

async fn answer(request: Request<Body>) -> Result<Response<String>, Infallible> {
    Ok(Response::new(addresses(request.body().connection())))
}

/// Opens a connection and sends `header` together with the first bytes of TLS or HTTP/2.
struct Proxied {
    tcp: TcpStream,
    header: Vec<u8>,
}

impl AsyncRead for Proxied {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_read(cx, buf)
    }
}

impl AsyncWrite for Proxied {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let header = self.header.len();
        let together = [&self.header, buf].concat();
        let n = ready!(Pin::new(&mut self.tcp).poll_write(cx, &together))?;
        assert!(n >= header, "an empty socket takes that much");
        self.header.clear();
        Poll::Ready(Ok(n - header))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

async fn connect(addr: SocketAddr) -> (TcpStream, SocketAddr) {
    let tcp = TcpStream::connect(addr).await.expect("connects");
    tcp.set_nodelay(true).expect("nodelay");
    let own = tcp.local_addr().expect("connected");
    (tcp, own)
}

async fn ask(backend: Backend, stream: impl Stream + 'static) -> String {
    let stream = over(backend, stream).await;
    let (requests, connection) = h2::client::handshake(stream).await.expect("HTTP/2");
    let client = H2Client::new(requests, connection);
    let answer = client.run(|requests| async move { send(&requests, get("/"), None).await });
    String::from_utf8(answer.await.expect("answered").body).expect("text")
}

fn proxy_header_sets_peer_address(backend: Backend) {
    for &driver in Drivers::all() {
        let server = start(backend, driver, "127.0.0.0/8");
        deadline(async {
            for header in HEADERS {
                let (tcp, proxy) = connect(server.addr).await;
                let expected = format!("192.0.2.7:12345 Some({proxy})");
                let together = Proxied {
                    tcp,
                    header: header.to_vec(),
                };
                assert_eq!(ask(backend, together).await, expected);

                let (mut tcp, proxy) = connect(server.addr).await;
                let expected = format!("192.0.2.7:12345 Some({proxy})");
                for byte in header {
                    tcp.write_all(&[*byte]).await.expect("sent");
                }
                assert_eq!(ask(backend, tcp).await, expected);
            }
            for header in OF_ITS_OWN {
                let (tcp, own) = connect(server.addr).await;
                let header = header.to_vec();
                let received = ask(backend, Proxied { tcp, header }).await;
                assert_eq!(received, format!("{own} None"));
            }
        });
        assert_eq!(server.counters()[0].handshakes_failed, 0);
    }
}

/// Sends nothing more, and expects the server to close without a response.
async fn is_closed(mut tcp: TcpStream) {
    let mut answer = Vec::new();
    match tcp.read_to_end(&mut answer).await {
        Ok(_) => assert!(answer.is_empty(), "{answer:?}"),
        Err(error) => assert_eq!(error.kind(), io::ErrorKind::ConnectionReset),
    }
}

fn missing_or_invalid_proxy_header_is_rejected(backend: Backend) {
    for &driver in Drivers::all() {
        let server = start(backend, driver, "127.0.0.0/8");
        let beginnings: [&[u8]; 4] = [
            b"\x16\x03\x01\x02\x00\x01",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"PROXY TCP4 192.0.2.7\r\n",
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff",
        ];
        deadline(async {
            for (refused, beginning) in (1..).zip(beginnings) {
                let (mut tcp, _) = connect(server.addr).await;
                tcp.write_all(beginning).await.expect("sent");
                is_closed(tcp).await;
                server.wait_for("refused", |c| c.proxy_headers_refused == refused);
            }
            let (mut silent, _) = connect(server.addr).await;
            silent.write_all(b"PROXY TCP4 192").await.expect("sent");
            is_closed(silent).await;
            server.wait_for("timed out", |c| c.handshakes_timed_out == 1);
            let (tcp, _) = connect(server.addr).await;
            let header = HEADERS[0].to_vec();
            ask(backend, Proxied { tcp, header }).await;
        });
        assert_eq!(server.counters()[0].proxy_headers_refused, 4);
        assert_eq!(server.counters()[0].handshakes_failed, 5);
    }
}

fn proxy_header_from_untrusted_network_is_not_parsed(backend: Backend) {
    for &driver in Drivers::all() {
        let server = start(backend, driver, "192.0.2.0/24");
        deadline(async {
            let (tcp, own) = connect(server.addr).await;
            assert_eq!(ask(backend, tcp).await, format!("{own} None"));
            for header in HEADERS {
                let (mut tcp, _) = connect(server.addr).await;
                tcp.write_all(header).await.expect("sent");
                let _ = tcp.read_to_end(&mut Vec::new()).await;
            }
        });
        server.wait_for("both have failed", |c| c.connections_closed >= 2);
        assert_eq!(server.counters()[0].proxy_headers_refused, 0);
    }
}

fn serve_connection_reads_proxy_header(backend: Backend) {
    for &driver in Drivers::all() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
        let addr = listener.local_addr().expect("bound");
        let serving = thread::spawn(move || {
            let serve = async {
                listener.set_nonblocking(true).expect("a socket");
                let listener = monoio::net::TcpListener::from_std(listener).expect("a socket");
                let (stream, _) = listener.accept().await.expect("a client");
                let options =
                    ConnectionOptions::default().proxy_protocol(vec![network("127.0.0.1/32")]);
                let acceptor = backend.acceptor();
                serve_connection(stream, &*acceptor, service_fn(answer), &options).await
            };
            block_on(driver, serve)
        });
        deadline(async {
            let (tcp, proxy) = connect(addr).await;
            let header = HEADERS[1].to_vec();
            let received = ask(backend, Proxied { tcp, header }).await;
            assert_eq!(received, format!("192.0.2.7:12345 Some({proxy})"));
        });
        // How the client closed does not matter here.
        let _ = serving.join().expect("no panic");
    }
}
