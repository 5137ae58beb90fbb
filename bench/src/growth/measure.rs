//! Measures one point of each curve: starts a server, puts a load on it and reads the kernel's accounts.

use std::{path::PathBuf, thread, time::Duration};

use super::{
    identities::identities,
    load::{Asked, Fields, Load, Requests, prefix},
};
use crate::{
    check::check,
    client::{Client, Job, Target, Task},
    contenders::Contender,
    fixtures::Resource,
    options::Http2Engine,
    server::{Backend, Server},
    servers::{Running, start_with},
    shapes::TINY,
    site::Site,
};

/// How long a server may take to read its certificates or routes.
const START: Duration = Duration::from_secs(300);

/// How long an idle server is watched.
pub const WATCHED: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub struct Bench<'a> {
    pub site: &'a Site,
    pub backend: Backend,
    pub engine: Http2Engine,
}

/// What the server needs for each request, or for each connection.
struct Cost {
    /// CPU time.
    microseconds: f64,
    /// How often a thread waited.
    waits: f64,
}

/// A server, with the certificate that its clients trust.
struct Subject<'a> {
    running: Running,
    contender: Contender,
    certificate: PathBuf,
    site: &'a Site,
}

/// With `n` connections that are open: CPU time of a request on one of them, and on one in a hundred of them in
/// turn; memory.
pub fn connections(bench: &Bench, n: u32) -> anyhow::Result<Vec<f64>> {
    let mut subject = bench.library(&[])?;
    let before = subject.memory()?;
    let mut many = subject.client(Load::Requests(Requests {
        connections: n,
        active: (n / 100).max(1),
        ..Requests::default()
    }))?;
    let memory = subject.memory()?.saturating_sub(before);
    let mut single = subject.client(Load::Requests(Requests::default()))?;
    let of_one = subject.cost(&mut single, 4_000)?;
    let of_many = subject.cost(&mut many, 4_000)?;
    // Of a single connection Pss may not show anything.
    let memory = (memory as f64 / 1024.0).max(1.0);
    Ok(vec![
        of_one.microseconds,
        of_one.waits,
        of_many.microseconds,
        memory,
    ])
}

/// How often an idle server waits, and so wakes up, within [`WATCHED`].
pub fn idle(bench: &Bench, n: u32) -> anyhow::Result<Vec<f64>> {
    let mut subject = bench.library(&[])?;
    let load = |connections| {
        Load::Requests(Requests {
            connections,
            ..Requests::default()
        })
    };
    let client = (n > 0).then(|| subject.client(load(n))).transpose()?;
    let processes = subject.running.processes()?;
    // What follows the last request, tickets and the end of its timers, is over by then.
    thread::sleep(Duration::from_secs(1));
    let (waits, cpu) = (processes.waits()?, processes.cpu_time()?);
    thread::sleep(WATCHED);
    let waits = processes.waits()? - waits;
    let cpu = processes.cpu_time()?.since(&cpu)?;
    drop(client);
    Ok(vec![waits as f64, cpu.as_secs_f64() * 1e6])
}

pub fn streams(bench: &Bench, n: u32) -> anyhow::Result<Vec<f64>> {
    let load = Requests {
        streams: n,
        ..Requests::default()
    };
    let cost = bench.requests(load, 8_000)?;
    Ok(vec![cost.microseconds, cost.waits])
}

/// Responses that are longer than what a connection queues for all its streams.
pub fn long_streams(bench: &Bench, n: u32) -> anyhow::Result<Vec<f64>> {
    const LENGTH: u32 = 64 << 10;
    let load = Requests {
        streams: n,
        asked: Asked::Path(format!("bytes/{LENGTH}")),
        answered: LENGTH,
        ..Requests::default()
    };
    let cost = bench.requests(load, 1_600)?;
    Ok(vec![cost.microseconds, cost.waits])
}

pub fn downloads(bench: &Bench, n: u32) -> anyhow::Result<Vec<f64>> {
    let load = Requests {
        asked: Asked::Path(format!("bytes/{n}")),
        answered: n,
        ..Requests::default()
    };
    Ok(vec![bench.requests(load, few(n))?.microseconds])
}

pub fn uploads(bench: &Bench, n: u32) -> anyhow::Result<Vec<f64>> {
    let load = Requests {
        asked: Asked::Path("upload".into()),
        upload: Some(n),
        answered: format!("{n}\n").len() as u32,
        ..Requests::default()
    };
    Ok(vec![bench.requests(load, few(n))?.microseconds])
}

/// Requests of which each moves this many bytes.
fn few(bytes: u32) -> u32 {
    ((64 << 20) / bytes.max(1)).clamp(12, 1_000)
}

pub fn fields(bench: &Bench, n: u32) -> anyhow::Result<Vec<f64>> {
    with_fields(bench, n, false)
}

pub fn new_fields(bench: &Bench, n: u32) -> anyhow::Result<Vec<f64>> {
    with_fields(bench, n, true)
}

fn with_fields(bench: &Bench, count: u32, are_new: bool) -> anyhow::Result<Vec<f64>> {
    let load = Requests {
        streams: 16,
        fields: Fields { count, are_new },
        ..Requests::default()
    };
    Ok(vec![bench.requests(load, 4_000)?.microseconds])
}

/// CPU time of a handshake, memory, and CPU time of the start.
pub fn by_identities(bench: &Bench, n: u32) -> anyhow::Result<Vec<f64>> {
    let made = identities(n, bench.site)?;
    let directory = made.directory.display().to_string();
    let mut subject = bench.library(&["--identities".into(), directory])?;
    subject.certificate = made.authority;
    let start = subject.cpu_milliseconds()?;
    let memory = subject.memory()? as f64 / 1024.0;
    let mut client = subject.client(Load::Handshakes { names: n })?;
    let cost = subject.cost(&mut client, 400)?;
    Ok(vec![cost.microseconds, memory, start])
}

/// CPU time of a request, memory, and CPU time of the start, of corelane's command.
pub fn routes(bench: &Bench, n: u32) -> anyhow::Result<Vec<f64>> {
    let bodies = bench.site.fixtures.bodies();
    let route = |index| {
        [
            "--route".into(),
            format!("{}={}", prefix(index), bodies.display()),
        ]
    };
    let others = [
        "--demo".into(),
        "--http2-engine".into(),
        bench.engine.name().into(),
    ];
    let arguments: Vec<_> = others.into_iter().chain((0..n).flat_map(route)).collect();
    let mut subject = bench.start(Server::Command { access_log: false }, &arguments)?;
    let start = subject.cpu_milliseconds()?;
    let memory = subject.memory()? as f64 / 1024.0;
    let mut client = subject.client(Load::Requests(Requests {
        streams: 16,
        asked: Asked::Routes(n),
        ..Requests::default()
    }))?;
    let cost = subject.cost(&mut client, 4_000)?;
    Ok(vec![cost.microseconds, memory, start])
}

impl<'a> Bench<'a> {
    fn requests(&self, load: Requests, count: u32) -> anyhow::Result<Cost> {
        let mut subject = self.library(&[])?;
        let mut client = subject.client(Load::Requests(load))?;
        subject.cost(&mut client, count)
    }

    fn library(&self, arguments: &[String]) -> anyhow::Result<Subject<'a>> {
        let server = match self.engine {
            Http2Engine::H2 => Server::Corelane(self.backend),
            Http2Engine::Corelane => Server::CorelaneHttp2(self.backend),
        };
        self.start(server, arguments)
    }

    fn start(&self, server: Server, arguments: &[String]) -> anyhow::Result<Subject<'a>> {
        let contender = Contender {
            server,
            group: server.backend().unwrap_or(self.backend).group(),
            workers: 1,
        };
        let mut subject = Subject {
            running: start_with(&contender, &TINY, self.site, arguments, START)?,
            contender,
            certificate: self.site.fixtures.credentials(TINY.key_type).certificate,
            site: self.site,
        };
        check(&subject.target(), Resource::Tiny)?;
        subject.running.processes()?;
        Ok(subject)
    }
}

impl Subject<'_> {
    fn target(&self) -> Target {
        Target {
            addr: self.running.addr,
            terms: self.contender.terms(&TINY),
            certificate: self.certificate.clone(),
            demonstration: matches!(self.contender.server, Server::Command { .. }),
        }
    }

    fn client(&self, load: Load) -> anyhow::Result<Client> {
        let target = self.target();
        let task = Task::Growth(load);
        Client::start(&Job { target, task }, self.site.cores)
    }

    fn memory(&mut self) -> anyhow::Result<u64> {
        self.running.processes()?.memory_at_rest()
    }

    /// Since the process was started.
    fn cpu_milliseconds(&mut self) -> anyhow::Result<f64> {
        let cpu = self.running.processes()?.cpu_time_at_rest()?;
        Ok(cpu.total().as_secs_f64() * 1e3)
    }

    /// Sends a tenth of the requests first, so that caches and allocators are warm.
    fn cost(&mut self, client: &mut Client, count: u32) -> anyhow::Result<Cost> {
        let mut run = |count: u32| {
            client.begin(&count.to_string())?;
            client.end()
        };
        run(count.div_ceil(10))?;
        let processes = self.running.processes()?;
        let cpu = processes.cpu_time_at_rest()?;
        let waits = processes.waits()?;
        run(count)?;
        let waits = processes.waits()? - waits;
        let cpu = processes.cpu_time_at_rest()?.since(&cpu)?;
        let count = f64::from(count);
        Ok(Cost {
            microseconds: cpu.as_secs_f64() * 1e6 / count,
            waits: waits as f64 / count,
        })
    }
}
