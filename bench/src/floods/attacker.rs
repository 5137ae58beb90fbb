//! The attackers: ten connections that send at a steady rate. If the server closes one, the attacker
//! opens another. They run in the client's process.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::Context;
use procfs::process::Process;
use rustls::{ClientConfig, client::Resumption, pki_types::ServerName};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    runtime::Runtime,
    task::JoinSet,
    time::{Instant, Interval, MissedTickBehavior, interval_at, sleep_until, timeout_at},
};
use tokio_rustls::TlsConnector;

use super::{
    attacked::Attacked,
    catalogue::{self, Attack, Flood, Opening},
    connection::{Connection, Session, client_hello, connect},
};
use crate::client::Target;

const ATTACKERS: u32 = 10;

/// The interval at which each attacker sends.
const TICK: Duration = Duration::from_millis(5);

/// The least time between two connections of an attacker. Together the attackers open 200 per second at
/// most, as in the flood of handshakes: with more, every flood that the server cuts off would become a
/// flood of handshakes.
const RECONNECT: Duration = Duration::from_millis(50);

/// One of the attackers.
#[derive(Clone)]
struct Attacker {
    flood: &'static Flood,
    target: Target,
    tls: Arc<ClientConfig>,
    hello: Arc<Vec<u8>>,
    done: Arc<Mutex<Attacked>>,
}

/// Runs the flood of this name, in the client's process.
pub fn attack(
    runtime: &Runtime,
    target: &Target,
    name: &str,
    seconds: f64,
    ready: &mut dyn FnMut() -> anyhow::Result<()>,
) -> anyhow::Result<Attacked> {
    let flood = catalogue::named(name).map_err(anyhow::Error::msg)?;
    let duration = Duration::from_secs_f64(seconds);
    let mut tls = target.tls()?;
    // Full handshakes, as attackers on different machines would make.
    tls.resumption = Resumption::disabled();
    tls.enable_secret_extraction = true;
    let tls = Arc::new(tls);
    let attacker = Attacker {
        flood,
        target: target.clone(),
        hello: Arc::new(client_hello(&tls)?),
        tls,
        done: Arc::default(),
    };
    let mut connections = Vec::new();
    for _ in 0..ATTACKERS {
        connections.push(match flood.attack {
            Attack::Connections(_) => None,
            _ => Some(runtime.block_on(attacker.open())?),
        });
    }
    ready()?;
    let before = cpu_time()?;
    runtime.block_on(async {
        let begin = Instant::now();
        let mut tasks = JoinSet::new();
        for (i, connection) in (0..ATTACKERS).zip(connections) {
            let schedule = Schedule::new(flood, begin, i);
            let attacker = attacker.clone();
            tasks.spawn(timeout_at(
                begin + duration,
                attacker.go(connection, schedule),
            ));
        }
        while let Some(ended) = tasks.join_next().await {
            // An attacker ends with its time-out, unless it fails.
            if let Ok(failed) = ended? {
                failed?;
            }
        }
        attacker.done().seconds = begin.elapsed().as_secs_f64();
        anyhow::Ok(())
    })?;
    attacker.done().cpu_seconds = cpu_time()? - before;
    let done = attacker.done().clone();
    Ok(done)
}

/// CPU time of this process, which has one thread.
fn cpu_time() -> anyhow::Result<f64> {
    let account = Process::myself()?.schedstat()?;
    Ok(account.sum_exec_runtime as f64 / 1e9)
}

/// The times at which an attacker sends, and the number of pieces at a time.
struct Schedule {
    ticks: Interval,
    pieces: u32,
    begin: Instant,
}

impl Schedule {
    /// The attackers' ticks are spread evenly over the interval.
    fn new(flood: &Flood, begin: Instant, attacker: u32) -> Self {
        let rate = f64::from(flood.rate) / f64::from(ATTACKERS * flood.attack.in_piece());
        let pieces = (rate * TICK.as_secs_f64()).round().max(1.0);
        let tick = Duration::from_secs_f64(pieces / rate);
        let begin = begin + tick * attacker / ATTACKERS;
        let mut ticks = interval_at(begin, tick);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        Self {
            ticks,
            pieces: pieces as u32,
            begin,
        }
    }
}

impl Attacker {
    async fn open(&self) -> anyhow::Result<Connection> {
        Connection::open(&self.target, &self.tls, self.flood).await
    }

    fn done(&self) -> MutexGuard<'_, Attacked> {
        lock(&self.done)
    }

    async fn go(self, mut first: Option<Connection>, mut schedule: Schedule) -> anyhow::Result<()> {
        if let Attack::Connections(opening) = self.flood.attack {
            return self.connect(opening, schedule).await;
        }
        let mut next = schedule.begin;
        loop {
            let connection = match first.take() {
                Some(connection) => connection,
                None => {
                    sleep_until(next).await;
                    next = Instant::now() + RECONNECT;
                    match self.open().await {
                        Ok(connection) => {
                            self.done().connections += 1;
                            connection
                        }
                        Err(_) => {
                            self.done().refused += 1;
                            continue;
                        }
                    }
                }
            };
            let (how, sent) = self.flood(connection, &mut schedule).await?;
            self.done().cut_off.entry(how).or_default().push(sent);
        }
    }

    /// Floods until the server closes the connection. Returns how it was closed and how much was sent.
    async fn flood(
        &self,
        connection: Connection,
        schedule: &mut Schedule,
    ) -> anyhow::Result<(String, u64)> {
        let (reader, mut writer) = connection.tcp.into_split();
        let session = Arc::new(Mutex::new(connection.session));
        let mut reading = JoinSet::new();
        reading.spawn(read(reader, Arc::clone(&session)));
        let mut pieces = 0;
        let in_piece = u64::from(self.flood.attack.in_piece());
        loop {
            schedule.ticks.tick().await;
            if let Some(how) = reading.try_join_next() {
                return Ok((how?, u64::from(pieces) * in_piece));
            }
            let (records, payload) =
                lock(&session).seal(self.flood, &self.hello, pieces, schedule.pieces)?;
            if writer.write_all(&records).await.is_err() {
                let how = reading
                    .join_next()
                    .await
                    .context("the reader has not ended")?;
                return Ok((how?, u64::from(pieces) * in_piece));
            }
            pieces += schedule.pieces;
            let mut done = self.done();
            done.sent += u64::from(schedule.pieces) * in_piece;
            done.bytes += payload as u64;
        }
    }

    async fn connect(self, opening: Opening, mut schedule: Schedule) -> anyhow::Result<()> {
        let mut open = Vec::new();
        let mut ends = JoinSet::new();
        loop {
            schedule.ticks.tick().await;
            let begun = async {
                let mut tcp = connect(&self.target).await?;
                let bytes = match opening {
                    Opening::ClientHello => {
                        tcp.write_all(&self.hello).await?;
                        open.push(tcp);
                        self.hello.len()
                    }
                    Opening::Handshake => {
                        let name = ServerName::try_from("localhost")?;
                        let tls = TlsConnector::from(Arc::clone(&self.tls));
                        tls.connect(name, tcp).await?;
                        self.hello.len()
                    }
                    Opening::Garbage => {
                        tcp.write_all(&GARBAGE).await?;
                        ends.spawn(end_of(tcp, Arc::clone(&self.done)));
                        GARBAGE.len()
                    }
                };
                anyhow::Ok(bytes)
            };
            match begun.await {
                Ok(bytes) => {
                    let mut done = self.done();
                    done.sent += 1;
                    done.connections += 1;
                    done.bytes += bytes as u64;
                }
                Err(_) => self.done().refused += 1,
            }
        }
    }
}

/// Counts how the server closes the connection.
async fn end_of(mut tcp: TcpStream, done: Arc<Mutex<Attacked>>) {
    let mut answer = Vec::new();
    let how = match tcp.read_to_end(&mut answer).await {
        Ok(_) if answer.first() == Some(&21) => "alert",
        Ok(_) => "closed",
        Err(_) => "reset",
    };
    lock(&done).cut_off.entry(how.into()).or_default().push(1);
}

/// Neither TLS nor HTTP.
static GARBAGE: [u8; 1024] = [0; 1024];

async fn read(mut tcp: tokio::net::tcp::OwnedReadHalf, session: Arc<Mutex<Session>>) -> String {
    let mut chunk = vec![0; 16 << 10];
    loop {
        match tcp.read(&mut chunk).await {
            Ok(0) => return "closed".into(),
            Err(_) => return "reset".into(),
            Ok(n) => {
                if let Some(how) = lock(&session).open(&chunk[..n]) {
                    return how;
                }
            }
        }
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
