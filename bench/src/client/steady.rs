//! A well-behaved client: few connections, few requests per second, and the latency of each.

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use tokio::{
    runtime::Runtime,
    task::JoinSet,
    time::{Instant, sleep_until, timeout},
};

use super::{
    connection::Connection,
    job::{DEADLINE, Done},
    target::Target,
};
use crate::fixtures::Resource;

pub struct Steady {
    open: Vec<Arc<Connection>>,
    rate: f64,
}

impl Steady {
    pub fn open(
        runtime: &Runtime,
        target: &Target,
        connections: u32,
        rate: f64,
    ) -> anyhow::Result<Self> {
        let tls = Arc::new(target.tls()?);
        let open = runtime.block_on(async {
            let mut open = Vec::new();
            for _ in 0..connections {
                let connection = timeout(DEADLINE, Connection::open(target, Arc::clone(&tls)));
                let connection = Arc::new(connection.await??);
                connection.ask(Resource::Tiny).await?;
                open.push(connection);
            }
            anyhow::Ok(open)
        })?;
        Ok(Self { open, rate })
    }

    /// Measures each request from when it is sent, not from when it is due: this client shares its core
    /// with others and is often late.
    pub fn ask(&self, runtime: &Runtime, requests: u32) -> anyhow::Result<Done> {
        runtime.block_on(async {
            let begin = Instant::now();
            let mut asked = JoinSet::new();
            for (i, connection) in (0..requests).zip(self.open.iter().cycle()) {
                // The intervals are uneven, so that requests do not fall in step with the
                // attackers' ticks.
                let uneven = f64::from(i) * 0.618;
                let due = (f64::from(i) + uneven.fract() / 2.0) / self.rate;
                sleep_until(begin + Duration::from_secs_f64(due)).await;
                let connection = Arc::clone(connection);
                asked.spawn(async move {
                    let sent = Instant::now();
                    timeout(DEADLINE, connection.ask(Resource::Tiny))
                        .await
                        .context("the request took longer than 20 s")??;
                    anyhow::Ok(sent.elapsed().as_secs_f64() * 1e6)
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
}
