//! The exchange, the same each time: the requests of a batch leave in one write, and nothing follows
//! before all of them are answered and the server is idle.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use anyhow::{Context, ensure};
use bytes::Bytes;
use h2::{
    Ping, PingPong, SendStream,
    client::{Builder, ResponseFuture, SendRequest},
};
use http::{Method, Request, StatusCode};
use rustls::{ClientConfig, HandshakeKind, client::Resumption, pki_types::ServerName};
use tokio::{
    net::TcpStream,
    runtime::Runtime,
    task::{JoinHandle, yield_now},
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{
    callgrind::{Counts, Server},
    shapes::{Load, Shape},
    wire::Wire,
};
use crate::{
    client::{http1::Http1, negotiated},
    fixtures::{Resource, UPLOAD},
    interrupt,
    terms::{Group, Http},
};

/// Time limit of one batch or one connection, with a server that callgrind makes fifty times
/// slower.
const DEADLINE: Duration = Duration::from_secs(120);

/// Rounds of each shape. The clock moves to the next second in few of them.
const ROUNDS: u32 = 6;

/// Large enough that no response waits for the window and the client sends no WINDOW_UPDATE.
const WINDOW: u32 = (1 << 31) - 1;

/// Bytes of an upload that leave in one write, in frames of the largest size. They fit into one packet
/// of the loopback interface.
const PIECE: usize = 32 << 10;

static ZEROS: [u8; PIECE] = [0; PIECE];

/// Runs a shape and returns the lowest counts of several rounds on the same server. Work that depends on
/// the clock adds to some of the rounds.
pub fn exchange(server: &Server, shape: &Shape) -> anyhow::Result<Counts> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut least: Option<Counts> = None;
    for _ in 0..ROUNDS {
        let counts = round(server, shape, &runtime)?;
        least = Some(least.map_or(counts, |least| least.or_less(counts)));
    }
    least.context("there are rounds")
}

fn round(server: &Server, shape: &Shape, runtime: &Runtime) -> anyhow::Result<Counts> {
    let tls = server.target.tls()?;
    match shape.load {
        Load::Batch { resource, streams } => {
            // A new connection for each round: h2's header table gains a `date` with every second of a
            // connection, and h2 searches it for each response.
            let mut connection = limited(runtime, Connection::open(server, Arc::new(tls)))?;
            let mut batch = || limited(runtime, connection.batch(resource, streams));
            batch()?;
            server.zero()?;
            (0..shape.times).try_for_each(|_| batch())?;
            let counts = server.counts()?;
            limited(runtime, connection.close())?;
            Ok(counts)
        }
        Load::Connection { resumed } => {
            let with_sessions = Arc::new(tls.clone());
            limited(runtime, once(server, &with_sessions, false))?;
            server.zero()?;
            for _ in 0..shape.times {
                let tls = match resumed {
                    true => Arc::clone(&with_sessions),
                    false => without_sessions(&tls),
                };
                limited(runtime, once(server, &tls, resumed))?;
            }
            server.counts()
        }
    }
}

fn limited<T>(
    runtime: &Runtime,
    step: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<T> {
    interrupt::check()?;
    runtime
        .block_on(async { timeout(DEADLINE, step).await })
        .context("the server takes too long")?
}

/// The same configuration with an empty store of sessions, which accepts tickets.
fn without_sessions(tls: &ClientConfig) -> Arc<ClientConfig> {
    let mut tls = tls.clone();
    tls.resumption = Resumption::in_memory_sessions(2);
    Arc::new(tls)
}

async fn once(server: &Server, tls: &Arc<ClientConfig>, resumed: bool) -> anyhow::Result<()> {
    let mut connection = Connection::open(server, Arc::clone(tls)).await?;
    ensure!(
        connection.resumed == resumed,
        "wrong kind of handshake: resumed is {}",
        connection.resumed
    );
    connection.batch(Resource::Tiny, 1).await?;
    connection.close().await
}

struct Connection<'a> {
    server: &'a Server,
    wire: Wire,
    requests: Requests,
    resumed: bool,
}

enum Requests {
    Http1(Box<Http1<TlsStream<Wire>>>),
    Http2(Http2),
}

struct Http2 {
    requests: SendRequest<Bytes>,
    pings: PingPong,
    driver: JoinHandle<Result<(), h2::Error>>,
}

impl<'a> Connection<'a> {
    async fn open(server: &'a Server, tls: Arc<ClientConfig>) -> anyhow::Result<Self> {
        let target = &server.target;
        let socket = TcpStream::connect(target.addr)
            .await
            .context("cannot connect")?;
        socket.set_nodelay(true)?;
        server.wait_until_idle()?;
        let wire = Wire::new(socket);
        let stream = TlsConnector::from(tls)
            .connect(ServerName::try_from("localhost")?, wire.clone())
            .await
            .context("the TLS handshake failed")?;
        let session = stream.get_ref().1;
        let resumed = session.handshake_kind() == Some(HandshakeKind::Resumed);
        let mut negotiated = negotiated(session)?;
        if resumed && target.terms.group == Group::Tls12 {
            // A resumed handshake under TLS 1.2 has no key exchange.
            negotiated.key_exchange = target.terms.key_exchange().into();
        }
        target.terms.verify(&negotiated)?;
        server.wait_until_idle()?;
        wire.hold();
        let requests = match target.terms.http {
            Http::Http1 => Requests::Http1(Box::new(Http1::new(stream))),
            Http::Http2 => Requests::Http2(Http2::new(stream).await?),
        };
        Ok(Self {
            server,
            wire,
            requests,
            resumed,
        })
    }

    /// Sends `streams` requests in one write, of HTTP/1.1 one, and compares every byte of the responses.
    async fn batch(&mut self, resource: Resource, streams: u32) -> anyhow::Result<()> {
        let Self { server, wire, .. } = self;
        match &mut self.requests {
            Requests::Http1(http1) => {
                http1.ask(resource).await?;
                if resource == Resource::Upload {
                    upload(http1, server, wire).await?;
                }
                wire.send().await?;
                http1.verify(&resource.body()).await?;
            }
            Requests::Http2(http2) => http2.batch(resource, streams, server, wire).await?,
        }
        server.wait_until_idle()
    }

    /// Closes the connection, in one write.
    async fn close(self) -> anyhow::Result<()> {
        match self.requests {
            Requests::Http1(http1) => http1.close().await?,
            Requests::Http2(http2) => {
                drop(http2.requests);
                // Servers close connections in different ways. All requests have been answered by now.
                let _ = http2.driver.await?;
            }
        }
        self.server.wait_until_idle()
    }
}

/// Sends a body of HTTP/1.1 piece by piece, but for the last one. The next piece follows when the server is
/// idle, and so has read the piece.
async fn upload(
    http1: &mut Http1<TlsStream<Wire>>,
    server: &Server,
    wire: &Wire,
) -> anyhow::Result<()> {
    for left in (0..UPLOAD).step_by(PIECE).rev() {
        http1.send(&ZEROS).await?;
        if left > 0 {
            wire.send().await?;
            server.wait_until_idle()?;
        }
    }
    Ok(())
}

impl Http2 {
    async fn new(stream: TlsStream<Wire>) -> anyhow::Result<Self> {
        let (requests, mut connection) = Builder::new()
            .initial_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .handshake(stream)
            .await
            .context("the HTTP/2 handshake failed")?;
        let pings = connection.ping_pong().context("it is taken only here")?;
        let driver = tokio::spawn(connection);
        Ok(Self {
            requests,
            pings,
            driver,
        })
    }

    async fn batch(
        &mut self,
        resource: Resource,
        streams: u32,
        server: &Server,
        wire: &Wire,
    ) -> anyhow::Result<()> {
        let mut asked = Vec::new();
        for _ in 0..streams {
            asked.push(self.ask(resource)?);
        }
        let wanted = resource.body();
        let mut responses = Vec::new();
        for (response, body) in asked {
            if resource == Resource::Upload {
                self.upload(body, server, wire).await?;
            }
            responses.push(response);
        }
        send(wire).await?;
        for response in responses {
            verify(response, &wanted).await?;
        }
        Ok(())
    }

    fn ask(&mut self, resource: Resource) -> anyhow::Result<(ResponseFuture, SendStream<Bytes>)> {
        let upload = resource == Resource::Upload;
        let mut request = Request::builder().uri(format!("https://localhost/{}", resource.name()));
        if upload {
            request = request
                .method(Method::POST)
                .header("content-length", UPLOAD);
        }
        Ok(self.requests.send_request(request.body(())?, !upload)?)
    }

    /// Sends a body piece by piece, each with a PING. The next piece follows when the server has answered
    /// the PING, and so has read the piece.
    async fn upload(
        &mut self,
        mut stream: SendStream<Bytes>,
        server: &Server,
        wire: &Wire,
    ) -> anyhow::Result<()> {
        for left in (0..UPLOAD).step_by(PIECE).rev() {
            stream.reserve_capacity(PIECE);
            while stream.capacity() < PIECE {
                poll_fn(|context| stream.poll_capacity(context))
                    .await
                    .context("the server closed the stream")??;
            }
            stream.send_data(Bytes::from_static(&ZEROS), left == 0)?;
            if left > 0 {
                let mut pong = pin!(self.pings.ping(Ping::opaque()));
                let answered = poll_fn(|context| Poll::Ready(pong.as_mut().poll(context))).await;
                ensure!(
                    answered.is_pending(),
                    "the PING was answered before it was sent"
                );
                send(wire).await?;
                pong.await?;
                server.wait_until_idle()?;
            }
        }
        Ok(())
    }
}

/// Lets h2 encode the requests as frames, and sends them.
async fn send(wire: &Wire) -> anyhow::Result<()> {
    yield_now().await;
    ensure!(wire.has_more(), "h2 has not encoded the requests");
    Ok(wire.send().await?)
}

async fn verify(response: ResponseFuture, wanted: &[u8]) -> anyhow::Result<()> {
    let response = response.await.context("no response")?;
    let status = response.status();
    ensure!(status == StatusCode::OK, "the server answered {status}");
    let (mut body, mut got) = (response.into_body(), Vec::with_capacity(wanted.len()));
    while let Some(data) = body.data().await {
        let data = data.context("the response's body is incomplete")?;
        body.flow_control().release_capacity(data.len())?;
        got.extend_from_slice(&data);
    }
    ensure!(got == wanted, "the server answered with a wrong body");
    Ok(())
}
