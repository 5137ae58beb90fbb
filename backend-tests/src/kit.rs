use std::{
    any::Any,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, OnceLock, PoisonError, RwLock},
};

use corelane::{
    Error,
    tls::{TlsAcceptor, TlsConfig},
};

use crate::{
    backend::Backend,
    capability::Capability,
    report::{Outcome, Report},
    rows::{
        absent::is_absent,
        list::{Applies, ROWS, Row},
    },
};

/// The rows for one backend.
pub struct Kit {
    backend: Backend,
    outcomes: Vec<OnceLock<Outcome>>,
}

impl fmt::Debug for Kit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kit")
            .field("lacks", &self.backend.lacks)
            .finish_non_exhaustive()
    }
}

impl Kit {
    /// The kit for acceptors that `make` builds. It is called for several configurations, and has to
    /// return [`Error::unsupported`] for an option that the backend cannot provide.
    pub fn new<A: TlsAcceptor>(
        make: impl Fn(&TlsConfig) -> Result<A, Error> + Send + Sync + 'static,
    ) -> Self {
        let make = move |config: &TlsConfig| -> Result<Arc<dyn TlsAcceptor>, Error> {
            Ok(Arc::new(make(config)?))
        };
        Self {
            backend: Backend::new(Box::new(make)),
            outcomes: ROWS.iter().map(|_| OnceLock::new()).collect(),
        }
    }

    /// Says that the backend lacks something, and why. Rows that need it check that it is really
    /// missing, and pass.
    #[must_use]
    pub fn lacks(mut self, capability: Capability, why: &'static str) -> Self {
        self.backend.lacks.push((capability, why));
        self
    }

    /// Says that the backend has no TLS. Its acceptors expect no ClientHello, and `on_the_wire` turns
    /// plaintext into the bytes on the wire and back.
    #[must_use]
    pub fn without_tls(mut self, on_the_wire: fn(&mut [u8])) -> Self {
        self.backend.plain = Some(on_the_wire);
        self
    }

    /// Runs the row of this name, once: later calls return the same.
    ///
    /// # Panics
    ///
    /// If there is no row of this name.
    pub fn outcome(&self, name: &str) -> Outcome {
        let index = ROWS.iter().position(|row| row.name == name);
        let index = index.unwrap_or_else(|| panic!("there is no row {name}"));
        self.outcomes[index]
            .get_or_init(|| self.run_row(&ROWS[index]))
            .clone()
    }

    /// Runs the row of this name, as a test.
    ///
    /// # Panics
    ///
    /// If the backend breaks its clause, or there is no row of this name.
    pub fn check(&self, name: &str) {
        match self.outcome(name) {
            Outcome::Holds | Outcome::DoesNotApply => {}
            Outcome::Lacks(what, why) => println!("NOT SUPPORTED: no {what}: {why}"),
            Outcome::Fails(why) => panic!("{why}"),
        }
    }

    /// Runs all rows that have not run.
    pub fn run(&self) -> Report {
        let outcomes = ROWS.iter().map(|row| (row, self.outcome(row.name)));
        Report {
            outcomes: outcomes.collect(),
            backend: self.backend.acceptor().backend(),
        }
    }

    fn run_row(&self, row: &Row) -> Outcome {
        let is_tls = self.backend.plain.is_none();
        if !is_tls && row.applies == Applies::Tls {
            return Outcome::DoesNotApply;
        }
        let mut lacking = row.needs.iter();
        let lacking = lacking.find_map(|&it| Some((it, self.backend.lack(it)?)));
        let run = || match lacking {
            Some((capability, _)) => is_absent(&self.backend, capability),
            None => (row.run)(&self.backend),
        };
        match (alone_if(row.applies == Applies::Alone, run), lacking) {
            (Err(why), _) => Outcome::Fails(why),
            (Ok(()), Some((what, why))) => Outcome::Lacks(what, why),
            (Ok(()), None) => Outcome::Holds,
        }
    }
}

/// Held by a row that measures the process, and shared by all others.
static ROWS_RUN: RwLock<()> = RwLock::new(());

fn alone_if(alone: bool, run: impl FnOnce()) -> Result<(), String> {
    let run = || catch_unwind(AssertUnwindSafe(run)).map_err(|panic| message(&*panic));
    if alone {
        let _alone = ROWS_RUN.write().unwrap_or_else(PoisonError::into_inner);
        run()
    } else {
        let _shared = ROWS_RUN.read().unwrap_or_else(PoisonError::into_inner);
        run()
    }
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "a panic without a message".to_owned())
}

/// What [`backend_tests!`](crate::backend_tests) takes: a [`Kit`], or a function that makes an acceptor.
pub trait IntoKit<Made> {
    /// The kit.
    fn into_kit(self) -> Kit;
}

impl IntoKit<Kit> for Kit {
    fn into_kit(self) -> Kit {
        self
    }
}

impl<A: TlsAcceptor, F> IntoKit<A> for F
where
    F: Fn(&TlsConfig) -> Result<A, Error> + Send + Sync + 'static,
{
    fn into_kit(self) -> Kit {
        Kit::new(self)
    }
}
