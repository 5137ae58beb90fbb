//! Options of session tickets.

use std::{
    env,
    num::NonZeroU64,
    path::{Path, PathBuf},
    sync::LazyLock,
    time::Duration,
};

use clap::Args;
use corelane::{Error, tls::TicketKeys};

#[derive(Debug, Args)]
#[command(next_help_heading = "Session tickets")]
pub(crate) struct TicketArgs {
    /// Keys of session tickets, one per line, 64 hexadecimal digits each (openssl rand -hex 32): the
    /// current one, the previous, the next. [default: the environment variable
    /// CORELANE_TICKET_SECRETS, otherwise random keys]
    #[arg(long, value_name = "FILE")]
    ticket_keys: Option<PathBuf>,

    /// How long a session can be resumed; at most 604800. [default: 43200]
    #[arg(long, value_name = "SECONDS")]
    ticket_lifetime: Option<NonZeroU64>,
}

const VARIABLE: &str = "CORELANE_TICKET_SECRETS";

/// Made once: tickets from before a reload stay valid.
static RANDOM: LazyLock<TicketKeys> = LazyLock::new(TicketKeys::random);

impl TicketArgs {
    pub(crate) fn are_given(&self) -> bool {
        self.ticket_keys.is_some() || self.ticket_lifetime.is_some()
    }

    pub(crate) fn file(&self) -> Option<&Path> {
        self.ticket_keys.as_deref()
    }

    /// Reads the file. Without options: random keys that survive a reload if the backend
    /// `takes_keys`, otherwise `None`.
    #[cfg_attr(
        not(any(feature = "rustls", feature = "native-tls", feature = "openssl")),
        expect(dead_code, reason = "there is no TLS to configure")
    )]
    pub(crate) fn keys(&self, takes_keys: bool) -> Result<Option<TicketKeys>, Error> {
        let keys = match (&self.ticket_keys, env::var(VARIABLE)) {
            (Some(file), _) => TicketKeys::from_file(file)?,
            (None, Ok(text)) => TicketKeys::from_text(text).map_err(in_the_environment)?,
            (None, Err(env::VarError::NotUnicode(_))) => {
                return Err(Error::config(format!(
                    "the environment variable {VARIABLE} is not UTF-8"
                )));
            }
            (None, Err(env::VarError::NotPresent)) => {
                if !takes_keys && self.ticket_lifetime.is_none() {
                    return Ok(None);
                }
                RANDOM.clone()
            }
        };
        match self.ticket_lifetime {
            Some(seconds) => keys
                .lifetime(Duration::from_secs(seconds.get()))
                .map(Some)
                .map_err(|error| Error::config(format!("--ticket-lifetime: {error}"))),
            None => Ok(Some(keys)),
        }
    }
}

fn in_the_environment(error: Error) -> Error {
    Error::config(format!("the environment variable {VARIABLE}: {error}"))
}
