//! Upstreams that are written by hand: a thread per connection, so that each can misbehave in its way.

use std::{
    convert::Infallible,
    io::{self, BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::mpsc::{Receiver, channel},
    thread,
    time::Duration,
};

use bytes::Bytes;
use corelane::{Body, Driver, service_fn};
use corelane_gateway::{Proxy, ProxyOptions, Upstream};
use corelane_test_support::{
    Backend, Drivers, H2Client, TestServer,
    backends::{FIRST, NONE},
    client::{Answer, DEADLINE, post, send},
    deadline,
};
use http::{HeaderValue, Request, header::CONTENT_LENGTH};
use socket2::SockRef;

/// An upstream, and what it has seen.
pub struct Raw {
    pub addr: SocketAddr,
    pub seen: Receiver<String>,
}

/// The upstream's side of one connection.
pub struct Connection {
    /// Counted from 0.
    pub number: usize,
    pub stream: BufReader<TcpStream>,
    pub tell: Box<dyn Fn(String)>,
}

impl Raw {
    /// Runs `serve` for each connection. An error ends the connection.
    pub fn start<F>(serve: F) -> Self
    where
        F: Fn(&mut Connection) -> io::Result<()> + Clone + Send + 'static,
    {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("loopback");
        let addr = listener.local_addr().expect("an address");
        let (tell, seen) = channel();
        thread::spawn(move || {
            for (number, stream) in listener.incoming().enumerate() {
                let stream = stream.expect("a connection");
                stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
                stream.set_nodelay(true).expect("nodelay");
                let (serve, tell) = (serve.clone(), tell.clone());
                thread::spawn(move || {
                    let mut connection = Connection {
                        number,
                        stream: BufReader::new(stream),
                        tell: Box::new(move |text| drop(tell.send(text))),
                    };
                    // Many tests end the connection from the other side.
                    let _ = serve(&mut connection);
                });
            }
        });
        Self { addr, seen }
    }

    /// The next thing that the upstream tells.
    pub fn next(&self) -> String {
        self.seen
            .recv_timeout(DEADLINE)
            .expect("the upstream tells")
    }

    pub fn http(&self) -> Upstream {
        format!("http://{}", self.addr)
            .parse()
            .expect("an upstream")
    }
}

impl Connection {
    /// The head of the next request, with its empty line; an error at the end of the connection.
    pub fn head(&mut self) -> io::Result<String> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if self.stream.read_line(&mut head)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(head)
    }

    /// One line with its end.
    pub fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        Ok(line)
    }

    pub fn body(&mut self, length: usize) -> io::Result<Vec<u8>> {
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        Ok(body)
    }

    pub fn write(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes.as_ref())
    }

    /// Resets the connection.
    pub fn reset(&mut self) -> io::Result<()> {
        let socket = SockRef::from(self.stream.get_ref());
        socket.set_linger(Some(Duration::ZERO))
    }

    /// Waits until the proxy closes the connection; an error if it sends more, or resets it.
    pub fn closed(&mut self) -> io::Result<()> {
        match self.stream.read(&mut [0; 1])? {
            0 => Ok(()),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

/// Time limits for upstreams that never answer.
pub fn impatient() -> ProxyOptions {
    let mut options = ProxyOptions::default();
    options.response_timeout = Duration::from_millis(300);
    options.connect_timeout = Duration::from_millis(300);
    options
}

/// A server that forwards all requests.
pub fn proxy(
    backend: Backend,
    driver: Driver,
    upstreams: Vec<Upstream>,
    options: ProxyOptions,
) -> TestServer {
    let proxy = Proxy::new(upstreams, options).expect("a proxy");
    TestServer::start(backend.acceptor(), driver, move |_worker| {
        let proxy = proxy.on_worker();
        service_fn(move |request: Request<Body>| {
            let proxy = proxy.clone();
            async move { Ok::<_, Infallible>(proxy.respond(request).await) }
        })
    })
}

/// Runs a test over TLS and without, on both drivers.
pub fn everywhere(test: impl Fn(Backend, Driver)) {
    for backend in [FIRST, NONE] {
        on_both_drivers(|driver| test(backend, driver));
    }
}

/// Runs a test on both drivers.
pub fn on_both_drivers(test: impl Fn(Driver)) {
    for &driver in Drivers::all() {
        test(driver);
    }
}

/// A request with `content-length`, as most clients send it.
pub fn upload(path: &str, body: &'static str) -> Request<Bytes> {
    let mut request = post(path, body);
    let length = HeaderValue::from(body.len());
    request.headers_mut().insert(CONTENT_LENGTH, length);
    request
}

/// Sends one request on a connection of its own.
pub fn ask(
    backend: Backend,
    server: &TestServer,
    request: Request<Bytes>,
) -> Result<Answer, h2::Error> {
    deadline(async {
        let client = H2Client::connect(backend, server.addr).await;
        client
            .run(|requests| async move { send(&requests, request, None).await })
            .await
    })
}
