//! One round of one server.

use anyhow::Context;
use serde::Serialize;

use crate::{
    check::check,
    client::{Client, Job, Target, Task},
    contenders::Contender,
    h2load,
    measure::Site,
    servers::Running,
    shapes::{Load, Requests, Shape},
    statistics::quantile,
};

/// What came out of it, in the shape's units.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Sample {
    pub figure: f64,
    pub aside: Option<f64>,
}

/// A server of a shape, and what it takes to talk to it.
pub struct Subject<'a> {
    pub contender: Contender,
    pub shape: &'static Shape,
    pub site: &'a Site,
}

impl Subject<'_> {
    pub fn start(&self) -> anyhow::Result<Running> {
        Running::start(&self.contender, self.shape.key_type, self.site)
    }

    pub fn target(&self, running: &Running) -> Target {
        Target {
            addr: running.addr,
            terms: self.contender.terms(self.shape.key_type),
            certificate: self
                .site
                .fixtures
                .credentials(self.shape.key_type)
                .certificate,
        }
    }

    /// A few requests that are not counted, so that caches and allocators have seen some.
    pub fn warm_up(&self, running: &mut Running) -> anyhow::Result<()> {
        match self.shape.load {
            Load::Requests(load) | Load::Workers(load) | Load::Latency(load) => {
                let few = (load.requests / 20).max(load.connections);
                self.h2load(
                    Requests {
                        requests: few,
                        ..load
                    },
                    running,
                )
                .map(drop)
            }
            Load::Handshakes { resumed, .. } => {
                let few = Task::Handshakes {
                    count: 100,
                    resumed,
                };
                self.client(few, running)?.go().map(drop)
            }
            Load::Idle { .. } => Ok(()),
        }
    }

    /// As many requests per second as it can answer.
    pub fn saturated_rate(&self, load: Requests, running: &Running) -> anyhow::Result<f64> {
        self.h2load(self.planned(load), running)
    }

    /// CPU per request, of any load that h2load can make.
    pub fn requests(&self, load: Requests, running: &mut Running) -> anyhow::Result<Sample> {
        let load = self.planned(load);
        let before = running.processes()?.cpu_time_at_rest()?;
        let rate = self.h2load(load, running)?;
        let used = running.processes()?.cpu_time_at_rest()?.since(&before)?;
        Ok(Sample {
            figure: used.as_secs_f64() * 1e6 / f64::from(load.requests),
            aside: Some(rate),
        })
    }

    /// CPU per connection.
    pub fn handshakes(
        &self,
        count: u32,
        resumed: bool,
        running: &mut Running,
    ) -> anyhow::Result<Sample> {
        let count = count / self.site.plan.divisor;
        let mut client = self.client(Task::Handshakes { count, resumed }, running)?;
        let before = running.processes()?.cpu_time_at_rest()?;
        let seconds = client.go()?.seconds;
        let used = running.processes()?.cpu_time_at_rest()?.since(&before)?;
        Ok(Sample {
            figure: used.as_secs_f64() * 1e6 / f64::from(count),
            aside: Some(f64::from(count) / seconds),
        })
    }

    /// Memory per connection, in a server that has had one connection before: what it keeps from
    /// earlier ones must not be there already.
    pub fn idle(&self, connections: u32) -> anyhow::Result<Sample> {
        let mut running = self.start()?;
        check(&self.target(&running), self.shape.resource())?;
        let mut client = self.client(Task::Idle { connections }, &running)?;
        let before = running.processes()?.memory_at_rest()?;
        client.go()?;
        let after = running.processes()?.memory_at_rest()?;
        let grown = after.saturating_sub(before) as f64;
        Ok(Sample {
            figure: grown / 1024.0 / f64::from(connections),
            aside: None,
        })
    }

    /// Percentiles at so many requests per second.
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

    /// As many requests as this run makes.
    fn planned(&self, load: Requests) -> Requests {
        let requests = load.requests / self.site.plan.divisor;
        Requests {
            requests: requests.max(load.connections),
            ..load
        }
    }

    fn h2load(&self, load: Requests, running: &Running) -> anyhow::Result<f64> {
        let Target { addr, terms, .. } = self.target(running);
        h2load::run(load, addr, terms, &self.site.fixtures, self.site.cores)
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
