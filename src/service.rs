//! The services that the server calls: any `tower_service::Service` over [`Body`].

use std::{
    fmt,
    future::Future,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use tower_service::Service;

use crate::{body::Body, connection_info::ConnectionInfo, error::BoxError};

/// A service that the server can call: a short name for a long bound. Implemented for every
/// `Service<Request<Body>>` that is `Clone` and whose response has an [`http_body::Body`].
///
/// Each worker makes one service and clones it for each request, so a clone has to be cheap. Nothing
/// has to be `Send`: a request is answered on the core that accepted its connection.
pub trait HttpService:
    Service<
        Request<Body>,
        Response = Response<Self::ResponseBody>,
        Error: Into<BoxError>,
        Future: 'static,
    > + Clone
    + 'static
{
    /// The body of the responses.
    type ResponseBody: http_body::Body<Error: Into<BoxError>> + 'static;
}

impl<S, B> HttpService for S
where
    S: Service<Request<Body>, Response = Response<B>, Error: Into<BoxError>, Future: 'static>
        + Clone
        + 'static,
    B: http_body::Body<Error: Into<BoxError>> + 'static,
{
    type ResponseBody = B;
}

/// A service from a function or closure.
///
/// ```
/// use std::convert::Infallible;
///
/// use corelane::{Body, service_fn};
/// use http::{Request, Response};
///
/// let service = service_fn(async |_request: Request<Body>| {
///     Ok::<_, Infallible>(Response::new(String::from("hello")))
/// });
/// # let _ = service;
/// ```
pub fn service_fn<F>(f: F) -> ServiceFn<F> {
    ServiceFn { f }
}

/// Made by [`service_fn`].
#[derive(Clone, Copy, Debug)]
pub struct ServiceFn<F> {
    f: F,
}

/// For requests of any type, since layers around it may change the type of their body.
impl<F, R, Fut, T, E> Service<R> for ServiceFn<F>
where
    F: FnMut(R) -> Fut,
    Fut: Future<Output = Result<T, E>>,
{
    type Response = T;
    type Error = E;
    type Future = Fut;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), E>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: R) -> Fut {
        (self.f)(request)
    }
}

/// Adds an `Arc<ConnectionInfo>` ([`ConnectionInfo`](crate::ConnectionInfo)) to the extensions of each
/// request.
///
/// For services that see a request without its [`Body`], such as handlers of axum. A service that has
/// the body calls [`Body::connection`] instead, which is free: an extension costs two allocations per
/// request.
///
/// ```
/// use std::sync::Arc;
///
/// use axum::{Extension, Router, routing::get};
/// use corelane::{ConnectionInfo, with_connection_info};
///
/// async fn who(Extension(connection): Extension<Arc<ConnectionInfo>>) -> String {
///     format!("hello, {}\n", connection.peer())
/// }
///
/// let router: Router = Router::new().route("/", get(who));
/// let service = with_connection_info(router);
/// # let _: &dyn Fn(corelane::WorkerInfo) -> _ = &|_worker| service.clone();
/// ```
pub fn with_connection_info<S>(service: S) -> WithConnectionInfo<S> {
    WithConnectionInfo { service }
}

/// Made by [`with_connection_info`].
#[derive(Clone, Copy, Debug)]
pub struct WithConnectionInfo<S> {
    service: S,
}

impl<S: Service<Request<Body>>> Service<Request<Body>> for WithConnectionInfo<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> S::Future {
        let connection = Arc::clone(request.body().connection());
        request.extensions_mut().insert(connection);
        self.service.call(request)
    }
}

/// Adds a value that is made of the [`ConnectionInfo`](crate::ConnectionInfo) to the extensions of each
/// request, for what expects it there. `None` adds none.
///
/// ```
/// use std::net::SocketAddr;
///
/// use axum::{Router, extract::ConnectInfo, routing::get};
/// use corelane::with_extension;
///
/// async fn who(ConnectInfo(peer): ConnectInfo<SocketAddr>) -> String {
///     format!("hello, {peer}\n")
/// }
///
/// let router: Router = Router::new().route("/", get(who));
/// let service = with_extension(router, |connection| connection.peer_addr.map(ConnectInfo));
/// # let _: &dyn Fn(corelane::WorkerInfo) -> _ = &|_worker| service.clone();
/// ```
pub fn with_extension<S, F, T>(service: S, value: F) -> WithExtension<S, F>
where
    F: Fn(&ConnectionInfo) -> Option<T>,
    T: Clone + Send + Sync + 'static,
{
    WithExtension { service, value }
}

/// Made by [`with_extension`].
#[derive(Clone, Copy)]
pub struct WithExtension<S, F> {
    service: S,
    value: F,
}

impl<S: fmt::Debug, F> fmt::Debug for WithExtension<S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WithExtension")
            .field("service", &self.service)
            .finish_non_exhaustive()
    }
}

impl<S, F, T> Service<Request<Body>> for WithExtension<S, F>
where
    S: Service<Request<Body>>,
    F: Fn(&ConnectionInfo) -> Option<T>,
    T: Clone + Send + Sync + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> S::Future {
        if let Some(value) = (self.value)(request.body().connection()) {
            request.extensions_mut().insert(value);
        }
        self.service.call(request)
    }
}
