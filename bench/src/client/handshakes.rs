//! Connects, sends one request and closes, again and again, on 16 connections at a time.

use std::{sync::Arc, time::Instant};

use anyhow::{Context, ensure};
use rustls::{ClientConfig, client::Resumption};
use tokio::{runtime::Runtime, task::JoinSet, time::timeout};

use super::{
    connection::Connection,
    job::{DEADLINE, Done},
    target::Target,
};
use crate::{fixtures::Resource, terms::Group};

/// Connections at a time: enough to keep the server busy.
const LANES: u32 = 16;

/// Sessions that a lane stores: more than a server issues for one connection.
const SESSIONS: usize = 64;

pub fn run(
    runtime: &Runtime,
    target: &Target,
    count: u32,
    resumed: bool,
    ready: &mut dyn FnMut() -> anyhow::Result<()>,
) -> anyhow::Result<Done> {
    let tls = target.tls()?;
    // Each lane has its own sessions: under TLS 1.3 each session is used only once.
    let mut lanes: Vec<_> = (0..LANES).map(|_| without_sessions(&tls)).collect();
    if resumed {
        for lane in &mut lanes {
            runtime.block_on(once(target, lane, false))?;
        }
    }
    ready()?;
    let begin = Instant::now();
    runtime.block_on(async {
        let mut tasks = JoinSet::new();
        for (index, lane) in (0..LANES).zip(lanes) {
            let target = target.clone();
            let share = count / LANES + u32::from(index < count % LANES);
            tasks.spawn(async move {
                for _ in 0..share {
                    let tls = if resumed {
                        Arc::clone(&lane)
                    } else {
                        without_sessions(&lane)
                    };
                    once(&target, &tls, resumed).await?;
                }
                anyhow::Ok(())
            });
        }
        while let Some(ended) = tasks.join_next().await {
            ended??;
        }
        anyhow::Ok(())
    })?;
    Ok(Done {
        seconds: begin.elapsed().as_secs_f64(),
        ..Done::default()
    })
}

/// The same configuration with an empty store of sessions. The store accepts tickets even if no later
/// connection uses them, as an ordinary client does.
pub fn without_sessions(tls: &ClientConfig) -> Arc<ClientConfig> {
    let mut tls = tls.clone();
    tls.resumption = Resumption::in_memory_sessions(SESSIONS);
    Arc::new(tls)
}

async fn once(target: &Target, tls: &Arc<ClientConfig>, resumed: bool) -> anyhow::Result<()> {
    let all = async { ask(target, tls, resumed).await?.close().await };
    timeout(DEADLINE, all)
        .await
        .context("the connection took longer than 20 s")?
}

/// Connects and sends one request. A handshake of the wrong kind is an error.
pub async fn ask(
    target: &Target,
    tls: &Arc<ClientConfig>,
    resumed: bool,
) -> anyhow::Result<Connection> {
    let mut connection = Connection::open(target, Arc::clone(tls)).await?;
    let what = |resumed| if resumed { "resumed" } else { "full" };
    let (got, wanted) = (what(connection.resumed), what(resumed));
    ensure!(got == wanted, "the handshake was {got}, not {wanted}");
    if resumed && target.terms.group == Group::Tls12 {
        // A resumed handshake under TLS 1.2 has no key exchange.
        connection.negotiated.key_exchange = target.terms.key_exchange().into();
    }
    target.terms.verify(&connection.negotiated)?;
    connection.ask(Resource::Tiny).await?;
    Ok(connection)
}
