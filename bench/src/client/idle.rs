//! Opens connections, sends one request on each and keeps them open.

use std::{sync::Arc, time::Instant};

use anyhow::Context;
use rustls::client::Resumption;
use tokio::{runtime::Runtime, task::JoinSet, time::timeout};

use super::{
    connection::Connection,
    job::{DEADLINE, Done},
    target::Target,
};
use crate::fixtures::Resource;

/// Connections that are opened at a time.
const LANES: usize = 16;

/// Returns the connections too: dropping them closes them.
pub fn run(
    runtime: &Runtime,
    target: &Target,
    connections: u32,
    ready: &mut dyn FnMut() -> anyhow::Result<()>,
) -> anyhow::Result<(Done, Vec<Connection>)> {
    let mut tls = target.tls()?;
    tls.resumption = Resumption::disabled();
    let tls = Arc::new(tls);
    ready()?;
    let begin = Instant::now();
    let open = runtime.block_on(async {
        let mut open = Vec::new();
        let mut tasks = JoinSet::new();
        for _ in 0..connections {
            if tasks.len() == LANES {
                open.extend(tasks.join_next().await.context("the set is not empty")??);
            }
            let (target, tls) = (target.clone(), Arc::clone(&tls));
            tasks.spawn(async move {
                timeout(DEADLINE, async {
                    let connection = Connection::open(&target, tls).await?;
                    target.terms.verify(&connection.negotiated)?;
                    connection.ask(Resource::Tiny).await?;
                    anyhow::Ok(connection)
                })
                .await
                .context("the connection took longer than 20 s")?
            });
        }
        while let Some(ended) = tasks.join_next().await {
            open.push(ended??);
        }
        anyhow::Ok(open)
    })?;
    let done = Done {
        seconds: begin.elapsed().as_secs_f64(),
        ..Done::default()
    };
    Ok((done, open))
}
