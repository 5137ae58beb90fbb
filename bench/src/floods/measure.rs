//! The rounds of a flood. In each round every server in turn is measured first without the flood, then
//! under it.

use anyhow::Context;

use super::{
    catalogue::Flood,
    results::{Row, Sample, ServerResult},
};
use crate::{
    check::check,
    client::{Client, Job, Target, Task},
    contenders::Contender,
    fixtures::Resource,
    interrupt,
    options::Http2Engine,
    server::{Backend, Server},
    servers::{self, Running},
    shapes::TINY,
    site::Site,
    statistics::Spread,
};

/// The other client: few connections and requests, so that only the flood can slow it down.
const CONNECTIONS: u32 = 8;
const RATE: f64 = 200.0;

/// Its requests before and during the attack.
const BEFORE: u32 = 50;
const ATTACKED: u32 = 140;

/// The length of an attack.
const SECONDS: f64 = ATTACKED as f64 / RATE;

struct Lane<'a> {
    contender: Contender,
    flood: &'static Flood,
    site: &'a Site,
    running: Option<Running>,
    samples: Vec<Sample>,
    error: Option<String>,
}

/// Returns one row for each version of TLS.
pub fn measure(
    flood: &'static Flood,
    engine: Http2Engine,
    site: &Site,
) -> anyhow::Result<Vec<Row>> {
    let contenders = flood.groups.iter().flat_map(|&group| {
        let corelane = match engine {
            Http2Engine::H2 => Server::Corelane(Backend::of(group)),
            Http2Engine::Corelane => Server::CorelaneHttp2(Backend::of(group)),
        };
        [corelane, Server::Nginx, Server::H2o].map(|server| Contender {
            server,
            group,
            workers: 1,
        })
    });
    let mut lanes: Vec<_> = contenders
        .map(|contender| Lane {
            contender,
            flood,
            site,
            running: None,
            samples: Vec::new(),
            error: None,
        })
        .collect();
    for round in 0..=site.plan.rounds {
        for lane in &mut lanes {
            interrupt::check()?;
            lane.attempt(|lane| match round {
                0 => lane.prepare(),
                _ => lane.sample(round),
            });
        }
    }
    let rows = flood.groups.iter().map(|&group| {
        let of_group = lanes.extract_if(.., |lane| lane.contender.group == group);
        let servers = of_group.map(|lane| ServerResult {
            server: lane.contender.server,
            samples: lane.samples,
            error: lane.error,
        });
        Row::new(flood, group, servers.collect())
    });
    Ok(rows.collect())
}

impl Lane<'_> {
    fn attempt(&mut self, step: impl FnOnce(&mut Self) -> anyhow::Result<()>) {
        if self.error.is_some() {
            return;
        }
        if let Err(error) = step(self) {
            eprintln!("ERROR: {}: {error:#}", self.name());
            self.error = Some(format!("{error:#}"));
            self.running = None;
        }
    }

    fn name(&self) -> String {
        let Self {
            contender, flood, ..
        } = self;
        format!("{} {} {}", flood.name, contender.group, contender.name())
    }

    fn prepare(&mut self) -> anyhow::Result<()> {
        let running = servers::start(&self.contender, &TINY, self.site)?;
        check(&self.target(&running), Resource::Tiny)?;
        self.running = Some(running);
        Ok(())
    }

    fn target(&self, running: &Running) -> Target {
        Target {
            addr: running.addr,
            terms: self.contender.terms(&TINY),
            certificate: self.site.fixtures.credentials(TINY.key_type).certificate,
            demonstration: false,
        }
    }

    fn client(&self, task: Task, running: &Running) -> anyhow::Result<Client> {
        let target = self.target(running);
        Client::start(&Job { target, task }, self.site.cores)
    }

    fn sample(&mut self, round: u32) -> anyhow::Result<()> {
        let mut running = self
            .running
            .take()
            .context("the server was started above")?;
        let sample = self.attack(&mut running)?;
        eprintln!(
            "{:45} round {round}: {:6.2} % of a core, {:7.0}/s, latency {:4.0} to {:4.0} µs",
            self.name(),
            sample.core_share() * 100.0,
            sample.rate(),
            sample.latency_before,
            sample.latency_attacked,
        );
        self.samples.push(sample);
        self.running = Some(running);
        Ok(())
    }

    fn attack(&self, running: &mut Running) -> anyhow::Result<Sample> {
        let others = Task::Steady {
            connections: CONNECTIONS,
            rate: RATE,
        };
        let mut others = self.client(others, running)?;
        let flood = Task::Flood {
            name: self.flood.name.into(),
            seconds: SECONDS,
        };
        let mut attackers = self.client(flood, running)?;
        let begin = running.processes()?.cpu_time_at_rest()?;
        others.begin(&BEFORE.to_string())?;
        let before = others.end().context("the other client, before the flood")?;
        let between = running.processes()?.cpu_time_at_rest()?;
        attackers.begin("go")?;
        others.begin(&ATTACKED.to_string())?;
        let attacked = others.end().context("the other client, during the flood")?;
        let attack = attackers.end().context("the attackers")?;
        // Closing the attackers' connections is work for the server too.
        drop(attackers);
        let end = running.processes()?.cpu_time_at_rest()?;
        let median = |took: Vec<f64>| Some(Spread::of(took)?.median);
        let served = between
            .since(&begin)?
            .mul_f64(f64::from(ATTACKED) / f64::from(BEFORE));
        let all = end.since(&between)?;
        Ok(Sample {
            cpu_seconds: all.saturating_sub(served).as_secs_f64(),
            offered: self.flood.rate,
            latency_before: median(before.took).context("there were requests")?,
            latency_attacked: median(attacked.took).context("there were requests")?,
            attack: attack.attacked.context("the client reports a flood")?,
        })
    }
}
