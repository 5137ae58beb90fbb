//! Opens many connections at once, as clients do that have lost their server: full handshakes, one request
//! each.

use std::{sync::Arc, time::Instant};

use anyhow::Context;
use tokio::{runtime::Runtime, task::JoinSet, time::timeout};

use super::{
    handshakes::{ask, without_sessions},
    job::{DEADLINE, Done},
    target::Target,
};

/// Measures how many microseconds after the first SYN each response came. No connection is closed before
/// the last response.
pub fn run(
    runtime: &Runtime,
    target: &Target,
    connections: u32,
    ready: &mut dyn FnMut() -> anyhow::Result<()>,
) -> anyhow::Result<Done> {
    let tls = target.tls()?;
    let configs: Vec<_> = (0..connections).map(|_| without_sessions(&tls)).collect();
    ready()?;
    let begin = Instant::now();
    runtime.block_on(async {
        let mut tasks = JoinSet::new();
        let target = Arc::new(target.clone());
        for tls in configs {
            let target = Arc::clone(&target);
            tasks.spawn(async move {
                let answered = timeout(DEADLINE, ask(&target, &tls, false));
                let connection = answered
                    .await
                    .context("the connection took longer than 20 s")??;
                anyhow::Ok((begin.elapsed().as_secs_f64() * 1e6, connection))
            });
        }
        let (mut took, mut open) = (Vec::new(), Vec::new());
        while let Some(ended) = tasks.join_next().await {
            let (micros, connection) = ended??;
            took.push(micros);
            open.push(connection);
        }
        let seconds = begin.elapsed().as_secs_f64();
        for connection in open {
            timeout(DEADLINE, connection.close())
                .await
                .context("the connection was not closed within 20 s")??;
        }
        Ok(Done {
            seconds,
            took,
            ..Done::default()
        })
    })
}
