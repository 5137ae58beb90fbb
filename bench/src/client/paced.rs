//! Sends requests at a given rate, without waiting for earlier responses.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context;
use tokio::{runtime::Runtime, task::JoinSet, time::timeout};

use super::{
    connection::Connection,
    job::{DEADLINE, Done},
    target::Target,
};
use crate::fixtures::Resource;

/// Measures how many microseconds each request took from the moment it was due, including the time
/// that it waited behind earlier requests.
pub fn run(
    runtime: &Runtime,
    target: &Target,
    requests: u32,
    connections: u32,
    rate: f64,
    ready: &mut dyn FnMut() -> anyhow::Result<()>,
) -> anyhow::Result<Done> {
    let tls = Arc::new(target.tls()?);
    let open = runtime.block_on(async {
        let mut open = Vec::new();
        for _ in 0..connections {
            let connection = Connection::open(target, Arc::clone(&tls));
            open.push(Arc::new(timeout(DEADLINE, connection).await??));
        }
        anyhow::Ok(open)
    })?;
    ready()?;
    runtime.block_on(async {
        let begin = Instant::now();
        let mut asked = JoinSet::new();
        for (index, connection) in (0..requests).zip(open.iter().cycle()) {
            let due = begin + Duration::from_secs_f64(f64::from(index) / rate);
            // No other process needs this core, and a timer would fire up to a millisecond late.
            while Instant::now() < due {
                tokio::task::yield_now().await;
            }
            let connection = Arc::clone(connection);
            asked.spawn(async move {
                timeout(DEADLINE, connection.ask(Resource::Tiny))
                    .await
                    .context("the request took longer than 20 s")??;
                anyhow::Ok(due.elapsed().as_secs_f64() * 1e6)
            });
        }
        let mut took = Vec::new();
        while let Some(ended) = asked.join_next().await {
            took.push(ended??);
        }
        Ok(Done {
            seconds: begin.elapsed().as_secs_f64(),
            took,
            ..Done::default()
        })
    })
}
