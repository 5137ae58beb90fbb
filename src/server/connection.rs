//! One connection from socket to goodbye.

use std::{
    cell::Cell,
    future::{Future, pending, poll_fn},
    net::SocketAddr,
    panic::catch_unwind,
    rc::Rc,
    sync::Arc,
    task::Poll,
    time::{Duration, Instant},
};

use futures_util::{
    FutureExt,
    future::{Either, select},
};
use ipnet::IpNet;
use monoio::{net::TcpStream, time::timeout_at};

use super::{
    current_acceptor::CurrentAcceptor,
    handshake_limiter::{HandshakeLimiter, HandshakePermit},
    linger::linger,
    socket::Socket,
};
use crate::{
    alpn::{AlpnMissing, ProtocolName},
    config::{Http2Config, Limits},
    connection_info::ConnectionInfo,
    counters::Counters,
    error::{Chain, Error, Kind},
    http2::{self, Closed, WorkerService},
    io::{self, Accepted, Failed, ProxyHeader, TlsStream},
    negotiated::TlsVersion,
    service::HttpService,
    time::Timer,
    tls::TlsAcceptor,
};

/// How connections are served.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ConnectionOptions {
    /// What becomes of clients that offer no protocol by ALPN.
    pub alpn_missing: AlpnMissing,
    /// Networks whose connections begin with a header of the PROXY protocol: see
    /// [`Builder::proxy_protocol`](crate::Builder::proxy_protocol).
    pub proxy_protocol: Vec<IpNet>,
    /// How long things may take.
    pub limits: Limits,
    /// Windows and bounds of HTTP/2.
    pub http2: Http2Config,
}

impl ConnectionOptions {
    pub(super) fn validate(&self) -> Result<(), Error> {
        let is_mapped = |network: &&IpNet| network.addr().to_canonical() != network.addr();
        if let Some(mapped) = self.proxy_protocol.iter().find(is_mapped) {
            return Err(Error::config(format!(
                "the network {mapped} of the PROXY protocol is one of IPv4: write it as such, as in \
                 10.0.0.0/8"
            )));
        }
        self.limits.validate()?;
        self.http2.validate()
    }

    fn is_proxy(&self, peer: SocketAddr) -> bool {
        // On a listener for both families an IPv4 address comes as one of IPv6.
        let ip = peer.ip().to_canonical();
        let mut networks = self.proxy_protocol.iter();
        networks.any(|network| network.contains(&ip))
    }
}

/// Serves one connection that the caller accepted, on the caller's own monoio runtime.
///
/// Returns when the connection has ended; the error says why if it did not end well. The runtime
/// has to have its timer (`RuntimeBuilder::enable_timer`), or this is an error.
pub async fn serve_connection<S: HttpService>(
    stream: TcpStream,
    acceptor: &dyn TlsAcceptor,
    service: S,
    options: &ConnectionOptions,
) -> Result<(), Error> {
    // monoio has no way to ask.
    if catch_unwind(|| drop(monoio::time::sleep(Duration::ZERO))).is_err() {
        return Err(Error::config(
            "the monoio runtime has no timer: build it with enable_timer()",
        ));
    }
    options.validate()?;
    check_alpn(acceptor)?;
    let peer_addr = stream.peer_addr()?;
    // As connections of a server have it from their listener.
    stream.set_nodelay(true)?;
    let counters = Arc::new(Counters::default());
    let setup = Setup {
        acceptor: Acceptor::Given(acceptor),
        options,
        counters: &counters,
        handshakes: None,
        worker: 0,
    };
    let service = WorkerService::new(service);
    setup.run(stream, peer_addr, &service, pending()).await
}

/// A server speaks HTTP/2 only: a backend that would choose something else, or nothing, has been
/// configured wrong.
pub(super) fn check_alpn(acceptor: &dyn TlsAcceptor) -> Result<(), Error> {
    match acceptor.alpn_protocols() {
        Some(names)
            if acceptor.expects_client_hello() && names.first() != Some(&ProtocolName::H2) =>
        {
            Err(Error::config(format!(
                "the {} acceptor negotiates {names:?} by ALPN, but only HTTP/2 is served: set \
                 its protocols to \"h2\"",
                acceptor.backend()
            )))
        }
        _ => Ok(()),
    }
}

pub(super) const TIMER: Timer = Timer {
    sleep: |duration| Box::pin(monoio::time::sleep(duration)),
    now: Instant::now,
};

/// Where a connection's acceptor comes from.
#[derive(Clone, Copy)]
pub(super) enum Acceptor<'a> {
    /// The caller's, for this connection.
    Given(&'a dyn TlsAcceptor),
    /// The server's: the one that is there when the handshake begins.
    Current(&'a CurrentAcceptor),
}

/// What connections of one worker have in common.
pub(super) struct Setup<'a> {
    pub(super) acceptor: Acceptor<'a>,
    pub(super) options: &'a ConnectionOptions,
    pub(super) counters: &'a Arc<Counters>,
    pub(super) handshakes: Option<&'a HandshakeLimiter>,
    pub(super) worker: usize,
}

impl Setup<'_> {
    /// Serves a connection and tells how it went.
    pub(super) async fn run<S: HttpService>(
        &self,
        stream: TcpStream,
        peer_addr: SocketAddr,
        service: &WorkerService<S>,
        shutdown: impl Future<Output = ()> + Unpin,
    ) -> Result<(), Error> {
        tracing::debug!(peer = %peer_addr, worker = self.worker, "connection opened");
        let begun = Instant::now();
        let place = self.handshakes.map(|all| all.begin(self.counters));
        let (socket, local_addr) =
            prepare(stream).map_err(|error| self.failed(peer_addr, error))?;
        // What is over before the connection idles is boxed, so that it does not go on holding the
        // memory.
        let handshake = Box::pin(self.handshake(socket, peer_addr, begun, place.as_ref()));
        let (accepted, backend, client) = handshake.await?;
        let Accepted {
            mut stream,
            negotiated,
        } = accepted;
        let proxy_addr = client.map(|_| peer_addr);
        let peer_addr = client.unwrap_or(peer_addr);
        let info = ConnectionInfo {
            peer_addr,
            proxy_addr,
            local_addr,
            worker: self.worker,
            backend,
            negotiated,
        };
        let result = self
            .serve(&mut stream, info, begun, place, service, shutdown)
            .await;
        if stream.was_truncated() {
            self.counters.connections_truncated.add();
        }
        if !stream.has_ended() {
            Box::pin(linger(stream.into_inner(), b"", self.options.limits.write)).await;
        }
        let why = result.map_err(|error| self.failed(peer_addr, error))?;
        tracing::debug!(peer = %peer_addr, ?why, "connection closed");
        Ok(())
    }

    fn failed(&self, peer: SocketAddr, error: Error) -> Error {
        self.counters.connections_failed.add();
        tracing::debug!(%peer, why = %Chain(&error), "connection closed");
        error
    }

    async fn serve<S: HttpService>(
        &self,
        stream: &mut TlsStream<Socket>,
        info: ConnectionInfo,
        begun: Instant,
        place: Option<HandshakePermit<'_>>,
        service: &WorkerService<S>,
        shutdown: impl Future<Output = ()> + Unpin,
    ) -> Result<Closed, Error> {
        let limits = &self.options.limits;
        let http2 = &self.options.http2;
        stream.set_timer(TIMER, limits.write, limits.min_rate);
        stream.answer_with_flushes();
        stream.set_counters(self.counters);
        let context = http2::ConnectionContext::new(info, limits, http2, TIMER, self.counters);
        let context = Rc::new(context);
        let preface = http2::preface(stream, http2);
        let connection = self.in_time("the HTTP/2 preface", begun, place.as_ref(), preface);
        let connection = connection.await??;
        drop(place);
        http2::serve(connection, service, context, shutdown).await
    }

    /// The open session, and the name of the backend that it is of.
    async fn handshake(
        &self,
        socket: Socket,
        peer: SocketAddr,
        begun: Instant,
        place: Option<&HandshakePermit<'_>>,
    ) -> Result<(Accepted<Socket>, &'static str, Option<SocketAddr>), Error> {
        let current;
        let acceptor = match self.acceptor {
            Acceptor::Given(acceptor) => acceptor,
            Acceptor::Current(acceptor) => {
                current = acceptor.load();
                &***current
            }
        };
        let client = Cell::new(None);
        let accept = self.accept(socket, acceptor, peer, &client);
        let accept = self.in_time("the TLS handshake", begun, place, accept);
        let accepted = accept.await;
        let peer = client.get().unwrap_or(peer);
        let error = match accepted {
            Ok(Ok(accepted)) => {
                self.handshake_done(&accepted, peer, begun);
                return Ok((accepted, acceptor.backend(), client.get()));
            }
            Ok(Err(Failed {
                error,
                io,
                final_bytes,
            })) => {
                linger(io, &final_bytes, self.options.limits.handshake).await;
                error
            }
            Err(error) => error,
        };
        match error.kind() {
            Kind::AlpnMismatch => self.counters.alpn_refused.add(),
            Kind::AlpnDisagreement => self.counters.alpn_disagreements.add(),
            Kind::Timeout => self.counters.handshakes_timed_out.add(),
            Kind::PlainHttp => self.counters.plain_http_refused.add(),
            Kind::ProxyHeader => self.unnamed(peer, &error),
            _ => {}
        }
        self.counters.handshakes_failed.add();
        tracing::info!(%peer, why = %Chain(&error), time = ?begun.elapsed(), "handshake failed");
        Err(error)
    }

    /// Told without being asked for: a proxy that is set up wrong has all its clients turned away.
    fn unnamed(&self, peer: SocketAddr, error: &Error) {
        self.counters.proxy_headers_refused.add();
        let times = self.handshakes.and_then(|all| all.unnamed.happened());
        if let Some(times) = times {
            tracing::warn!(%peer, times, why = %Chain(error), "a proxy does not name its clients");
        }
    }

    /// From the first byte on: what a proxy says of its `client`, then the handshake.
    async fn accept(
        &self,
        mut socket: Socket,
        acceptor: &dyn TlsAcceptor,
        peer: SocketAddr,
        client: &Cell<Option<SocketAddr>>,
    ) -> Result<Accepted<Socket>, Failed<Socket>> {
        let mut header = ProxyHeader::default();
        if self.options.is_proxy(peer) {
            header = match io::read_proxy_header(&mut socket).await {
                Ok(header) => header,
                Err(error) => {
                    return Err(Failed {
                        error,
                        io: socket,
                        final_bytes: Vec::new(),
                    });
                }
            };
            client.set(header.client);
        }
        let missing = self.options.alpn_missing;
        io::accept_behind(socket, header.behind, acceptor, missing).await
    }

    /// What has to be done by the time limit on handshakes, and before others need the place.
    fn in_time<'a, T>(
        &self,
        what: &'a str,
        begun: Instant,
        place: Option<&'a HandshakePermit<'_>>,
        future: impl Future<Output = T> + 'a,
    ) -> impl Future<Output = Result<T, Error>> + Unpin + 'a {
        let limit = self.options.limits.handshake;
        let future = Box::pin(timeout_at((begun + limit).into(), future));
        let taken = poll_fn(move |cx| match place {
            Some(place) => place.poll_taken(cx),
            None => Poll::Pending,
        });
        select(future, taken).map(move |first| match first {
            Either::Left((result, _)) => result.map_err(|_| Error::timeout(what, limit)),
            Either::Right(_) => Err(Error::new(
                Kind::Displaced,
                format!("{what} was given up for a newer one"),
            )),
        })
    }

    fn handshake_done(&self, accepted: &Accepted<Socket>, peer: SocketAddr, begun: Instant) {
        let negotiated = &accepted.negotiated;
        match negotiated.tls_version {
            Some(TlsVersion::TLS_1_2) => self.counters.handshakes_tls_1_2.add(),
            Some(TlsVersion::TLS_1_3) => self.counters.handshakes_tls_1_3.add(),
            _ => {}
        }
        self.counters.handshakes_completed.add();
        if negotiated.resumed == Some(true) {
            self.counters.sessions_resumed.add();
        }
        tracing::debug!(
            %peer,
            version = negotiated.tls_version.map(tracing::field::display),
            cipher_suite = negotiated.cipher_suite.map(tracing::field::display),
            alpn = negotiated.alpn_protocol.as_ref().map(tracing::field::display),
            server_name = negotiated.server_name.as_deref(),
            resumed = negotiated.resumed,
            time = ?begun.elapsed(),
            "handshake done"
        );
    }
}

fn prepare(stream: TcpStream) -> Result<(Socket, SocketAddr), Error> {
    let local_addr = stream.local_addr()?;
    Ok((Socket::new(stream)?, local_addr))
}
