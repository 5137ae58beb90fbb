//! Takes a connection through its steps, from the accepted socket to the end.

mod protocol;

use std::{
    future::{Future, pending, poll_fn},
    net::SocketAddr,
    panic::catch_unwind,
    pin::pin,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

#[cfg(feature = "http1")]
use super::closing_stream::OpenEnded;
use super::{
    accept_tls::accept_tls,
    accepted_stream::{AcceptedStream, Stream},
    client_addr::{Peer, read_client_addr},
    closing_stream::Closing,
    connection_options::ConnectionOptions,
    current_acceptor::AcceptorSource,
    handshake_limiter::{HandshakeLimiter, HandshakePermit},
    linger::{self, linger},
    runtime::TIMER,
    socket::Socket,
    timeout::timeout,
};
#[cfg(feature = "http1")]
use crate::http1;
use crate::{
    alpn::Protocol,
    closing::Closed,
    connection_info::{ConnectionInfo, display_addr},
    counters::Counters,
    error::{Chain, Error, Kind},
    http2::{self, WorkerService},
    io::{Accepted, TlsStream},
    negotiated::Negotiated,
    service::HttpService,
    tls::TlsAcceptor,
};

/// Serves one connection that the caller accepted, of monoio's `TcpStream` or `UnixStream`, in the
/// caller's own monoio runtime, and returns when it has ended.
///
/// ```
/// use std::convert::Infallible;
///
/// use corelane::{Body, ConnectionOptions, serve_connection, service_fn, tls::Cleartext};
/// use http::{Request, Response};
/// use monoio::net::TcpListener;
///
/// async fn hello(_request: Request<Body>) -> Result<Response<String>, Infallible> {
///     Ok(Response::new("hello\n".into()))
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // The connection uses timers.
/// let mut runtime = monoio::RuntimeBuilder::<monoio::FusionDriver>::new()
///     .enable_timer()
///     .build()?;
/// runtime.block_on(async {
///     let listener = TcpListener::bind("127.0.0.1:0")?;
/// #   let client = std::net::TcpStream::connect(listener.local_addr()?)?;
/// #   drop(client);
///     let (stream, _peer) = listener.accept().await?;
///     let options = ConnectionOptions::default();
///     if let Err(error) = serve_connection(stream, &Cleartext, service_fn(hello), &options).await {
///         println!("connection failed: {error}");
///     }
///     Ok(())
/// })
/// # }
/// ```
///
/// # Errors
///
/// [`Error::is_config`] if an option is out of range, if the acceptor does not choose the protocols of the
/// options by ALPN, or if the runtime has no timer (`RuntimeBuilder::enable_timer`). Any other error says why
/// the connection did not end cleanly.
pub async fn serve_connection<S: HttpService>(
    stream: impl Into<AcceptedStream>,
    acceptor: &dyn TlsAcceptor,
    service: S,
    options: &ConnectionOptions,
) -> Result<(), Error> {
    // monoio panics without a timer and has no function that reports whether there is one.
    if catch_unwind(|| drop(monoio::time::sleep(Duration::ZERO))).is_err() {
        return Err(Error::config(
            "the monoio runtime has no timer: build it with enable_timer()",
        ));
    }
    options.validate()?;
    options.check_acceptor(acceptor)?;
    let AcceptedStream(stream) = stream.into();
    let peer_addr = stream.peer_addr()?;
    // The listeners of a server set it for their connections.
    stream.set_nodelay()?;
    let counters = Arc::new(Counters::default());
    let service = WorkerService::new(service);
    let time_limit = options.limits.handshake;
    let handler = ConnectionHandler {
        acceptor: AcceptorSource::Fixed(acceptor),
        handshakes: HandshakeLimiter::unlimited(time_limit, &counters, service.yield_queue()),
        counters,
        service,
        worker: 0,
    };
    handler.handle(stream, peer_addr, options, pending()).await
}

/// The state that the connections of a worker share, built once per worker.
pub(super) struct ConnectionHandler<'a, S: HttpService> {
    pub(super) acceptor: AcceptorSource<'a>,
    pub(super) handshakes: HandshakeLimiter,
    pub(super) counters: Arc<Counters>,
    pub(super) service: WorkerService<S>,
    pub(super) worker: usize,
}

impl<S: HttpService> ConnectionHandler<'_, S> {
    /// Handles a connection until it ends. The PROXY header, the TLS handshake and the HTTP/2 preface
    /// share one permit and its time limit.
    pub(super) async fn handle(
        &self,
        stream: Stream,
        peer_addr: Option<SocketAddr>,
        options: &ConnectionOptions,
        shutdown: impl Future<Output = ()> + Unpin,
    ) -> Result<(), Error> {
        let worker = self.worker;
        tracing::debug!(peer = %display_addr(peer_addr), worker, "connection opened");
        let permit = self.handshakes.start();
        // Boxed, as `close` is, so that an open connection does not keep its memory. Each protocol is
        // boxed, so that a connection of one does not hold the memory of the others.
        let establish = self.establish(stream, peer_addr, options, &permit);
        let (mut stream, protocol, info) = Box::pin(establish).await?;
        let peer = info.peer_addr;
        if let Protocol::Other(name) = &protocol {
            drop(permit);
            return Box::pin(self.serve_protocol(name, stream, info, options, shutdown)).await;
        }
        let closing = Closing {
            stream: &mut stream,
            goes_on: false,
        };
        let result = match protocol {
            Protocol::Http1 => {
                drop(permit);
                let serve = self.serve_http1(closing.stream, info, options, shutdown);
                Box::pin(serve).await
            }
            _ => {
                let serve = self.serve_http2(closing.stream, info, options, permit, shutdown);
                Box::pin(serve).await
            }
        };
        if !closing.close() {
            Box::pin(self.close(stream, options.limits.write)).await;
        }
        let why = result.map_err(|error| self.failed(peer, error))?;
        tracing::debug!(peer = %display_addr(peer), ?why, "connection closed");
        Ok(())
    }

    /// The steps before the protocol of the connection.
    async fn establish(
        &self,
        stream: Stream,
        peer_addr: Option<SocketAddr>,
        options: &ConnectionOptions,
        permit: &HandshakePermit<'_>,
    ) -> Result<(TlsStream<Socket>, Protocol, Arc<ConnectionInfo>), Error> {
        let (mut socket, local_addr) =
            prepare(stream).map_err(|error| self.failed(peer_addr, error))?;
        let mut received = Vec::new();
        let peer = match options.is_proxy(peer_addr) {
            true => read_client_addr(&mut socket, &mut received, peer_addr, permit).await?,
            false => Peer::direct(peer_addr),
        };
        let handshake = accept_tls(
            socket,
            received,
            peer,
            &self.acceptor,
            options.alpn_rule(),
            permit,
        );
        let Accepted {
            mut stream,
            negotiated,
            backend,
            protocol,
        } = handshake.await?;
        let protocol = match protocol {
            Some(protocol) => protocol,
            None => {
                let sniff = self.sniff_protocol(stream, &negotiated, peer.addr, permit, options);
                // Boxed, because it is larger than the steps that all connections take.
                let (sniffed, protocol) = Box::pin(sniff).await?;
                stream = sniffed;
                protocol
            }
        };
        let info = ConnectionInfo {
            peer_addr: peer.addr,
            proxy_addr: peer.proxy_addr,
            local_addr,
            worker: self.worker,
            backend,
            negotiated,
        };
        stream.set_timer(TIMER, options.limits.write, options.limits.min_rate);
        stream.set_counters(&self.counters);
        Ok((stream, protocol, Arc::new(info)))
    }

    /// Finds out what a client without ALPN speaks, and counts its handshake. The one of a client of
    /// HTTP/1.x has failed if the server does not serve it.
    async fn sniff_protocol(
        &self,
        mut stream: TlsStream<Socket>,
        negotiated: &Negotiated,
        peer: Option<SocketAddr>,
        permit: &HandshakePermit<'_>,
        options: &ConnectionOptions,
    ) -> Result<(TlsStream<Socket>, Protocol), Error> {
        let mut closing = Closing {
            stream: &mut stream,
            goes_on: false,
        };
        let step = "the HTTP/2 preface";
        let sniffed = permit
            .run(
                step,
                pin!(closing.stream.sniff_protocol(options.alpn_rule())),
            )
            .await;
        let sniffed = sniffed.and_then(|sniffed| sniffed);
        closing.goes_on = sniffed.is_ok();
        drop(closing);
        let is_http1 = matches!(&sniffed, Err(error) if error.kind() == Kind::PlainHttp);
        if !is_http1 {
            permit.completed(peer, negotiated);
        }
        match sniffed {
            Ok((first_bytes, protocol)) => Ok((stream.unread(first_bytes), protocol)),
            Err(error) => {
                self.close(stream, options.limits.write).await;
                Err(match is_http1 {
                    true => permit.failed(peer, error),
                    false => self.failed(peer, error),
                })
            }
        }
    }

    /// Closes the connection in order: what is queued, close_notify, FIN.
    async fn close(&self, mut stream: TlsStream<Socket>, limit: Duration) {
        if stream.was_truncated() {
            self.counters.connections_truncated.add();
        }
        let closed = timeout(limit, poll_fn(|cx| stream.poll_close(cx))).await;
        if stream.has_ended() {
            return;
        }
        let (yields, mut socket) = (self.service.yield_queue(), stream.into_inner());
        match closed {
            Some(Ok(())) => linger(&mut socket, limit, &yields).await,
            _ => linger::close(&mut socket, b"", limit, &yields).await,
        }
    }

    async fn serve_http2(
        &self,
        stream: &mut TlsStream<Socket>,
        info: Arc<ConnectionInfo>,
        options: &ConnectionOptions,
        permit: HandshakePermit<'_>,
        shutdown: impl Future<Output = ()> + Unpin,
    ) -> Result<Closed, Error> {
        stream.answer_with_flushes();
        let (limits, http2) = (&options.limits, &options.http2);
        let context = http2::ConnectionContext::new(
            info,
            limits,
            http2,
            options.upgrades,
            TIMER,
            &self.counters,
        );
        let context = Rc::new(context);
        // Boxed, so that an open connection does not keep its memory.
        let preface = Box::pin(exchange_preface(&mut *stream, options, &permit));
        let error = match preface.await {
            Ok(connection) => {
                drop(permit);
                return http2::serve(*connection, &self.service, context, shutdown).await;
            }
            Err(error) => error,
        };
        if !stream.has_ended() {
            http2::refuse(stream, &error).await;
        }
        Err(error)
    }

    #[cfg(feature = "http1")]
    async fn serve_http1(
        &self,
        stream: &mut TlsStream<Socket>,
        info: Arc<ConnectionInfo>,
        options: &ConnectionOptions,
        shutdown: impl Future<Output = ()> + Unpin,
    ) -> Result<Closed, Error> {
        let (limits, config) = (&options.limits, &options.http2);
        stream.answer_with_flushes();
        let context = http1::ConnectionContext::new(
            info,
            limits,
            config,
            options.upgrades,
            TIMER,
            &self.counters,
        );
        let (service, yields) = (self.service.service(), self.service.yield_queue());
        let context = Rc::new(context);
        let open_ended = OpenEnded {
            stream,
            context: Rc::clone(&context),
        };
        http1::serve(&mut *open_ended.stream, service, yields, context, shutdown).await
    }

    #[cfg(not(feature = "http1"))]
    async fn serve_http1(
        &self,
        _stream: &mut TlsStream<Socket>,
        _info: Arc<ConnectionInfo>,
        _options: &ConnectionOptions,
        _shutdown: impl Future<Output = ()> + Unpin,
    ) -> Result<Closed, Error> {
        Err(Error::unsupported(
            "this build",
            "the protocol http/1.1",
            "it lacks the feature http1",
        ))
    }

    fn failed(&self, peer: Option<SocketAddr>, error: Error) -> Error {
        self.counters.connections_failed.add();
        let peer = display_addr(peer);
        tracing::debug!(%peer, why = %Chain(&error), "connection closed");
        error
    }
}

async fn exchange_preface<'a>(
    stream: &'a mut TlsStream<Socket>,
    options: &ConnectionOptions,
    permit: &HandshakePermit<'_>,
) -> Result<Box<http2::Connection<&'a mut TlsStream<Socket>>>, Error> {
    let preface = pin!(http2::preface(
        stream,
        &options.http2,
        options.http2_engine,
        options.upgrades
    ));
    let preface = permit.run("the HTTP/2 preface", preface).await?;
    preface.map(Box::new)
}

fn prepare(stream: Stream) -> Result<(Socket, Option<SocketAddr>), Error> {
    let local_addr = stream.local_addr()?;
    Ok((Socket::new(stream)?, local_addr))
}
