//! Load by clients of which most are killed, reset or stalled at random. Afterwards the server's
//! usage is as before, its counters add up, and its log has no unexplained line.
//!
//! It takes minutes, so only `ci/soak` runs it.

mod load;
mod support;

use std::{
    collections::BTreeMap,
    rc::Rc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use load::{
    clients::{Client, Target, h2load},
    random::Random,
    server::{GARBAGE, Log, NONSENSE, Server, Usage},
};
use tokio::{task::LocalSet, time::timeout_at};

/// Clients at once, for each server.
const CLIENTS: u64 = 16;

const WARM_UP: Duration = Duration::from_secs(25);

/// A little longer than jemalloc keeps freed memory.
const SETTLES: Duration = Duration::from_secs(13);

/// How long the server may take to get back to its earlier usage: a waiting write takes longest.
const DEADLINE: Duration = Duration::from_secs(60);

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
#[ignore = "takes minutes: ci/soak"]
fn usage_after_the_load_is_as_before() {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a clock");
    let seed = variable("SOAK_SEED").unwrap_or(now.as_secs());
    let whole = Duration::from_secs(variable("SOAK_SECONDS").unwrap_or(120));
    let load = whole.saturating_sub(WARM_UP + 2 * SETTLES);
    println!("SOAK_SEED={seed} SOAK_SECONDS={}", whole.as_secs());
    // All backends at once, so that more of them take no longer.
    let backends = ["none", "rustls", "native-tls", "openssl"]
        .into_iter()
        .enumerate();
    let soaking: Vec<_> = backends
        .map(|(i, backend)| {
            let seed = seed.wrapping_add(i as u64);
            std::thread::spawn(move || soak(backend, seed, load))
        })
        .collect();
    let ended = soaking.into_iter().map(std::thread::JoinHandle::join);
    let failed = ended.filter(Result::is_err).count();
    assert_eq!(failed, 0, "servers did not pass");
}

fn soak(backend: &'static str, seed: u64, load: Duration) {
    let server = Server::start(backend);
    let target = Target {
        addr: server.addr,
        tls: server.tls(),
    };
    let mut random = Random::new(seed);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let mut outcomes = Outcomes::default();
    let (before, after) = runtime.block_on(async {
        outcomes.add(run_clients(target, &mut random, WARM_UP).await);
        let before = settle(&server, &mut outcomes, |_| false, SETTLES).await;
        outcomes.add(run_clients(target, &mut random, load).await);
        let as_before = |usage: Usage| {
            usage.descriptors == before.descriptors
                && usage.resident_kib * 10 <= before.resident_kib * 11
        };
        let after = settle(&server, &mut outcomes, as_before, DEADLINE).await;
        (before, after)
    });
    let log = server.stop();
    println!("{backend}: {:?}", outcomes.ran);
    println!("{backend}: {before:?} before, {after:?} after");
    println!("{backend}: {:?}", log.counters);
    for (reason, count) in &log.reasons {
        println!("{backend}: {count:6} x {reason}");
    }
    assert_eq!(
        outcomes.failures,
        Vec::<String>::new(),
        "{backend}: answers"
    );
    assert_eq!(log.unexplained, Vec::<String>::new(), "{backend}: its log");
    assert_eq!(after.descriptors, before.descriptors, "{backend}");
    assert!(
        after.resident_kib * 10 <= before.resident_kib * 11,
        "{backend}: {after:?}, {before:?} before"
    );
    let because = |what: &[&str]| {
        let reasons = log.reasons.iter();
        let such = reasons.filter(|(reason, _)| what.iter().any(|what| reason.contains(what)));
        such.map(|(_, count)| count).sum::<u64>()
    };
    // A client that closes its connection properly has not failed.
    assert!(because(&["ByPeer"]) >= outcomes.of(&[Client::Polite]));
    assert!(because(&GARBAGE) <= outcomes.of(&[Client::Garbage]));
    assert!(because(&NONSENSE) <= outcomes.of(&[Client::Nonsense, Client::HalfHandshake]));
    assert_counters_add_up(backend, &log, &outcomes);
}

fn assert_counters_add_up(backend: &str, log: &Log, outcomes: &Outcomes) {
    let counted = |names: &[&str]| names.iter().map(|name| log.counters[*name]).sum::<u64>();
    for (whole, parts) in [
        ("connections_accepted", &["connections_closed"][..]),
        (
            "connections_accepted",
            &["handshakes_completed", "handshakes_failed"],
        ),
        ("upgrades", &["upgrades_ended"]),
        (
            "requests",
            &["requests_answered", "requests_abandoned", "streams_stalled"],
        ),
    ] {
        let (whole_count, sum) = (counted(&[whole]), counted(parts));
        assert_eq!(whole_count, sum, "{backend}: {whole} and {parts:?}");
    }
    for never in [
        "accept_errors",
        "alpn_disagreements",
        "connection_panics",
        "handler_errors",
        "handler_panics",
    ] {
        assert_eq!(counted(&[never]), 0, "{backend}: {never}");
    }
    assert!(counted(&["requests_answered"]) >= outcomes.of(&[Client::Polite]));
    assert!(counted(&["upgrades"]) > 0, "{backend}");
    let refused = outcomes.of(&[Client::WrongProtocol]);
    assert_eq!(counted(&["alpn_refused"]), refused, "{backend}");
}

/// The number of runs of each client, and the failures of the server.
#[derive(Default)]
struct Outcomes {
    ran: BTreeMap<Client, u64>,
    failures: Vec<String>,
}

impl Outcomes {
    fn of(&self, clients: &[Client]) -> u64 {
        clients
            .iter()
            .filter_map(|client| self.ran.get(client))
            .sum()
    }

    fn add(&mut self, other: Self) {
        for (client, count) in other.ran {
            *self.ran.entry(client).or_default() += count;
        }
        self.failures.extend(other.failures);
    }

    fn ran(&mut self, client: Client, result: Result<(), String>) {
        *self.ran.entry(client).or_default() += 1;
        if let Err(failure) = result {
            self.failures.push(format!("{client:?}: {failure}"));
        }
    }
}

/// Runs clients, one after the other in each of `CLIENTS` tasks. Rude clients are cut off at the end.
async fn run_clients(target: Target, random: &mut Random, load: Duration) -> Outcomes {
    let end = tokio::time::Instant::now() + load;
    let tasks = LocalSet::new();
    let outcomes = Rc::new(std::cell::RefCell::new(Outcomes::default()));
    for task in 0..=CLIENTS {
        let mut random = Random::new(random.next());
        let outcomes = Rc::clone(&outcomes);
        tasks.spawn_local(async move {
            while tokio::time::Instant::now() < end {
                if task == CLIENTS {
                    let _ = timeout_at(end, h2load(target, &mut random)).await;
                    continue;
                }
                let client = Client::any(target, &mut random);
                let run = client.run(target, &mut random);
                let result = match client {
                    Client::Polite | Client::WrongProtocol => run.await,
                    _ => timeout_at(end, run).await.unwrap_or(Ok(())),
                };
                outcomes.borrow_mut().ran(client, result);
            }
        });
    }
    tasks.await;
    outcomes.take()
}

/// Waits until the usage is `wanted`, or for `limit`. Sends a few requests meanwhile: the allocator
/// returns memory when some is allocated.
async fn settle(
    server: &Server,
    outcomes: &mut Outcomes,
    wanted: impl Fn(Usage) -> bool,
    limit: Duration,
) -> Usage {
    let target = Target {
        addr: server.addr,
        tls: server.tls(),
    };
    let mut random = Random::new(0);
    let started = Instant::now();
    loop {
        let result = Client::Polite.run(target, &mut random).await;
        outcomes.ran(Client::Polite, result);
        let usage = server.usage();
        if wanted(usage) || started.elapsed() > limit {
            return usage;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
