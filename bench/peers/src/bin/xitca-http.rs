//! xitca-http with rustls or OpenSSL, on tokio or on its own runtime on io_uring.

#![forbid(unsafe_code)]

use std::{
    fmt::Debug,
    net::{SocketAddr, TcpListener},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

use bench_peers::{
    Args, Backend, Bodies, answer, on_each_thread, on_each_worker, openssl_acceptor, rustls_config,
};
use clap::Parser;
use http_body::Frame;
use tokio::task::{LocalSet, spawn_local};
use xitca_http::{
    HttpServiceBuilder, Request, ResponseBody,
    body::{Body, Frame as XitcaFrame},
    config::HttpServiceConfig,
    h2::RequestBody,
    http::RequestExt,
};
use xitca_io::net::Stream;
use xitca_service::{Service, ServiceExt, fn_service};

/// Longer than a client is stopped while other servers have their turns. The defaults are 3 and 5 s.
const PATIENCE: Duration = Duration::from_secs(60);

/// Streams as on all servers. Windows are the defaults: that of a connection cannot be set.
const CONFIG: HttpServiceConfig = HttpServiceConfig::new()
    .h2_max_concurrent_streams(200)
    .tls_accept_timeout(PATIENCE)
    .request_head_timeout(PATIENCE)
    .keep_alive_timeout(PATIENCE);

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    args.ensure_http2()?;
    let bodies = Bodies::read(&args.bodies)?;
    let handler = move |request: Request<RequestExt<RequestBody>>| {
        answer::<_, ResponseBody>(bodies, request.map(Compatible))
    };
    let http2 = || HttpServiceBuilder::h2().config(CONFIG);
    let io_uring = match args.driver.as_str() {
        "auto" | "epoll" => false,
        "io-uring" => true,
        other => anyhow::bail!("unknown driver {other:?}: use auto, io-uring or epoll"),
    };
    match (args.tls, io_uring) {
        (Backend::Rustls, false) => {
            let config = rustls_config(&args)?;
            on_each_worker(&args, move |listener| {
                let http2 = http2().rustls(config.clone());
                on_local_set(serve(listener, fn_service(handler).enclosed(http2)))
            })
        }
        (Backend::Openssl, false) => {
            let acceptor = openssl_acceptor(&args)?.build();
            on_each_worker(&args, move |listener| {
                let http2 = http2().openssl(acceptor.clone());
                on_local_set(serve(listener, fn_service(handler).enclosed(http2)))
            })
        }
        (Backend::Rustls, true) => {
            let config = rustls_config(&args)?;
            on_each_thread(&args, move |listener| {
                let http2 = http2().io_uring().rustls(config.clone());
                let service = fn_service(handler).enclosed(http2);
                tokio_uring_xitca::start(serve(listener, service))
            })
        }
        (Backend::Openssl, true) => anyhow::bail!("on io_uring, measured with rustls only"),
        (Backend::NativeTls, _) => anyhow::bail!("xitca-http has no HTTP/2 on native-tls"),
    }
}

async fn on_local_set(serve: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    LocalSet::new().run_until(serve).await
}

/// Accepts and spawns as xitca-server's workers do.
async fn serve<F, St>(listener: TcpListener, factory: F) -> anyhow::Result<()>
where
    F: Service<Error: Debug>,
    F::Response: Service<(St, SocketAddr)> + 'static,
    (St, SocketAddr): TryFrom<Stream>,
    St: 'static,
{
    let service = factory.call(()).await;
    let service = service.map_err(|error| anyhow::anyhow!("{error:?}"))?;
    let service = Rc::new(service);
    let listener = tokio::net::TcpListener::from_std(listener)?;
    loop {
        let (socket, peer) = listener.accept().await?;
        socket.set_nodelay(true)?;
        let Ok(connection) = Stream::Tcp(socket.into_std()?, peer).try_into() else {
            continue;
        };
        let service = Rc::clone(&service);
        spawn_local(async move {
            // The client reports failed requests, so the server ignores errors.
            let _ = service.call(connection).await;
        });
    }
}

/// xitca-http's bodies are of a trait of their own.
struct Compatible(RequestExt<RequestBody>);

impl http_body::Body for Compatible {
    type Data = <RequestBody as Body>::Data;
    type Error = <RequestBody as Body>::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Pin::new(&mut self.0)
            .poll_frame(cx)
            .map_ok(|frame| match frame {
                XitcaFrame::Data(data) => Frame::data(data),
                XitcaFrame::Trailers(trailers) => Frame::trailers(trailers),
            })
    }
}
