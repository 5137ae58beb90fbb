//! The clients: new connections at a fixed rate, whether earlier ones are answered or not, and beside
//! them connections that stay open, always with streams in flight.
//!
//! The counts are those of a client that never retries. A connection or stream is lost unless its
//! response arrives completely. Requests that the server provably has not processed, by the last
//! stream of its GOAWAY (RFC 9113 section 6.8) or by REFUSED_STREAM (section 8.7), are counted
//! separately: a client may retry them.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use h2::{Reason, client::SendRequest};
use http::{Request, StatusCode};
use rustls::{ClientConfig, client::Resumption, pki_types::ServerName};
use serde::{Deserialize, Serialize};
use tokio::{
    net::TcpStream,
    runtime::Runtime,
    task::JoinSet,
    time::{sleep, sleep_until, timeout},
};
use tokio_rustls::TlsConnector;

use crate::client::Target;

#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Load {
    pub connections: u32,
    /// New ones per second.
    pub rate: f64,
    pub long_lived: u32,
    /// Open streams on each of these.
    pub streams: u32,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Counted {
    pub seconds: f64,
    pub connections: Outcomes,
    /// Seconds from when the slowest connection was due to its response.
    pub slowest: f64,
    pub streams: Outcomes,
    /// Long-lived connections that the server closed and the client opened again.
    pub reconnected: u32,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Outcomes {
    pub asked: u32,
    pub answered: u32,
    /// Provably not processed.
    pub unprocessed: u32,
    /// The number of losses by cause.
    pub lost: BTreeMap<String, u32>,
}

impl Outcomes {
    pub fn lost(&self) -> u32 {
        self.lost.values().sum()
    }

    fn count(&mut self, outcome: &Result<(), Failure>) {
        match outcome {
            Ok(()) => self.answered += 1,
            Err(Failure::Unprocessed) => self.unprocessed += 1,
            Err(Failure::Lost(why)) => *self.lost.entry(why.clone()).or_default() += 1,
        }
    }
}

enum Failure {
    Unprocessed,
    Lost(String),
}

fn lost(step: &str) -> impl FnOnce(std::io::Error) -> Failure {
    move |error| Failure::Lost(format!("{step}: {error}"))
}

impl From<h2::Error> for Failure {
    fn from(error: h2::Error) -> Self {
        match error.reason() {
            Some(Reason::NO_ERROR) if error.is_go_away() && error.is_remote() => Self::Unprocessed,
            Some(Reason::REFUSED_STREAM) if error.is_remote() => Self::Unprocessed,
            _ => Self::Lost(format!("HTTP/2: {error}")),
        }
    }
}

/// Bytes of the responses: on new connections, and on long-lived ones.
pub const SMALL: usize = 13;
pub const LARGE: usize = 64 << 10;

/// Streams of long-lived connections read a piece of their response in this time.
const PIECE: usize = 16 << 10;
const PIECE_TIME: Duration = Duration::from_millis(100);

/// Time limit of a connection or a stream, with its response.
const DEADLINE: Duration = Duration::from_secs(20);

/// The body of the response to `/bytes/N`.
pub fn body(length: usize) -> Vec<u8> {
    const LINE: &[u8; 64] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-\n";
    LINE.iter().copied().cycle().take(length).collect()
}

#[derive(Clone)]
struct Clients {
    target: Target,
    tls: Arc<ClientConfig>,
    ends: Arc<AtomicBool>,
    counted: Arc<Mutex<Counted>>,
}

pub fn run(
    runtime: &Runtime,
    target: &Target,
    load: &Load,
    ready: &mut dyn FnMut() -> anyhow::Result<()>,
) -> anyhow::Result<Counted> {
    let mut tls = target.tls()?;
    tls.resumption = Resumption::disabled();
    let clients = Clients {
        target: target.clone(),
        tls: Arc::new(tls),
        ends: Arc::default(),
        counted: Arc::default(),
    };
    ready()?;
    runtime.block_on(async {
        let begun = Instant::now();
        let mut staying = JoinSet::new();
        for _ in 0..load.long_lived {
            staying.spawn(clients.clone().stay(load.streams));
        }
        let mut new = JoinSet::new();
        for index in 0..load.connections {
            let due = begun + Duration::from_secs_f64(f64::from(index) / load.rate);
            sleep_until(due.into()).await;
            new.spawn(clients.clone().ask_once(due));
        }
        while new.join_next().await.is_some() {}
        clients.counted().seconds = begun.elapsed().as_secs_f64();
        clients.ends.store(true, Ordering::Relaxed);
        while staying.join_next().await.is_some() {}
    });
    Ok(clients.counted().clone())
}

impl Clients {
    fn counted(&self) -> std::sync::MutexGuard<'_, Counted> {
        // No code panics while it holds the lock.
        self.counted
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    async fn ask_once(self, due: Instant) {
        let all = async {
            let (mut requests, connection) = self.open(LARGE).await?;
            let answered = ask(&mut requests, SMALL, None).await;
            drop(requests);
            // The request is answered, so an error while closing does not count.
            let _ = timeout(Duration::from_secs(1), connection).await;
            answered
        };
        let outcome = in_time(all).await;
        let mut counted = self.counted();
        counted.connections.asked += 1;
        counted.connections.count(&outcome);
        if outcome.is_ok() {
            counted.slowest = counted.slowest.max(due.elapsed().as_secs_f64());
        }
    }

    /// Keeps a connection open, and opens another one when the server closes it.
    async fn stay(self, streams: u32) {
        let mut first = true;
        while !self.ends.load(Ordering::Relaxed) {
            if !std::mem::take(&mut first) {
                self.counted().reconnected += 1;
            }
            let opened = in_time(self.open(PIECE)).await;
            let (requests, connection) = match opened {
                Ok(opened) => opened,
                Err(failure) => {
                    let mut counted = self.counted();
                    counted.connections.asked += 1;
                    counted.connections.count(&Err(failure));
                    continue;
                }
            };
            let mut lanes = JoinSet::new();
            for _ in 0..streams {
                lanes.spawn(self.clone().ask_on(requests.clone()));
            }
            drop(requests);
            while lanes.join_next().await.is_some() {}
            let _ = timeout(Duration::from_secs(1), connection).await;
        }
    }

    /// Opens one stream after the other until the connection refuses new ones.
    async fn ask_on(self, requests: SendRequest<Bytes>) {
        while !self.ends.load(Ordering::Relaxed) {
            let mut requests = match requests.clone().ready().await {
                Ok(requests) => requests,
                Err(error) => {
                    // After GOAWAY no request was sent, so none can be lost.
                    if let failure @ Failure::Lost(_) = error.into() {
                        self.counted().streams.asked += 1;
                        self.counted().streams.count(&Err(failure));
                    }
                    return;
                }
            };
            let outcome = in_time(ask(&mut requests, LARGE, Some(PIECE_TIME))).await;
            self.counted().streams.asked += 1;
            self.counted().streams.count(&outcome);
            if outcome.is_err() {
                return;
            }
        }
    }

    async fn open(
        &self,
        window: usize,
    ) -> Result<(SendRequest<Bytes>, tokio::task::JoinHandle<()>), Failure> {
        let socket = TcpStream::connect(self.target.addr)
            .await
            .map_err(lost("connect"))?;
        socket.set_nodelay(true).map_err(lost("TCP_NODELAY"))?;
        let name =
            ServerName::try_from("localhost").map_err(|error| Failure::Lost(error.to_string()))?;
        let stream = TlsConnector::from(Arc::clone(&self.tls))
            .connect(name, socket)
            .await
            .map_err(lost("TLS"))?;
        let window = u32::try_from(window).unwrap_or(u32::MAX >> 1);
        let (requests, connection) = h2::client::Builder::new()
            .initial_window_size(window)
            .initial_connection_window_size(1 << 20)
            .handshake(stream)
            .await?;
        let connection = tokio::spawn(async move {
            let _ = connection.await;
        });
        Ok((requests, connection))
    }
}

async fn in_time<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    timeout(DEADLINE, work)
        .await
        .unwrap_or_else(|_| Err(Failure::Lost(format!("no response after {DEADLINE:?}"))))
}

/// Sends a request and compares every byte of the response. `pace` is the time for each piece.
async fn ask(
    requests: &mut SendRequest<Bytes>,
    length: usize,
    pace: Option<Duration>,
) -> Result<(), Failure> {
    let request = Request::get(format!("https://localhost/bytes/{length}"));
    let request = request
        .body(())
        .map_err(|error| Failure::Lost(error.to_string()))?;
    let (response, _) = requests.send_request(request, true)?;
    let response = response.await?;
    let status = response.status();
    if status != StatusCode::OK {
        return Err(Failure::Lost(format!("the server answered {status}")));
    }
    let mut got = Vec::with_capacity(length);
    let mut body_left = response.into_body();
    let mut taken = 0;
    while let Some(data) = body_left.data().await {
        let data = data?;
        got.extend_from_slice(&data);
        taken += data.len();
        match pace {
            Some(pace) if taken >= PIECE => sleep(pace).await,
            Some(_) => continue,
            None => {}
        }
        body_left.flow_control().release_capacity(taken)?;
        taken = 0;
    }
    match got == body(length) {
        true => Ok(()),
        false => Err(Failure::Lost(format!(
            "the body has {} bytes of {length}, or wrong ones",
            got.len()
        ))),
    }
}
