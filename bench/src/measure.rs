//! The rounds of a shape: around the servers in turn, so that whatever slows the machine down for a
//! while slows all of them down.

use std::collections::HashMap;

use anyhow::Context;

use crate::{
    args::Plan,
    check::check,
    contenders::Contender,
    cores::Cores,
    fixtures::Fixtures,
    install::Builds,
    interrupt,
    progress::Progress,
    results::{ContenderResult, ShapeResult},
    sample::{Sample, Subject},
    servers::Running,
    shapes::{Load, Shape},
    terms::{Group, Negotiated},
};

/// What stays the same through a run.
#[derive(Debug)]
pub struct Site {
    pub fixtures: Fixtures,
    pub cores: Cores,
    pub builds: Builds,
    pub plan: Plan,
    /// Limits of a server's own that would end a run of requests; they stay where it is attacked.
    pub limits_lifted: bool,
}

/// A server with what it has done so far. After its first error it no longer takes part.
struct Lane<'a> {
    subject: Subject<'a>,
    running: Option<Running>,
    negotiated: Option<Negotiated>,
    samples: Vec<Sample>,
    error: Option<String>,
}

/// An error is a server's own and stands in its result; only a signal ends the whole.
pub fn measure(
    shape: &'static Shape,
    (contenders, excused): (Vec<Contender>, Vec<(Contender, &'static str)>),
    site: &Site,
    progress: &mut Progress,
) -> anyhow::Result<ShapeResult> {
    let mut lanes: Vec<_> = contenders
        .into_iter()
        .map(|contender| Lane {
            subject: Subject {
                contender,
                shape,
                site,
            },
            running: None,
            negotiated: None,
            samples: Vec::new(),
            error: None,
        })
        .collect();
    for lane in &mut lanes {
        interrupt::check()?;
        progress.say(shape.name, &lane.subject.contender, "starting and checking");
        lane.attempt(progress, Lane::prepare);
    }
    let rates = saturated_rates(shape, &mut lanes, progress);
    for round in 1..=site.plan.rounds {
        for lane in &mut lanes {
            interrupt::check()?;
            progress.round(shape.name, &lane.subject.contender, round);
            let sample = lane.attempt(progress, |lane| lane.take_sample(&rates));
            progress.took(sample);
            lane.samples.extend(sample);
        }
    }
    for lane in &mut lanes {
        interrupt::check()?;
        lane.attempt(progress, Lane::check);
    }
    let results = lanes.into_iter().map(|lane| ContenderResult {
        name: lane.subject.contender.name(),
        contender: lane.subject.contender,
        negotiated: lane.negotiated,
        samples: lane.samples,
        error: lane.error,
    });
    Ok(ShapeResult::new(shape, results.collect(), excused, rates))
}

impl Lane<'_> {
    /// What goes wrong is this server's error from then on.
    fn attempt<T>(
        &mut self,
        progress: &mut Progress,
        step: impl FnOnce(&mut Self) -> anyhow::Result<T>,
    ) -> Option<T> {
        if self.error.is_some() {
            return None;
        }
        match step(self) {
            Ok(it) => Some(it),
            Err(error) => {
                let error = format!("{error:#}");
                progress.failed(&self.subject.contender, &error);
                self.error = Some(error);
                // Nobody needs it any more, and it may be using the core.
                self.running = None;
                None
            }
        }
    }

    fn prepare(&mut self) -> anyhow::Result<()> {
        self.running = Some(self.subject.start()?);
        self.check()?;
        let running = self.running.as_mut().context("started above")?;
        self.subject.warm_up(running)?;
        if matches!(self.subject.shape.load, Load::Idle { .. }) {
            // It was started for the check; every round starts one of its own.
            self.running = None;
        }
        Ok(())
    }

    /// Before the first round and after the last.
    fn check(&mut self) -> anyhow::Result<()> {
        if let Some(running) = &mut self.running {
            running.processes()?;
            let target = self.subject.target(running);
            self.negotiated = Some(check(&target, self.subject.shape.resource())?);
        }
        Ok(())
    }

    fn take_sample(&mut self, rates: &HashMap<Group, f64>) -> anyhow::Result<Sample> {
        let (subject, running) = (&self.subject, self.running.as_mut());
        let running = || running.context("the server was started before");
        match subject.shape.load {
            Load::Requests(load) | Load::Workers(load) => subject.requests(load, running()?),
            Load::Handshakes { count, resumed } => subject.handshakes(count, resumed, running()?),
            Load::Idle { connections } => subject.idle(connections),
            Load::Latency(load) => {
                let rate = rates
                    .get(&subject.contender.group)
                    .context("no rate was found")?;
                subject.latency(load, *rate, running()?)
            }
        }
    }
}

/// For latencies: half of the requests per second that the slowest server of each group can answer,
/// so that all of a group have the same to do and none is at its end.
fn saturated_rates(
    shape: &Shape,
    lanes: &mut [Lane],
    progress: &mut Progress,
) -> HashMap<Group, f64> {
    let mut rates = HashMap::new();
    let Load::Latency(load) = shape.load else {
        return rates;
    };
    for lane in lanes {
        progress.say(
            shape.name,
            &lane.subject.contender,
            "finding its highest rate",
        );
        let found = lane.attempt(progress, |lane| {
            let running = lane
                .running
                .as_ref()
                .context("the server was started before")?;
            lane.subject.saturated_rate(load, running)
        });
        if let Some(found) = found {
            let rate = rates
                .entry(lane.subject.contender.group)
                .or_insert(f64::INFINITY);
            *rate = rate.min(found / 2.0);
        }
    }
    rates
}
