//! The service of these tests, and servers with it.

use std::{convert::Infallible, io, pin::Pin, sync::mpsc};

use corelane::{
    Body, Builder, Driver, Error, ProtocolName, Upgrade, Upgraded, service_fn, tls::TlsConfig,
};
use corelane_test_support::{Backend, TestServer, certs::identity, client::DEADLINE};
use http::{Request, Response};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    runtime::{Builder as RuntimeBuilder, Runtime},
};

/// Runs the handlers' streams, away from the worker. A server that is started in it uses it.
pub fn runtime() -> Runtime {
    RuntimeBuilder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime")
}

/// A server that upgrades every request that asks for it, and gives the streams to `handler`.
pub fn start<H, F>(
    backend: Backend,
    driver: Driver,
    options: impl FnOnce(Builder) -> Builder,
    handler: H,
) -> TestServer
where
    H: Fn(Upgraded) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let accept = move |mut request: Request<Body>| {
        let handler = handler.clone();
        async move {
            let Some(upgrade) = Upgrade::take(&mut request) else {
                return Ok(Response::new("no upgrade".to_owned()));
            };
            let (response, upgraded) = upgrade.accept();
            tokio::spawn(async move {
                if let Ok(stream) = upgraded.await {
                    handler(stream).await;
                }
            });
            Ok(response.map(|()| String::new()))
        }
    };
    serve(
        backend,
        driver,
        |builder| options(builder.upgrades(true)),
        accept,
    )
}

/// A server of any service.
pub fn serve<S, F>(
    backend: Backend,
    driver: Driver,
    options: impl FnOnce(Builder) -> Builder,
    service: S,
) -> TestServer
where
    S: Fn(Request<Body>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<Response<String>, Infallible>> + 'static,
{
    let names = || [ProtocolName::H2, ProtocolName::HTTP_1_1];
    let config = TlsConfig::new(identity()).alpn_protocols(names());
    TestServer::with(
        (backend.make)(&config).expect("an acceptor"),
        driver,
        |builder| options(builder.protocols(names())),
        move |_| service_fn(service.clone()),
    )
}

/// Sends back what it receives, until the peer's end.
pub async fn echo(mut stream: Upgraded) {
    let _ = try_echo(&mut stream).await;
}

async fn try_echo(stream: &mut Upgraded) -> io::Result<()> {
    let mut buf = vec![0; 16 * 1024];
    loop {
        match stream.read(&mut buf).await? {
            0 => return Ok(()),
            n => stream.write_all(&buf[..n]).await?,
        }
    }
}

type HandlerFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What a handler reports to its test.
pub struct Reports<T>(mpsc::Receiver<T>);

impl<T> Reports<T> {
    pub fn next(&self) -> T {
        self.0.recv_timeout(DEADLINE).expect("a report")
    }
}

/// A handler that reports what its future returns.
pub fn reporting<H, F, T>(
    handler: H,
) -> (
    impl Fn(Upgraded) -> HandlerFuture + Clone + Send + Sync + 'static,
    Reports<T>,
)
where
    H: Fn(Upgraded) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    let (report, reports) = mpsc::channel();
    let reporting = move |stream| -> HandlerFuture {
        let (report, result) = (report.clone(), handler(stream));
        Box::pin(async move {
            let _ = report.send(result.await);
        })
    };
    (reporting, Reports(reports))
}

/// The result of a future of the stream, without the stream.
pub fn outcome(upgraded: Result<Upgraded, Error>) -> Result<(), String> {
    upgraded.map(drop).map_err(|error| error.to_string())
}
