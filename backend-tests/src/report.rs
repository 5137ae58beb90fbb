use std::fmt;

use crate::{capability::Capability, rows::list::Row};

/// The result of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The backend keeps the clause.
    Holds,
    /// The backend says that it lacks what the row needs, with this reason, and it is really missing.
    Lacks(Capability, &'static str),
    /// The row is about TLS, and the backend has none.
    DoesNotApply,
    /// The backend breaks the clause.
    Fails(String),
}

/// The results of all rows for one backend.
#[derive(Clone, Debug)]
pub struct Report {
    /// The backend's name, [`TlsAcceptor::backend`](corelane::tls::TlsAcceptor::backend).
    pub backend: &'static str,
    /// Each row and its result.
    pub outcomes: Vec<(&'static Row, Outcome)>,
}

impl Report {
    /// Whether no row fails.
    pub fn is_ok(&self) -> bool {
        self.failures().next().is_none()
    }

    /// The rows that fail, and why.
    pub fn failures(&self) -> impl Iterator<Item = (&'static Row, &str)> {
        self.outcomes.iter().filter_map(|(row, it)| match it {
            Outcome::Fails(why) => Some((*row, why.as_str())),
            _ => None,
        })
    }
}

/// One line for each row.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (row, outcome) in &self.outcomes {
            match outcome {
                Outcome::Holds => writeln!(f, "holds  {}", row.name)?,
                Outcome::Lacks(what, why) => writeln!(f, "-      {}: no {what}: {why}", row.name)?,
                Outcome::DoesNotApply => writeln!(f, "-      {}: no TLS", row.name)?,
                Outcome::Fails(why) => writeln!(f, "FAILS  {}: {why}", row.name)?,
            }
        }
        Ok(())
    }
}
