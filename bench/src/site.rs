//! The state that all measurements of a run share.

use std::sync::OnceLock;

use crate::{cores::Cores, fixtures::Fixtures, install::Builds, options::Plan, servers::Running};

#[derive(Debug)]
pub struct Site {
    pub fixtures: Fixtures,
    pub cores: Cores,
    pub builds: Builds,
    pub plan: Plan,
    /// Raises those limits of the servers that would end a run of requests. Not under attack: there
    /// they are part of the defence.
    pub limits_lifted: bool,
    /// The server behind the proxies, once one is measured.
    pub upstream: OnceLock<Running>,
}

impl Site {
    /// With the servers' own limits.
    pub fn choose(builds: Builds, plan: Plan) -> anyhow::Result<Self> {
        Ok(Self {
            fixtures: Fixtures::make()?,
            cores: Cores::choose()?,
            builds,
            plan,
            limits_lifted: false,
            upstream: OnceLock::new(),
        })
    }
}
