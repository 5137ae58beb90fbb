//! A server under test, on loopback, ended with the test.

use std::{
    net::SocketAddr,
    sync::{Arc, LazyLock},
    time::Duration,
};

use corelane::{
    Affinity, Builder, Driver, Handle, Http2Engine, HttpService, Server, WorkerCounters,
    WorkerInfo,
    monoio::{IoUringDriver, LegacyDriver, RuntimeBuilder},
    tls::{Cleartext, TlsAcceptor},
};

/// The drivers that this machine allows: epoll always, io_uring unless it is refused.
pub struct Drivers;

impl Drivers {
    pub fn all() -> &'static [Driver] {
        static ALLOWED: LazyLock<Vec<Driver>> = LazyLock::new(|| {
            let probe = Server::builder(Cleartext)
                .listen(SocketAddr::from(([127, 0, 0, 1], 0)))
                .workers(1)
                .driver(Driver::IoUring)
                .bind()
                .expect("loopback")
                .serve(|_| corelane::service_fn(crate::client::never));
            match probe {
                Ok(handle) => {
                    handle.shutdown(Duration::ZERO);
                    vec![Driver::IoUring, Driver::Epoll]
                }
                Err(error) => {
                    eprintln!("NOT TESTED on io_uring: {error}");
                    vec![Driver::Epoll]
                }
            }
        });
        &ALLOWED
    }
}

/// Runs a future in a runtime of this driver, for tests of what has no server.
pub fn block_on<F: Future>(driver: Driver, future: F) -> F::Output {
    match driver {
        Driver::Epoll => RuntimeBuilder::<LegacyDriver>::new()
            .enable_timer()
            .build()
            .expect("a runtime")
            .block_on(future),
        _ => RuntimeBuilder::<IoUringDriver>::new()
            .enable_timer()
            .build()
            .expect("a runtime")
            .block_on(future),
    }
}

/// The implementation of HTTP/2 that servers under test use: what CORELANE_HTTP2_ENGINE names, as for the command,
/// `h2` by default.
///
/// # Panics
///
/// If it names none, or one that is not compiled in.
pub fn http2_engine() -> Http2Engine {
    match std::env::var("CORELANE_HTTP2_ENGINE").as_deref() {
        Err(_) | Ok("h2") => Http2Engine::H2,
        #[cfg(feature = "http2-engine")]
        Ok("corelane") => Http2Engine::Corelane,
        Ok(other) => panic!("no engine of HTTP/2, or not compiled in: {other}"),
    }
}

pub struct TestServer {
    handle: Option<Handle>,
    pub addr: SocketAddr,
}

impl TestServer {
    /// One worker, defaults otherwise.
    pub fn start<F, S>(acceptor: Arc<dyn TlsAcceptor>, driver: Driver, factory: F) -> Self
    where
        F: Fn(WorkerInfo) -> S + Send + Sync + 'static,
        S: HttpService,
    {
        Self::with(acceptor, driver, |builder| builder, factory)
    }

    pub fn with<F, S>(
        acceptor: Arc<dyn TlsAcceptor>,
        driver: Driver,
        options: impl FnOnce(Builder) -> Builder,
        factory: F,
    ) -> Self
    where
        F: Fn(WorkerInfo) -> S + Send + Sync + 'static,
        S: HttpService,
    {
        let builder = Server::builder(acceptor)
            .listen(SocketAddr::from(([127, 0, 0, 1], 0)))
            .workers(1)
            .affinity(Affinity::None)
            .driver(driver)
            .http2_engine(http2_engine());
        let server = options(builder).bind().expect("loopback");
        let addr = server.local_addrs()[0];
        let handle = server.serve(factory).expect("workers");
        Self {
            handle: Some(handle),
            addr,
        }
    }

    pub fn handle(&self) -> &Handle {
        self.handle.as_ref().expect("running")
    }

    /// Over all workers.
    pub fn counters(&self) -> Vec<WorkerCounters> {
        let workers = self.handle().workers();
        workers.into_iter().map(|worker| worker.counters).collect()
    }

    /// Waits until the counters of the first worker are as wanted.
    pub fn wait_for(&self, what: &str, wanted: impl Fn(&WorkerCounters) -> bool) {
        let begun = std::time::Instant::now();
        loop {
            let counters = self.counters()[0];
            if wanted(&counters) {
                return;
            }
            assert!(
                begun.elapsed() < crate::client::DEADLINE,
                "{what}: {counters:?}"
            );
            std::thread::yield_now();
        }
    }

    /// Ends the server; panics if one of its workers did.
    pub fn stop(mut self, deadline: Duration) {
        let handle = self.handle.take().expect("running");
        handle.shutdown(deadline);
        handle.wait().expect("no worker panicked");
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        if let Some(handle) = self.handle.take() {
            let panics: u64 = handle
                .workers()
                .iter()
                .map(|worker| worker.counters.connection_panics)
                .sum();
            handle.shutdown(Duration::ZERO);
            let ended = handle.wait();
            if !std::thread::panicking() {
                assert_eq!(panics, 0, "connections panicked");
                ended.expect("no worker panicked");
            }
        }
    }
}
