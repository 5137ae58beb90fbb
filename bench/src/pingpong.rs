//! The latency of handlers that wait for tokio, on corelane and on axum::serve. bench/README.md explains
//! the method.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use h2::client::{SendRequest, handshake};
use http::{Request, StatusCode};
use tokio::{net::TcpStream, runtime::Runtime, time::timeout};

use crate::{
    cores, install, interrupt,
    options::{Allocator, Driver},
    servers::Running,
    statistics::{Spread, quantile},
};

/// How long a server may take to start, and a request to be answered.
const DEADLINE: Duration = Duration::from_secs(20);

/// The handlers, and how often each server runs one in a round.
const PATHS: [(&str, usize); 3] = [("tiny", 2_000), ("pingpong", 2_000), ("sleep", 500)];

/// The name, the value of `--server` and that of `--driver`. The first is the one that others are
/// compared with.
const SERVERS: [(&str, &str, &str); 5] = [
    ("axum::serve", "axum", "epoll"),
    ("corelane, io_uring, one runtime", "corelane", "io-uring"),
    ("corelane, epoll, one runtime", "corelane", "epoll"),
    (
        "corelane, io_uring, siblings",
        "corelane-siblings",
        "io-uring",
    ),
    ("corelane, epoll, siblings", "corelane-siblings", "epoll"),
];

#[derive(Debug, clap::Args)]
pub struct Args {
    /// How often to measure each server.
    #[arg(long, value_name = "N", default_value = "7", value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,

    /// Workers of corelane and threads of tokio, 1 or 2; with 2 on a machine with two cores, the server
    /// shares one with the client.
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u8).range(1..=2))]
    workers: u8,

    /// Use the servers of the last build.
    #[arg(long)]
    no_build: bool,
}

/// What a server took for the requests of one path in one round.
struct Sample {
    /// Microseconds.
    median: f64,
    p99: f64,
    /// CPU time of the server, microseconds per request.
    cpu: f64,
}

pub fn run(args: &Args) -> anyhow::Result<bool> {
    interrupt::catch()?;
    let builds = install::Builds::new(Allocator::System, Driver::Auto);
    if !args.no_build {
        builds.make_program("tokio-pingpong")?;
    }
    let program = builds.program("tokio-pingpong");
    let cores = cores::Cores::choose()?;
    cores.keep_to_client()?;
    let of_server = cores.of_workers(usize::from(args.workers));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    // By server and path, one sample for each round.
    let mut samples: Vec<Vec<Vec<Sample>>> =
        SERVERS.map(|_| PATHS.map(|_| Vec::new()).into()).into();
    for round in 0..args.rounds as usize {
        // Each server goes first in its turn.
        for turn in 0..SERVERS.len() {
            let index = (round + turn) % SERVERS.len();
            let (name, server, driver) = SERVERS[index];
            let addr = free_addr()?;
            let mut command = cores::pinned(&of_server, &program);
            command.args(["--listen", &addr.to_string()]);
            command.args(["--workers", &args.workers.to_string()]);
            command.args(["--server", server, "--driver", driver]);
            let scratch = tempfile::tempdir()?;
            let mut running = Running::spawn(command, addr, scratch, DEADLINE).context(name)?;
            for ((path, count), samples) in PATHS.iter().zip(&mut samples[index]) {
                samples.push(measure(&runtime, &mut running, path, *count).context(name)?);
            }
            eprintln!("round {} of {}: {name}", round + 1, args.rounds);
        }
    }
    print!("{}", table(&samples));
    Ok(true)
}

fn free_addr() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// Sends requests one by one, on one connection.
fn measure(
    runtime: &Runtime,
    server: &mut Running,
    path: &str,
    count: usize,
) -> anyhow::Result<Sample> {
    let addr = server.addr;
    let requests = runtime.block_on(async {
        let socket = TcpStream::connect(addr).await?;
        socket.set_nodelay(true)?;
        let (requests, connection) = handshake(socket).await?;
        tokio::spawn(connection);
        let mut requests = requests;
        for _ in 0..count / 10 {
            ask(&mut requests, path).await?;
        }
        anyhow::Ok(requests)
    });
    let mut requests = requests?;
    let processes = server.processes()?;
    let before = processes.cpu_time()?;
    let mut took = runtime.block_on(async {
        let mut took = Vec::with_capacity(count);
        for _ in 0..count {
            let begun = Instant::now();
            timeout(DEADLINE, ask(&mut requests, path)).await??;
            took.push(begun.elapsed().as_secs_f64() * 1e6);
        }
        anyhow::Ok(took)
    })?;
    let cpu = processes.cpu_time()?.since(&before)?;
    took.sort_by(f64::total_cmp);
    let of = |share| quantile(&took, share).context("no requests");
    Ok(Sample {
        median: of(0.5)?,
        p99: of(0.99)?,
        cpu: cpu.as_secs_f64() * 1e6 / count as f64,
    })
}

async fn ask(requests: &mut SendRequest<bytes::Bytes>, path: &str) -> anyhow::Result<()> {
    let request = Request::get(format!("http://localhost/{path}")).body(())?;
    let mut ready = requests.clone().ready().await?;
    let response = ready.send_request(request, true)?.0.await?;
    ensure!(response.status() == StatusCode::OK, "{}", response.status());
    let mut body = response.into_body();
    let mut length = 0;
    while let Some(data) = body.data().await {
        length += data?.len();
    }
    ensure!(length == 13, "{length} bytes");
    Ok(())
}

/// Medians of the rounds, the median of the quietest round, and the distance of the medians to those of the
/// first server, round by round.
fn table(samples: &[Vec<Vec<Sample>>]) -> String {
    let mut text = String::from(
        "| handler | server | median, µs | quietest round | to axum::serve, µs | p99, µs | CPU, µs |\n|---|---|---|---|---|---|---|\n",
    );
    for (path, (name, _)) in PATHS.iter().enumerate() {
        for (server, (title, ..)) in SERVERS.iter().enumerate() {
            let rounds = &samples[server][path];
            let quietest = rounds.iter().map(|it| it.median).fold(f64::NAN, f64::min);
            let median = |of: &dyn Fn(&Sample) -> f64| {
                Spread::of(rounds.iter().map(of)).map_or(f64::NAN, |spread| spread.median)
            };
            let apart = rounds.iter().zip(&samples[0][path]);
            let apart = Spread::of(apart.map(|(own, axum)| own.median - axum.median));
            let apart = apart.map_or(f64::NAN, |spread| spread.median);
            text += &format!(
                "| {name} | {title} | {:.0} | {quietest:.0} | {apart:+.0} | {:.0} | {:.0} |\n",
                median(&|it| it.median),
                median(&|it| it.p99),
                median(&|it| it.cpu),
            );
        }
    }
    text
}
