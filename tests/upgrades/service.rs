//! The service of these tests, and servers with it.

use std::{convert::Infallible, io};

use corelane::{
    Body, Builder, Driver, ProtocolName, Upgrade, Upgraded, service_fn, tls::TlsConfig,
};
use corelane_test_support::{Backend, TestServer, certs::identity};
use http::{Request, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Runs the handlers' streams, away from the worker.
pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
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
                return Ok::<_, Infallible>(Response::new("no upgrade".to_owned()));
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
    serve(backend, driver, options, accept)
}

/// A server with upgrades of any service.
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
        |builder| options(builder.protocols(names()).upgrades(true)),
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
