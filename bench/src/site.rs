//! The state that all measurements of a run share.

use crate::{cores::Cores, fixtures::Fixtures, install::Builds, options::Plan};

#[derive(Debug)]
pub struct Site {
    pub fixtures: Fixtures,
    pub cores: Cores,
    pub builds: Builds,
    pub plan: Plan,
    /// Raises those limits of the servers that would end a run of requests. Not under attack: there
    /// they are part of the defence.
    pub limits_lifted: bool,
}
