//! How this process was started, to start it again.

use std::{
    env,
    ffi::{CString, OsString},
    io,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Component, Path, PathBuf},
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
        let path = find(&name).map_or_else(executable, Ok);
        let path = path
            .map_err(|error| Error::with_source("cannot find the path of this program", error))?;
        Ok(Self { path, arguments })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// With the name as the first.
    pub(crate) fn arguments(&self) -> io::Result<Vec<CString>> {
        let arguments = self.arguments.iter();
        let arguments = arguments.map(|argument| CString::new(argument.as_bytes()));
        Ok(arguments.collect::<Result<_, _>>()?)
    }
}

/// The path that a shell finds for this name. `None` if it is not this program: the name was chosen
/// by the process that started it.
fn find(name: &Path) -> Option<PathBuf> {
    let this = executable().ok()?;
    let is_this = |path: &PathBuf| path.canonicalize().is_ok_and(|real| real == this);
    if name.components().count() > 1 || name.is_absolute() {
        return lasting(name).filter(is_this);
    }
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .filter_map(|directory| lasting(&directory.join(name)))
        .find(is_this)
}

/// The file that this process runs.
fn executable() -> io::Result<PathBuf> {
    let path = env::current_exe()?;
    Ok(without_deleted(&path)
        .filter(|_| !path.exists())
        .unwrap_or(path))
}

/// The kernel adds this to the path of a program that was deleted or replaced.
fn without_deleted(path: &Path) -> Option<PathBuf> {
    let path = path.as_os_str().as_bytes().strip_suffix(b" (deleted)")?;
    Some(OsString::from_vec(path.to_vec()).into())
}

/// An absolute path of the same file that does not go through a directory and back (`work/../bin`):
/// that directory may be deleted by the time of an upgrade. Other symbolic links stay in the path.
fn lasting(path: &Path) -> Option<PathBuf> {
    let mut lasting = match path.is_absolute() {
        true => PathBuf::new(),
        // Has no symbolic links.
        false => env::current_dir().ok()?,
    };
    for component in path.components() {
        match component {
            Component::ParentDir => {
                lasting = lasting.canonicalize().ok()?;
                lasting.pop();
            }
            Component::CurDir => {}
            component => lasting.push(component),
        }
    }
    Some(lasting)
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    #[test]
    fn a_lasting_path_keeps_links_but_no_way_back() {
        let dir = tempfile::tempdir().expect("a directory");
        let dir = dir.path().canonicalize().expect("there");
        for name in ["bin", "work", "versions", "versions/1"] {
            fs::create_dir(dir.join(name)).expect("made");
        }
        symlink(dir.join("versions/1"), dir.join("current")).expect("a link");
        for (path, wanted) in [
            ("bin/corelane", "bin/corelane"),
            ("./bin/./corelane", "bin/corelane"),
            ("work/../bin/corelane", "bin/corelane"),
            ("work/../work/../bin/corelane", "bin/corelane"),
            // The link may point to another version by then.
            ("current/corelane", "current/corelane"),
            // As the kernel resolves it: behind the link.
            ("current/../corelane", "versions/corelane"),
        ] {
            assert_eq!(lasting(&dir.join(path)), Some(dir.join(wanted)), "{path}");
        }
        assert_eq!(lasting(&dir.join("gone/../bin")), None);
    }

    #[test]
    fn the_mark_of_a_deleted_program_is_removed() {
        let path = Path::new("/bin/corelane (deleted)");
        assert_eq!(without_deleted(path), Some("/bin/corelane".into()));
        assert_eq!(without_deleted(Path::new("/bin/corelane")), None);
    }
}
