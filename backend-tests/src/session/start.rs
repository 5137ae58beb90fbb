use std::{
    future::Future,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::{Duration, Instant},
};

use corelane::{
    Error,
    tls::{self, ClientHello, TlsAcceptor, TlsSession},
};

use super::watched::Watched;

/// How long an acceptor may take to start a session: far more than it needs.
const DEADLINE: Duration = Duration::from_secs(60);

/// Starts a session for a client that has sent `flight`, as a server does: with the parsed ClientHello,
/// if the acceptor expects one. Waits for a session that starts later.
///
/// # Errors
///
/// Those of the acceptor, and if it expects a ClientHello that cannot be parsed.
///
/// # Panics
///
/// If it takes more than a minute.
pub fn start(acceptor: &dyn TlsAcceptor, flight: &[u8]) -> Result<Box<dyn TlsSession>, Error> {
    let hello = match acceptor.expects_client_hello() {
        true => Some(ClientHello::from_records(flight)?),
        false => None,
    };
    let started = acceptor.start(&tls::Client::new(hello.as_ref()))?;
    let session = block_on(started.session())?;
    Ok(Box::new(Watched(session)))
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let begun = Instant::now();
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return value;
        }
        assert!(begun.elapsed() < DEADLINE, "no session after {DEADLINE:?}");
        thread::park_timeout(Duration::from_secs(1));
    }
}
