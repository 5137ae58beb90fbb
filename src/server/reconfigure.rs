//! Applies the options of a builder to a running server.

use super::{builder::Builder, reloader::Reloader};
use crate::error::Error;

impl Reloader {
    /// Uses the acceptor and the options of `builder` for every connection from now on. Open
    /// connections keep theirs.
    ///
    /// A running server takes over the acceptor, [`limits`](Builder::limits), [`http2`](Builder::http2),
    /// [`http2_engine`](Builder::http2_engine), [`alpn_missing`](Builder::alpn_missing), whether requests are
    /// upgraded, [`proxy_protocol`](Builder::proxy_protocol),
    /// [`max_connections`](Builder::max_connections) and [`max_handshakes`](Builder::max_handshakes).
    /// It cannot change its addresses, its workers or their driver: those of `builder` are ignored.
    ///
    /// ```
    /// use corelane::{Limits, Server, service_fn, tls::Cleartext};
    /// # use std::{convert::Infallible, time::Duration};
    /// # use corelane::Body;
    /// # use http::{Request, Response};
    /// # async fn hello(_request: Request<Body>) -> Result<Response<String>, Infallible> {
    /// #     Ok(Response::new("hello\n".into()))
    /// # }
    ///
    /// # fn main() -> Result<(), corelane::Error> {
    /// let handle = Server::builder(Cleartext)
    ///     .listen("127.0.0.1:0")
    ///     .bind()?
    ///     .serve(|_worker| service_fn(hello))?;
    /// let limits = Limits::default().idle(Duration::from_secs(20));
    /// let changed = Server::builder(Cleartext).limits(limits);
    /// handle.reloader().reconfigure(changed)?;
    /// # handle.shutdown(Duration::ZERO);
    /// # handle.wait()
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::is_config`] if [`Builder::bind`] would refuse the acceptor or an option, or if one of
    /// the old and the new acceptor speaks TLS and the other does not. Nothing changes then.
    pub fn reconfigure(&self, builder: Builder) -> Result<(), Error> {
        let (acceptor, options) = builder.into_options()?;
        self.replace(acceptor, options)
    }
}
