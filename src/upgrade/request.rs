//! A request's upgrade as its handler sees it.

use std::{
    fmt,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use http::{HeaderValue, Request, Response, StatusCode, header};
use hyper::upgrade::OnUpgrade;

use super::{Means, handover::Handover, stream::Upgraded};
use crate::error::{Error, Kind};

/// The upgrade to another protocol that a request asks for, by the field `upgrade` of HTTP/1.1 (RFC 9110
/// section 7.8) or by extended CONNECT of HTTP/2 (RFC 8441): WebSocket is one (RFC 6455).
///
/// It is among the extensions of such a request if
/// [`Builder::upgrades`](crate::Builder::upgrades) allows it. A handler that does not take it answers as usual.
///
/// ```
/// use std::convert::Infallible;
///
/// use corelane::{Body, Upgrade};
/// use http::{Request, Response, StatusCode};
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
///
/// /// Sends back what it receives, in any protocol.
/// async fn echo(mut request: Request<Body>) -> Result<Response<String>, Infallible> {
///     let Some(upgrade) = Upgrade::take(&mut request) else {
///         let mut response = Response::new(String::from("ask for an upgrade\n"));
///         *response.status_mut() = StatusCode::UPGRADE_REQUIRED;
///         return Ok(response);
///     };
///     let (response, upgraded) = upgrade.accept();
///     tokio::spawn(async move {
///         let mut stream = upgraded.await?;
///         let mut buf = [0; 1024];
///         loop {
///             let n = stream.read(&mut buf).await?;
///             if n == 0 {
///                 return Ok::<_, Box<dyn std::error::Error + Send + Sync>>(());
///             }
///             stream.write_all(&buf[..n]).await?;
///         }
///     });
///     Ok(response.map(|()| String::new()))
/// }
/// # let _ = corelane::service_fn(echo);
/// ```
///
/// hyper's `OnUpgrade` and, on HTTP/2, hyper's and h2's `ext::Protocol` are among the extensions too, so that
/// what is written for hyper works, for example axum's `WebSocketUpgrade`.
#[derive(Clone)]
pub struct Upgrade(Arc<Inner>);

struct Inner {
    means: Means,
    protocol: String,
    on_upgrade: OnUpgrade,
    used: AtomicBool,
}

impl Upgrade {
    pub(super) fn new(means: Means, protocol: &str, on_upgrade: OnUpgrade) -> Self {
        Self(Arc::new(Inner {
            means,
            protocol: protocol.to_owned(),
            on_upgrade,
            used: AtomicBool::new(false),
        }))
    }

    /// Takes the upgrade from the extensions of a request; `None` if the request asks for none, or the
    /// server does not allow it.
    pub fn take<B>(request: &mut Request<B>) -> Option<Self> {
        let extensions = request.extensions_mut();
        extensions.remove::<OnUpgrade>();
        extensions.remove()
    }

    /// The protocol, as the client writes it: `websocket`, for example. Of several in the field
    /// `upgrade` it is the first. Empty for CONNECT without a protocol, see
    /// [`Builder::connect`](crate::Builder::connect).
    pub fn protocol(&self) -> &str {
        &self.0.protocol
    }

    /// Accepts the upgrade: returns the head of the response, and a future of the stream.
    ///
    /// The response has the status 101, `connection: upgrade` and `upgrade` with the
    /// [`protocol`](Self::protocol); for CONNECT, in every version, the status 200 and no field. Add what
    /// the protocol wants, such as `sec-websocket-accept`, and return it from the handler; its body is not
    /// sent. To choose another one of several protocols, replace the value of `upgrade`.
    ///
    /// Await the future in another task: it is ready when the handler has returned the response.
    ///
    /// # Errors
    ///
    /// The future fails if the handler returns another status, if the connection fails before that, or
    /// if a clone of this upgrade was accepted already.
    pub fn accept(
        self,
    ) -> (
        Response<()>,
        impl Future<Output = Result<Upgraded, Error>> + Send + use<>,
    ) {
        let mut response = Response::new(());
        if self.0.means == Means::Field {
            *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
            let headers = response.headers_mut();
            headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
            if let Ok(protocol) = HeaderValue::try_from(&self.0.protocol) {
                headers.insert(header::UPGRADE, protocol);
            }
        }
        (response, self.upgraded())
    }

    async fn upgraded(self) -> Result<Upgraded, Error> {
        if self.0.used.swap(true, Relaxed) {
            return Err(Error::config("the upgrade was accepted already"));
        }
        let on_upgrade = self.0.on_upgrade.clone();
        let failed = |error| {
            let why = "the request was not upgraded: the handler has sent another response, or the \
                       connection has failed";
            Error::new(Kind::Io, why).with_source(error)
        };
        let upgraded = on_upgrade.await.map_err(failed)?;
        Handover::stream(upgraded)
            .ok_or_else(|| Error::new(Kind::Io, "the upgraded stream is of another server"))
    }
}

impl fmt::Debug for Upgrade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upgrade")
            .field("protocol", &self.0.protocol)
            .finish_non_exhaustive()
    }
}
