//! corelane on its TLS backends.

#![forbid(unsafe_code)]

use std::sync::Arc;

use bench_peers::{Args, Backend, Bodies, answer, native_tls_acceptor, rustls_config};
use clap::Parser;
use corelane::{
    Driver, Server, service_fn,
    tls::{Identity, NativeTlsAcceptor, OpensslAcceptor, RustlsAcceptor, TlsAcceptor, TlsConfig},
};

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let bodies = Bodies::read(&args.bodies)?;
    let acceptor: Arc<dyn TlsAcceptor> = match args.tls {
        Backend::Rustls => Arc::new(RustlsAcceptor::from(rustls_config(&args)?)),
        Backend::NativeTls => Arc::new(NativeTlsAcceptor::from(native_tls_acceptor(&args)?)),
        // As its users do it: corelane's context has more to do than that of crate openssl.
        Backend::Openssl => {
            let identity = Identity::from_pem_files(&args.cert, &args.key)?;
            Arc::new(OpensslAcceptor::new(&TlsConfig::new(identity))?)
        }
    };
    let driver = match args.driver.as_str() {
        "auto" => Driver::Auto,
        "io-uring" => Driver::IoUring,
        "epoll" => Driver::Epoll,
        other => anyhow::bail!("unknown driver {other:?}: use auto, io-uring or epoll"),
    };
    let handle = Server::builder(acceptor)
        .listen(args.listen)
        .workers(args.workers.get())
        .driver(driver)
        .bind()?
        .serve(move |_worker| service_fn(move |request| answer(bodies, request)))?;
    Ok(handle.wait()?)
}
