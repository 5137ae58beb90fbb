//! Lets clap judge one setting alone.

use std::ffi::OsString;

use clap::{Command, error::ErrorKind};

use super::setting::{Setting, without_usage};

/// `Ok` if clap accepts this setting, even if it requires other settings.
pub(super) fn judge(server: &Command, setting: &Setting) -> Result<(), String> {
    let flags = setting.as_flags();
    let arguments = [OsString::from("corelane")].into_iter().chain(flags);
    match server.clone().try_get_matches_from(arguments) {
        Err(error)
            if !matches!(
                error.kind(),
                ErrorKind::MissingRequiredArgument | ErrorKind::ArgumentConflict
            ) =>
        {
            Err(without_usage(&error.to_string()))
        }
        _ => Ok(()),
    }
}
