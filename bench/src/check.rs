//! Checks that a server negotiates the expected parameters and answers correctly.

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use tokio::time::timeout;

use crate::{
    client::{Target, connection::Connection},
    fixtures::Resource,
    terms::Negotiated,
};

const DEADLINE: Duration = Duration::from_secs(30);

/// Sends two requests on one connection and checks the negotiated TLS parameters, the status, the
/// length and every byte of the body.
pub fn check(target: &Target, resource: Resource) -> anyhow::Result<Negotiated> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let all = async {
            let connection = Connection::open(target, Arc::new(target.tls()?)).await?;
            target.terms.verify(&connection.negotiated)?;
            for _ in 0..2 {
                connection.ask(resource).await?;
            }
            let negotiated = connection.negotiated.clone();
            connection.close().await?;
            anyhow::Ok(negotiated)
        };
        timeout(DEADLINE, all).await.context("no answer for 30 s")?
    })
}
