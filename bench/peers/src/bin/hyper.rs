//! hyper on tokio, with tokio-rustls, tokio-native-tls or tokio-openssl.

#![forbid(unsafe_code)]

use std::{error::Error, future::Future, net::TcpListener, pin::Pin};

use bench_peers::{
    Args, Backend, Bodies, answer, native_tls_acceptor, on_each_worker, openssl_acceptor,
    rustls_config,
};
use bytes::Bytes;
use clap::Parser;
use http_body_util::Full;
use hyper::{
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use openssl::ssl::Ssl;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_openssl::SslStream;

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let bodies = Bodies::read(&args.bodies)?;
    let http1 = args.http1;
    match args.tls {
        Backend::Rustls => {
            let acceptor = tokio_rustls::TlsAcceptor::from(rustls_config(&args)?);
            on_each_worker(&args, move |listener| {
                let acceptor = acceptor.clone();
                serve(listener, bodies, http1, move |socket| {
                    acceptor.accept(socket)
                })
            })
        }
        Backend::NativeTls => {
            let acceptor = tokio_native_tls::TlsAcceptor::from(native_tls_acceptor(&args)?);
            on_each_worker(&args, move |listener| {
                let acceptor = acceptor.clone();
                serve(listener, bodies, http1, move |socket| {
                    let acceptor = acceptor.clone();
                    async move { acceptor.accept(socket).await }
                })
            })
        }
        Backend::Openssl => {
            let context = openssl_acceptor(&args)?.build().into_context();
            on_each_worker(&args, move |listener| {
                let context = context.clone();
                serve(listener, bodies, http1, move |socket| {
                    let stream = Ssl::new(&context).and_then(|ssl| SslStream::new(ssl, socket));
                    async move {
                        let mut stream = stream?;
                        Pin::new(&mut stream).accept().await?;
                        Ok::<_, openssl::ssl::Error>(stream)
                    }
                })
            })
        }
    }
}

async fn serve<H, Fut, S, E>(
    listener: TcpListener,
    bodies: &'static Bodies,
    http1: bool,
    handshake: H,
) -> anyhow::Result<()>
where
    H: Fn(TcpStream) -> Fut,
    Fut: Future<Output = Result<S, E>> + Send + 'static,
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    E: Error + Send + 'static,
{
    let listener = tokio::net::TcpListener::from_std(listener)?;
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        let handshake = handshake(socket);
        tokio::spawn(async move {
            // The client reports failed requests, so the server ignores errors.
            let Ok(stream) = handshake.await else { return };
            let service = service_fn(move |request| answer::<_, Full<Bytes>>(bodies, request));
            let stream = TokioIo::new(stream);
            let _ = match http1 {
                true => {
                    let connection = http1::Builder::new().serve_connection(stream, service);
                    connection.await
                }
                false => {
                    let http2 = http2::Builder::new(TokioExecutor::new());
                    http2.serve_connection(stream, service).await
                }
            };
        });
    }
}
