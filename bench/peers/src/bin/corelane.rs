//! corelane on its TLS backends.

#![forbid(unsafe_code)]

use std::{fs, path::Path, sync::Arc, time::Duration};

use bench_peers::{Args, Backend, Bodies, answer, native_tls_acceptor, rustls_config};
use bytes::Bytes;
use clap::Parser;
use corelane::{
    Driver, Http2Engine, Limits, ProtocolName, Server, service_fn,
    tls::{
        Identity, NativeTlsAcceptor, OpensslAcceptor, RustlsAcceptor, ServerNameAcceptor,
        TlsAcceptor, TlsConfig,
    },
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
    let acceptor: Arc<dyn TlsAcceptor> = match (&args.identities, args.tls) {
        (Some(directory), _) => by_server_name(&args, &protocol, directory)?,
        (None, Backend::Rustls) => Arc::new(RustlsAcceptor::from(rustls_config(&args)?)),
        (None, Backend::NativeTls) => {
            Arc::new(NativeTlsAcceptor::from(native_tls_acceptor(&args)?))
        }
        // As its users do it: corelane's context has more to do than that of crate openssl.
        (None, Backend::Openssl) => {
            let identity = Identity::from_pem_files(&args.cert, &args.key)?;
            acceptor(&args, &identity, &protocol)?
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
    let mut limits = Limits::default();
    if let Some(seconds) = args.handshake_timeout {
        limits.handshake = Duration::from_secs(seconds);
    }
    let handle = Server::builder(acceptor)
        .limits(limits)
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

/// Chooses among the identities by the client's server name.
fn by_server_name(
    args: &Args,
    protocol: &ProtocolName,
    directory: &Path,
) -> anyhow::Result<Arc<dyn TlsAcceptor>> {
    let key = fs::read(&args.key)?;
    let first = Identity::from_pem_files(&args.cert, &args.key)?;
    let mut all = ServerNameAcceptor::new(&first, acceptor(args, &first, protocol)?)?;
    for file in fs::read_dir(directory)? {
        let identity = Identity::from_pem(fs::read(file?.path())?, &*key)?;
        all = all.add(&identity, acceptor(args, &identity, protocol)?)?;
    }
    Ok(Arc::new(all))
}

fn acceptor(
    args: &Args,
    identity: &Identity,
    protocol: &ProtocolName,
) -> anyhow::Result<Arc<dyn TlsAcceptor>> {
    let config = TlsConfig::new(identity.clone()).alpn_protocols([protocol.clone()]);
    Ok(match args.tls {
        Backend::Rustls => Arc::new(RustlsAcceptor::new(&config)?),
        Backend::NativeTls => Arc::new(NativeTlsAcceptor::new(&config)?),
        Backend::Openssl => Arc::new(OpensslAcceptor::new(&config)?),
    })
}
