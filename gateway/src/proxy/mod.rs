//! A reverse proxy.
//!
//! ```text
//! worker.rs                chooses an upstream, and another one after a failure
//!   request_head.rs        what of the client's head the upstream gets
//!     forwarded.rs         who the client is
//!   member.rs              chooses a connection, sends, and says whether to send again (outgoing.rs)
//!     connect.rs           opens a socket
//!     http1.rs, http2.rs   connections and their pools
//!       request_body.rs    the client's body on its way to the upstream
//!     response_head.rs     what of the upstream's head the client gets
//!     upstream_body.rs     the upstream's body on its way to the client
//!     upgrade.rs           the bytes of both directions after an upgrade
//! ```

mod connect;
mod deadline;
mod driver;
mod failure;
mod forwarded;
mod health;
mod hop_by_hop;
mod http1;
mod http2;
mod member;
mod options;
mod outgoing;
mod request_body;
mod request_head;
mod response_head;
mod send_error;
mod shared;
mod single_flight;
mod spawn;
mod upgrade;
mod upstream;
pub(crate) mod upstream_body;
mod worker;

use std::{fmt, sync::Arc};

use corelane::Error;

use self::shared::Shared;
pub use self::{options::ProxyOptions, upstream::Upstream, worker::WorkerProxy};

/// A reverse proxy: forwards requests to upstreams and streams the responses back.
///
/// A clone shares the health of the upstreams. Each worker of a server calls
/// [`on_worker`](Self::on_worker) once:
///
/// ```no_run
/// use std::convert::Infallible;
///
/// use corelane::{Server, service_fn, tls::Cleartext};
/// use corelane_gateway::{Proxy, ProxyOptions};
///
/// # fn main() -> Result<(), corelane::Error> {
/// let proxy = Proxy::new(vec!["http://127.0.0.1:3000".parse()?], ProxyOptions::default())?;
/// let handle = Server::builder(Cleartext)
///     .listen("0.0.0.0:8080")
///     .bind()?
///     .serve(move |_worker| {
///         let proxy = proxy.on_worker();
///         service_fn(move |request| {
///             let proxy = proxy.clone();
///             async move { Ok::<_, Infallible>(proxy.respond(request).await) }
///         })
///     })?;
/// handle.wait()
/// # }
/// ```
///
/// # What is forwarded
///
/// Bodies and trailers are streamed in both directions, as fast as the receiver takes them; a few
/// hundred KiB of each wait in the proxy. A request's trailers reach an upstream of HTTP/1.1 only if
/// the request announces them in `trailer`; gRPC needs an `http2://` upstream.
///
/// Fields of a single connection are removed, with those that `connection` names (RFC 9110 section
/// 7.6.1), and so are `expect`, which the server answers itself, and `proxy`. `te: trailers` is kept.
/// `forwarded` (RFC 7239), `x-forwarded-for`, `x-forwarded-proto` and `x-forwarded-host` say who the
/// client is; see [`ProxyOptions::trusted_proxies`]. `x-real-ip` and other `x-forwarded-*` of peers
/// that are not trusted are removed. There is no `via`, as in nginx.
///
/// CONNECT and TRACE are answered with 501, and an upgrade that no client has asked for with 502.
///
/// # Upgrades
///
/// If the server allows them ([`Builder::upgrades`](corelane::Builder::upgrades)), WebSockets and all
/// other upgrades pass to upstreams of HTTP/1.1, from clients of both versions. The upstream gets the
/// field `upgrade`; for extended CONNECT (RFC 8441) it gets a GET, and for WebSocket a key of the proxy,
/// which checks `sec-websocket-accept`. After a 101, bytes pass in both directions, without a time limit,
/// until both have ended. The server's shutdown ends the client's side: most upstreams then end theirs. An
/// upstream that breaks its connection ends the client's side as if it had closed it.
///
/// Any other answer goes to the client. A 2xx to extended CONNECT, which would mean the other protocol,
/// becomes 502. Upstreams of HTTP/2 get no upgrade: extended CONNECT is answered with 501. Other versions
/// of HTTP (`h2c`) and TLS are not asked for: what a client sent in them would pass unseen.
///
/// # Several upstreams
///
/// Each worker takes them in turn. A request is sent again, once, if the upstream did not get it, or
/// if its method is idempotent, it has no body and the connection failed before the first byte of the
/// answer (RFC 9110 section 9.2.2).
#[derive(Clone)]
pub struct Proxy {
    shared: Arc<Shared>,
}

impl Proxy {
    /// A proxy for these upstreams. Nothing is resolved or connected before the first request.
    ///
    /// # Errors
    ///
    /// There is no upstream, or a time limit of the options is zero.
    pub fn new(upstreams: Vec<Upstream>, options: ProxyOptions) -> Result<Self, Error> {
        if upstreams.is_empty() {
            return Err(Error::config("a proxy needs at least one upstream"));
        }
        for (name, time) in [
            ("connect_timeout", options.connect_timeout),
            ("response_timeout", options.response_timeout),
        ] {
            if time.is_zero() {
                return Err(Error::config(format!("{name} is zero")));
            }
        }
        Ok(Self {
            shared: Arc::new(Shared::new(upstreams, options)),
        })
    }

    /// The proxy of the calling worker, which needs a runtime of monoio with a timer.
    pub fn on_worker(&self) -> WorkerProxy {
        WorkerProxy::new(&self.shared)
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let upstreams = self.shared.upstreams.iter().map(|(upstream, _)| upstream);
        f.debug_struct("Proxy")
            .field("upstreams", &upstreams.collect::<Vec<_>>())
            .field("options", &self.shared.options)
            .finish()
    }
}
