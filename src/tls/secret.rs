//! A value that no message can contain.

/// Holds a secret. It has neither `Debug` nor `Display`, so that no error or log line can print it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret<T>(T);

impl<T> Secret<T> {
    pub(super) fn new(value: T) -> Self {
        Self(value)
    }

    /// The value, for the TLS library only.
    pub(super) fn expose(&self) -> &T {
        &self.0
    }

    /// The value, which has turned out not to be a secret.
    pub(super) fn into_public(self) -> T {
        self.0
    }
}
