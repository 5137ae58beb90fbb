//! corelane on its TLS backends.

#![forbid(unsafe_code)]

use std::sync::Arc;

use bench_peers::{Args, Backend, Bodies, answer, native_tls_acceptor, rustls_config};
use bytes::Bytes;
use clap::Parser;
use corelane::{
    Driver, Http2Engine, ProtocolName, Server, service_fn,
    tls::{Identity, NativeTlsAcceptor, OpensslAcceptor, RustlsAcceptor, TlsAcceptor, TlsConfig},
};
use http_body_util::Full;

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let bodies = Bodies::read(&args.bodies)?;
    let protocol = if args.http1 {
        ProtocolName::HTTP_1_1
    } else {
        ProtocolName::H2
    };
    let acceptor: Arc<dyn TlsAcceptor> = match args.tls {
        Backend::Rustls => Arc::new(RustlsAcceptor::from(rustls_config(&args)?)),
        Backend::NativeTls => Arc::new(NativeTlsAcceptor::from(native_tls_acceptor(&args)?)),
        // As its users do it: corelane's context has more to do than that of crate openssl.
        Backend::Openssl => {
            let identity = Identity::from_pem_files(&args.cert, &args.key)?;
            let config = TlsConfig::new(identity).alpn_protocols([protocol.clone()]);
            Arc::new(OpensslAcceptor::new(&config)?)
        }
    };
    let driver = match args.driver.as_str() {
        "auto" => Driver::Auto,
        "io-uring" => Driver::IoUring,
        "epoll" => Driver::Epoll,
        other => anyhow::bail!("unknown driver {other:?}: use auto, io-uring or epoll"),
    };
    let engine = match args.http2_engine.as_str() {
        "h2" => Http2Engine::H2,
        "corelane" => Http2Engine::Corelane,
        other => anyhow::bail!("unknown engine {other:?}: use h2 or corelane"),
    };
    let handle = Server::builder(acceptor)
        .http2_engine(engine)
        .listen(args.listen)
        .workers(args.workers.get())
        .driver(driver)
        .protocols([protocol])
        .bind()?
        .serve(move |_worker| {
            service_fn(move |request| answer::<_, Full<Bytes>>(bodies, request))
        })?;
    Ok(handle.wait()?)
}
