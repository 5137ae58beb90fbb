//! The error of this crate.

use std::{error::Error as StdError, fmt};

type BoxError = Box<dyn StdError + Send + Sync>;

/// Why something failed.
///
/// The text names what failed (a file, an address, a process) and, where there is something to do
/// about it, what to do. The cause is the [`source`](StdError::source);
/// [`corelane::Chain`] prints both.
pub struct Error(Inner);

enum Inner {
    Own {
        message: String,
        source: Option<BoxError>,
    },
    /// Displayed as it is, with its own source.
    Server(corelane::Error),
}

impl Error {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(Inner::Own {
            message: message.into(),
            source: None,
        })
    }

    pub(crate) fn with_source(message: impl Into<String>, source: impl Into<BoxError>) -> Self {
        Self(Inner::Own {
            message: message.into(),
            source: Some(source.into()),
        })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Inner::Own { message, .. } => f.write_str(message),
            Inner::Server(error) => error.fmt(f),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Inner::Own { message, source } => f
                .debug_struct("Error")
                .field("message", message)
                .field("source", source)
                .finish(),
            Inner::Server(error) => error.fmt(f),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &self.0 {
            Inner::Own { source, .. } => Some(source.as_deref()?),
            Inner::Server(error) => error.source(),
        }
    }
}

impl From<corelane::Error> for Error {
    fn from(error: corelane::Error) -> Self {
        Self(Inner::Server(error))
    }
}
