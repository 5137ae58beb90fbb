//! One sample: one server in one round.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde::Serialize;

use crate::{
    accounting::CpuTime,
    client::{Client, Job, Target, Task},
    contenders::Contender,
    generator::{self, Generator},
    h2load::H2load,
    server::Server,
    servers::{self, Running},
    shapes::{Load, Requests, Service, Shape},
    site::Site,
    statistics::quantile,
};

/// The figures of a sample, in the shape's units.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Sample {
    pub figure: f64,
    pub aside: Option<f64>,
}

/// Handshakes that are not counted.
const WARM_UP: u32 = 100;

/// A server in a shape.
pub struct Subject<'a> {
    pub contender: Contender,
    pub shape: &'static Shape,
    pub site: &'a Site,
}

impl Subject<'_> {
    pub fn start(&self) -> anyhow::Result<Running> {
        servers::start(&self.contender, self.shape, self.site)
    }

    pub fn target(&self, running: &Running) -> Target {
        Target {
            addr: running.addr,
            terms: self.contender.terms(self.shape),
            certificate: self
                .site
                .fixtures
                .credentials(self.shape.key_type)
                .certificate,
            demonstration: matches!(self.contender.server, Server::Command { .. })
                && self.shape.service == Service::Own,
        }
    }

    /// Sends a few requests that are not counted, so that caches and allocators are warm. Returns an
    /// estimate of how long a round takes.
    pub fn warm_up(&self, running: &mut Running) -> anyhow::Result<Duration> {
        let (all, few, seconds) = match self.shape.load {
            Load::Requests(load)
            | Load::Workers(load)
            | Load::Arrivals(load)
            | Load::Latency(load) => {
                let few = load.divided(20);
                let rate = self.h2load(few, running)?.run()?;
                (load.requests, few.requests, f64::from(few.requests) / rate)
            }
            Load::Handshakes { count, resumed } => {
                let few = count.min(WARM_UP);
                let task = Task::Handshakes {
                    count: few,
                    resumed,
                };
                (count, few, self.client(task, running)?.go()?.seconds)
            }
            Load::Storm { connections } => {
                let task = Task::Handshakes {
                    count: WARM_UP,
                    resumed: false,
                };
                (
                    connections,
                    WARM_UP,
                    self.client(task, running)?.go()?.seconds,
                )
            }
            Load::Idle { .. } => return Ok(Duration::ZERO),
        };
        Ok(Duration::from_secs_f64(seconds).mul_f64(f64::from(all) / f64::from(few)))
    }

    /// Measures the highest number of requests per second that the server answers.
    pub fn saturated_rate(&self, load: Requests, running: &Running) -> anyhow::Result<f64> {
        self.h2load(self.planned(load), running)?.run()
    }

    /// Starts a sample of CPU time per request, with h2load.
    pub fn requests(&self, load: Requests, running: &mut Running) -> anyhow::Result<Underway> {
        let load = self.planned(load);
        let h2load = self.h2load(load, running)?;
        Underway::begin(Box::new(h2load), load.requests, running)
    }

    /// Starts a sample of CPU time per connection.
    pub fn handshakes(
        &self,
        count: u32,
        resumed: bool,
        running: &mut Running,
    ) -> anyhow::Result<Underway> {
        let count = count / self.site.plan.divisor;
        let client = self.client(Task::Handshakes { count, resumed }, running)?;
        Underway::begin(Box::new(client.stand_by()?), count, running)
    }

    /// Measures CPU time per connection, and the milliseconds until all have been answered. Not in turns: a
    /// client that is stopped would count the time of the other servers.
    pub fn storm(&self, connections: u32, running: &mut Running) -> anyhow::Result<Sample> {
        let mut client = self.client(Task::Storm { connections }, running)?;
        let before = running.processes()?.cpu_time_at_rest()?;
        let took = client.go()?.took;
        let used = running.processes()?.cpu_time_at_rest()?.since(&before)?;
        let last = took.into_iter().max_by(f64::total_cmp);
        Ok(Sample {
            figure: used.as_secs_f64() * 1e6 / f64::from(connections),
            aside: Some(last.context("no requests")? / 1e3),
        })
    }

    /// Measures memory per connection. The server must have had only one connection before, since memory
    /// that it keeps from earlier connections would not be counted.
    pub fn idle(&self, connections: u32, running: &mut Running) -> anyhow::Result<Sample> {
        let mut client = self.client(Task::Idle { connections }, running)?;
        let before = running.processes()?.memory_at_rest()?;
        client.go()?;
        // corelane frees the state of HTTP/1.1 after a second.
        std::thread::sleep(Duration::from_millis(1_500));
        let after = running.processes()?.memory_at_rest()?;
        let grown = after.saturating_sub(before) as f64;
        Ok(Sample {
            figure: grown / 1024.0 / f64::from(connections),
            aside: None,
        })
    }

    /// Measures percentiles of latency at `rate` requests per second.
    pub fn latency(&self, load: Requests, rate: f64, running: &Running) -> anyhow::Result<Sample> {
        let Requests {
            requests,
            connections,
            ..
        } = self.planned(load);
        let mut client = self.client(
            Task::Paced {
                requests,
                connections,
                rate,
            },
            running,
        )?;
        let mut took = client.go()?.took;
        took.sort_by(f64::total_cmp);
        Ok(Sample {
            figure: quantile(&took, 0.99).context("no requests")?,
            aside: quantile(&took, 0.5),
        })
    }

    /// The load, with the number of requests of this run.
    fn planned(&self, load: Requests) -> Requests {
        load.divided(self.site.plan.divisor)
    }

    /// Starts h2load, stopped.
    fn h2load(&self, load: Requests, running: &Running) -> anyhow::Result<H2load> {
        let target = self.target(running);
        H2load::start(load, target, &self.site.fixtures, self.site.cores)
    }

    fn client(&self, task: Task, running: &Running) -> anyhow::Result<Client> {
        Client::start(
            &Job {
                target: self.target(running),
                task,
            },
            self.site.cores,
        )
    }
}

/// A load that runs longer than this, in its own turns, is an error of its server. The slowest server
/// needs less than a tenth of it.
const LIMIT: Duration = Duration::from_secs(60);

/// A sample that is taken in turns with others: its load is stopped outside of its turns. Dropping it
/// ends the load.
pub struct Underway {
    generator: Box<dyn Generator>,
    before: CpuTime,
    /// Requests or connections.
    count: u32,
    /// Time in its own turns.
    ran: Duration,
    ended: bool,
}

impl Underway {
    fn begin(
        generator: Box<dyn Generator>,
        count: u32,
        running: &mut Running,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            generator,
            before: running.processes()?.cpu_time_at_rest()?,
            count,
            ran: Duration::ZERO,
            ended: false,
        })
    }

    pub fn has_ended(&self) -> bool {
        self.ended
    }

    pub fn ran(&self) -> Duration {
        self.ran
    }

    /// Resumes the load for `slice` at most, then waits until the server is idle too.
    pub fn turn(&mut self, slice: Duration, running: &mut Running) -> anyhow::Result<()> {
        let begin = Instant::now();
        generator::resume(&*self.generator)?;
        self.ended = generator::is_done_by(&*self.generator, begin + slice)?;
        if !self.ended {
            generator::stop(&*self.generator)?;
        }
        self.ran += begin.elapsed();
        ensure!(
            self.ended || self.ran < LIMIT,
            "the client is not done after {LIMIT:?}"
        );
        running.processes()?.settle()
    }

    /// Computes the figures when the load has ended.
    pub fn finish(mut self, running: &mut Running) -> anyhow::Result<Sample> {
        self.generator.verify()?;
        let after = running.processes()?.cpu_time_at_rest()?;
        let used = after.since(&self.before)?;
        let count = f64::from(self.count);
        Ok(Sample {
            figure: used.as_secs_f64() * 1e6 / count,
            aside: Some(count / self.ran.as_secs_f64()),
        })
    }
}
