//! How this process was started, to start it again.

use std::{
    env,
    ffi::OsString,
    os::unix::process::CommandExt,
    path::{Path, PathBuf, absolute},
    process::Command,
};

use crate::Error;

/// The program's path as it was given, and its arguments. The path may be a symbolic link, which may
/// point to a new version by the time of an upgrade.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    path: PathBuf,
    arguments: Vec<OsString>,
}

impl Program {
    /// Call it before the working directory changes.
    pub(crate) fn of_this_process() -> Result<Self, Error> {
        let arguments: Vec<_> = env::args_os().collect();
        let name = arguments.first().map(PathBuf::from).unwrap_or_default();
        let path = find(&name).map_or_else(env::current_exe, Ok);
        let path = path
            .map_err(|error| Error::with_source("cannot find the path of this program", error))?;
        Ok(Self { path, arguments })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        if let [name, arguments @ ..] = &self.arguments[..] {
            command.arg0(name).args(arguments);
        }
        command
    }
}

/// The path that a shell finds for this name. `None` if it is not this program: the name was chosen
/// by the process that started it.
fn find(name: &Path) -> Option<PathBuf> {
    let this = env::current_exe().ok()?;
    let is_this = |path: &PathBuf| path.canonicalize().is_ok_and(|real| real == this);
    if name.components().count() > 1 || name.is_absolute() {
        return absolute(name).ok().filter(is_this);
    }
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .map(|directory| directory.join(name))
        .find(is_this)
        .and_then(|path| absolute(path).ok())
}
