//! The rounds of a shape. If a shape measures CPU time, the servers take turns within a round, in
//! slices (`turns.rs`); otherwise they are measured one after the other.

use std::{collections::HashMap, time::Duration};

use anyhow::Context;

use crate::{
    check::check,
    contenders::Contender,
    interrupt,
    progress::{self, Progress},
    results::{ContenderResult, ShapeResult},
    sample::{Sample, Subject, Underway},
    servers::Running,
    shapes::{Load, Requests, Shape},
    site::Site,
    terms::{Group, Negotiated},
    turns::{TakesTurns, go_around},
};

/// A server and its samples so far. After its first error it no longer takes part.
struct Lane<'a> {
    subject: Subject<'a>,
    /// The current sample, in a round of turns.
    underway: Option<Underway>,
    running: Option<Running>,
    /// How long its load ran in the previous round; in the first round, an estimate by the warm-up.
    ran: Duration,
    negotiated: Option<Negotiated>,
    samples: Vec<Sample>,
    error: Option<String>,
}

/// Takes the samples of a shape, one round at a time.
pub struct Rounds<'a> {
    shape: &'static Shape,
    lanes: Vec<Lane<'a>>,
    left_out: Vec<(Contender, &'static str)>,
    /// Requests per second for latencies, found in the first round.
    rates: HashMap<Group, f64>,
}

impl<'a> Rounds<'a> {
    pub fn new(
        shape: &'static Shape,
        (contenders, left_out): (Vec<Contender>, Vec<(Contender, &'static str)>),
        site: &'a Site,
    ) -> Self {
        let lanes = contenders.into_iter().map(|contender| Lane {
            subject: Subject {
                contender,
                shape,
                site,
            },
            underway: None,
            running: None,
            ran: Duration::ZERO,
            negotiated: None,
            samples: Vec::new(),
            error: None,
        });
        Self {
            shape,
            lanes: lanes.collect(),
            left_out,
            rates: HashMap::new(),
        }
    }

    /// Takes one more sample of each server. A failure is recorded in that server's result.
    ///
    /// # Errors
    ///
    /// Only if a signal stops the run.
    pub fn take(&mut self, round: u32, progress: &mut Progress) -> anyhow::Result<()> {
        let Self { lanes, rates, .. } = self;
        match self.shape.load {
            Load::Requests(load) | Load::Workers(load) | Load::Arrivals(load) => {
                start(lanes)?;
                in_turns(lanes, round, progress, |subject, running| {
                    subject.requests(load, running)
                })?;
            }
            Load::Handshakes { count, resumed } => {
                start(lanes)?;
                in_turns(lanes, round, progress, |subject, running| {
                    subject.handshakes(count, resumed, running)
                })?;
            }
            Load::Storm { connections } => {
                start(lanes)?;
                one_by_one(lanes, round, progress, |lane| {
                    let (subject, running) = lane.started()?;
                    subject.storm(connections, running)
                })?;
            }
            Load::Idle { connections } => one_by_one(lanes, round, progress, |lane| {
                lane.start()?;
                let (subject, running) = lane.started()?;
                let sample = subject.idle(connections, running)?;
                lane.check()?;
                lane.running = None;
                Ok(sample)
            })?,
            Load::Latency(load) => {
                start(lanes)?;
                if rates.is_empty() {
                    progress.say(self.shape.name, "finding their highest rates");
                    *rates = half_of_the_lowest_rate(load, lanes);
                }
                one_by_one(lanes, round, progress, |lane| {
                    let group = lane.subject.contender.group;
                    let rate = rates.get(&group).context("no rate was found")?;
                    let (subject, running) = lane.started()?;
                    subject.latency(load, *rate, running)
                })?;
            }
        }
        for lane in lanes {
            interrupt::check()?;
            if lane.running.is_some() {
                lane.attempt(Lane::check);
                lane.running = None;
            }
        }
        Ok(())
    }

    /// How many servers are measured.
    pub fn servers(&self) -> u32 {
        self.lanes.len() as u32
    }

    pub fn into_result(self) -> ShapeResult {
        let results = self.lanes.into_iter().map(|lane| ContenderResult {
            name: lane.subject.contender.name(),
            contender: lane.subject.contender,
            negotiated: lane.negotiated,
            samples: lane.samples,
            error: lane.error,
        });
        ShapeResult::new(self.shape, results.collect(), self.left_out, self.rates)
    }
}

/// Starts the servers. Every round does so: the layout of a process's memory makes it a few percent
/// faster or slower for its whole life, and a run that starts each server only once cannot tell this
/// from the speed of the server.
fn start(lanes: &mut [Lane]) -> anyhow::Result<()> {
    for lane in lanes {
        interrupt::check()?;
        lane.attempt(Lane::start_warm);
    }
    Ok(())
}

/// A round that measures one server after the other.
fn one_by_one(
    lanes: &mut [Lane],
    round: u32,
    progress: &mut Progress,
    take: impl Fn(&mut Lane) -> anyhow::Result<Sample>,
) -> anyhow::Result<()> {
    for lane in lanes {
        interrupt::check()?;
        progress.round(lane.subject.shape.name, round, 1);
        progress.server(&lane.subject.contender);
        let sample = lane.attempt(&take);
        progress.took(sample);
        lane.samples.extend(sample);
    }
    Ok(())
}

/// A round that starts all loads at once and lets them take turns.
fn in_turns(
    lanes: &mut [Lane],
    round: u32,
    progress: &mut Progress,
    begin: impl Fn(&Subject, &mut Running) -> anyhow::Result<Underway>,
) -> anyhow::Result<()> {
    let Some(first) = lanes.first() else {
        return Ok(());
    };
    progress.round(first.subject.shape.name, round, lanes.len() as u32);
    progress.in_turn();
    for lane in lanes.iter_mut() {
        interrupt::check()?;
        lane.underway = lane.attempt(|lane| {
            let (subject, running) = lane.started()?;
            begin(subject, running)
        });
    }
    let mut taking_part: Vec<_> = lanes.iter_mut().filter(|it| it.goes_on()).collect();
    if round.is_multiple_of(2) {
        // A B C, then C B A: no server always follows the same other one.
        taking_part.reverse();
    }
    go_around(&mut taking_part)?;
    for lane in lanes {
        progress.server(&lane.subject.contender);
        let sample = lane.attempt(Lane::finish);
        progress.took(sample);
        lane.samples.extend(sample);
    }
    Ok(())
}

impl TakesTurns for Lane<'_> {
    fn goes_on(&self) -> bool {
        self.underway.as_ref().is_some_and(|it| !it.has_ended())
    }

    fn expected(&self) -> Duration {
        self.ran
    }

    fn turn(&mut self, slice: Duration) {
        self.attempt(|lane| {
            let underway = lane.underway.as_mut().context("it was started above")?;
            let running = lane.running.as_mut().context("it was started above")?;
            underway.turn(slice, running)
        });
    }
}

impl<'a> Lane<'a> {
    /// Records a failure as this server's error.
    fn attempt<T>(&mut self, step: impl FnOnce(&mut Self) -> anyhow::Result<T>) -> Option<T> {
        if self.error.is_some() {
            return None;
        }
        match step(self) {
            Ok(it) => Some(it),
            Err(error) => {
                let error = format!("{error:#}");
                progress::failed(&self.subject.contender, &error);
                self.error = Some(error);
                // They may still use the cores.
                self.underway = None;
                self.running = None;
                None
            }
        }
    }

    fn start(&mut self) -> anyhow::Result<()> {
        self.running = Some(self.subject.start()?);
        self.check()
    }

    fn start_warm(&mut self) -> anyhow::Result<()> {
        self.start()?;
        let (subject, running) = self.started()?;
        let warm_up = subject.warm_up(running)?;
        if self.ran.is_zero() {
            self.ran = warm_up;
        }
        Ok(())
    }

    /// Checks the server's responses. Runs before and after each round.
    fn check(&mut self) -> anyhow::Result<()> {
        let (subject, running) = self.started()?;
        running.processes()?;
        let negotiated = check(&subject.target(running), subject.shape.resource())?;
        self.negotiated = Some(negotiated);
        Ok(())
    }

    fn started(&mut self) -> anyhow::Result<(&Subject<'a>, &mut Running)> {
        let running = self.running.as_mut();
        Ok((
            &self.subject,
            running.context("the server was started above")?,
        ))
    }

    fn finish(&mut self) -> anyhow::Result<Sample> {
        let underway = self.underway.take().context("it was started above")?;
        self.ran = underway.ran();
        let Sample { figure, aside } = underway.finish(self.started()?.1)?;
        let aside = aside.filter(|_| self.subject.shape.aside().is_some());
        Ok(Sample { figure, aside })
    }
}

/// Half of the highest rate of the slowest server of each group: all servers of a group get the same
/// load, and none is near its limit.
fn half_of_the_lowest_rate(load: Requests, lanes: &mut [Lane]) -> HashMap<Group, f64> {
    let mut rates = HashMap::new();
    for lane in lanes {
        let found = lane.attempt(|lane| {
            let (subject, running) = lane.started()?;
            subject.saturated_rate(load, running)
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
