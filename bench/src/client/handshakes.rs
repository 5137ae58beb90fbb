//! Connects, asks once and closes, over and over, a few at a time.

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

/// Connections at once: enough for the server to be busy whenever it can be.
const LANES: u32 = 16;

/// Sessions that a lane remembers: more than it is ever given at once.
const SESSIONS: usize = 64;

pub fn run(
    runtime: &Runtime,
    target: &Target,
    count: u32,
    resumed: bool,
    ready: &mut dyn FnMut() -> anyhow::Result<()>,
) -> anyhow::Result<Done> {
    let tls = target.tls()?;
    // Sessions are a lane's own: under TLS 1.3 each can be used once only.
    let mut lanes: Vec<_> = (0..LANES).map(|_| forgetful(&tls)).collect();
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
                        forgetful(&lane)
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

/// The same configuration with no sessions yet. It takes tickets even where it will never use them,
/// as clients do that want full handshakes for no other reason than having none.
fn forgetful(tls: &ClientConfig) -> Arc<ClientConfig> {
    let mut tls = tls.clone();
    tls.resumption = Resumption::in_memory_sessions(SESSIONS);
    Arc::new(tls)
}

async fn once(target: &Target, tls: &Arc<ClientConfig>, resumed: bool) -> anyhow::Result<()> {
    let all = async {
        let mut connection = Connection::open(target, Arc::clone(tls)).await?;
        let what = |resumed| if resumed { "resumed" } else { "full" };
        let (got, wanted) = (what(connection.resumed), what(resumed));
        ensure!(
            got == wanted,
            "a {got} handshake where a {wanted} one was wanted"
        );
        if resumed && target.terms.group == Group::Tls12 {
            // There is no key exchange in it.
            connection.negotiated.key_exchange = target.terms.key_exchange().into();
        }
        target.terms.verify(&connection.negotiated)?;
        connection.ask(Resource::Tiny).await?;
        connection.close().await
    };
    timeout(DEADLINE, all)
        .await
        .context("a connection took too long")?
}
