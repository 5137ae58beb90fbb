//! Runs one job in the client's process.

use anyhow::Context;

use super::{
    handshakes, idle,
    job::{Answer, Done, Job, Task},
    paced, steady, storm,
};
use crate::{floods, growth, restarts};

pub fn run() -> anyhow::Result<()> {
    let mut orders = std::io::stdin().lines();
    let mut order = || {
        orders
            .next()
            .context("no more orders")?
            .context("cannot read orders")
    };
    let job: Job = serde_json::from_str(&order()?)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut ready = || {
        answer(&Answer::Ready)?;
        order().map(drop)
    };
    let (target, mut open) = (&job.target, Vec::new());
    let done = match job.task {
        Task::Restarts(load) => {
            restarts::client(&runtime, target, &load, &mut ready).map(|counted| Done {
                seconds: counted.seconds,
                restarts: Some(counted),
                ..Done::default()
            })
        }
        Task::Handshakes { count, resumed } => {
            handshakes::run(&runtime, target, count, resumed, &mut ready)
        }
        Task::Storm { connections } => storm::run(&runtime, target, connections, &mut ready),
        Task::Idle { connections } => {
            idle::run(&runtime, target, connections, &mut ready).map(|(done, connections)| {
                open = connections;
                done
            })
        }
        Task::Paced {
            requests,
            connections,
            rate,
        } => paced::run(&runtime, target, requests, connections, rate, &mut ready),
        Task::Steady { connections, rate } => {
            let steady = steady::Steady::open(&runtime, target, connections, rate)?;
            return each(&mut order, |count| steady.ask(&runtime, count));
        }
        Task::Growth(load) => {
            let mut client = match growth::Client::open(&runtime, target, load) {
                Ok(client) => client,
                Err(error) => return answer(&Answer::Failed(format!("{error:#}"))),
            };
            return each(&mut order, |count| client.run(&runtime, count));
        }
        Task::Flood { name, seconds } => {
            floods::attack(&runtime, target, &name, seconds, &mut ready).map(|attacked| Done {
                seconds: attacked.seconds,
                attacked: Some(attacked),
                ..Done::default()
            })
        }
    };
    match done {
        Ok(done) => {
            answer(&Answer::Done(done))?;
            // No order follows. The read ends when the harness closes the pipe.
            let _ = order();
            drop(open);
            Ok(())
        }
        Err(error) => answer(&Answer::Failed(format!("{error:#}"))),
    }
}

/// Carries out a number of requests for each order.
fn each(
    order: &mut dyn FnMut() -> anyhow::Result<String>,
    mut run: impl FnMut(u32) -> anyhow::Result<Done>,
) -> anyhow::Result<()> {
    answer(&Answer::Ready)?;
    while let Ok(count) = order() {
        answer(&match run(count.parse()?) {
            Ok(done) => Answer::Done(done),
            Err(error) => Answer::Failed(format!("{error:#}")),
        })?;
    }
    Ok(())
}

fn answer(answer: &Answer) -> anyhow::Result<()> {
    println!("{}", serde_json::to_string(answer)?);
    Ok(())
}
