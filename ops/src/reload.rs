//! Reloads the files of a server: on SIGHUP, and when they change.

use std::{
    error::Error as StdError,
    fmt, io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use corelane::Chain;
use signal_hook::iterator::Signals;

use crate::watched_files::WatchedFiles;

type BoxError = Box<dyn StdError + Send + Sync>;

/// A function that reloads, and when to call it: given to
/// [`Lifecycle::on_reload`](crate::Lifecycle::on_reload).
///
/// ```no_run
/// # fn acceptor() -> Result<corelane::tls::Cleartext, corelane::Error> { unimplemented!() }
/// # fn with(handle: corelane::Handle, lifecycle: &mut corelane_ops::Lifecycle) {
/// use std::time::Duration;
///
/// use corelane_ops::{Reload, WatchedFiles};
///
/// let files = WatchedFiles::new(["cert.pem", "key.pem"]);
/// let reloader = handle.reloader();
/// let reload = Reload::new(move || reloader.reload(acceptor()?));
/// lifecycle.on_reload(reload.watch(files, Duration::from_secs(60)));
/// # }
/// ```
pub struct Reload {
    reload: Box<dyn FnMut() -> Result<(), BoxError> + Send>,
    watched: Option<(WatchedFiles, Duration)>,
}

impl Reload {
    /// `reload` reads the files and gives their contents to the server. When it fails, the server
    /// keeps the old contents, and the error is logged.
    ///
    /// It runs on a separate thread, one call at a time.
    pub fn new<E: Into<BoxError>>(
        mut reload: impl FnMut() -> Result<(), E> + Send + 'static,
    ) -> Self {
        Self {
            reload: Box::new(move || reload().map_err(Into::into)),
            watched: None,
        }
    }

    /// Also reloads when the contents of `files` have changed since the last load. Checks every
    /// `interval`.
    ///
    /// Files that cannot be loaded yet, such as a new certificate beside an old key, are tried again
    /// at every interval. Each error is logged once.
    pub fn watch(mut self, files: WatchedFiles, interval: Duration) -> Self {
        self.watched = Some((files, interval));
        self
    }

    /// Runs for as long as the process lives.
    pub(crate) fn start(self, mut hangups: Signals) -> io::Result<()> {
        let (files, interval) = self.watched.unzip();
        let loaded = Arc::new(Mutex::new(Loaded {
            reload: self.reload,
            files: files.unwrap_or_default(),
            logged: None,
        }));
        let watched = Arc::clone(&loaded);
        thread::Builder::new()
            .name("corelane-reload".into())
            .spawn(move || {
                hangups
                    .forever()
                    .for_each(|_hangup| lock(&loaded).reload_now())
            })?;
        if let Some(interval) = interval {
            thread::Builder::new()
                .name("corelane-watch".into())
                .spawn(move || {
                    loop {
                        thread::sleep(interval);
                        lock(&watched).reload_if_changed();
                    }
                })?;
        }
        Ok(())
    }
}

impl fmt::Debug for Reload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reload")
            .field("watched", &self.watched)
            .finish_non_exhaustive()
    }
}

/// A reload that panicked has changed nothing here.
fn lock(loaded: &Mutex<Loaded>) -> MutexGuard<'_, Loaded> {
    loaded.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Loaded {
    reload: Box<dyn FnMut() -> Result<(), BoxError> + Send>,
    /// The contents at the last load.
    files: WatchedFiles,
    /// The last error, if it was logged.
    logged: Option<String>,
}

/// The result of a check of the files.
#[derive(Debug, PartialEq, Eq)]
enum Look {
    Unchanged,
    Reloaded,
    Failed { logged: bool },
}

impl Loaded {
    /// On request: every error is logged.
    fn reload_now(&mut self) {
        if let Err(reason) = self.reload() {
            tracing::error!(%reason, "cannot reload: the server keeps its configuration");
            self.logged = Some(reason);
        }
    }

    fn reload_if_changed(&mut self) -> Look {
        if self.files.are_unchanged() {
            self.logged = None;
            return Look::Unchanged;
        }
        let Err(reason) = self.reload() else {
            return Look::Reloaded;
        };
        let logged = self.logged.as_ref() != Some(&reason);
        if logged {
            tracing::warn!(
                %reason,
                "cannot reload changed files: the server keeps its configuration and tries again"
            );
            self.logged = Some(reason);
        }
        Look::Failed { logged }
    }

    fn reload(&mut self) -> Result<(), String> {
        // Read first, so that the next check notices a change during the reload.
        let files = self.files.now();
        (self.reload)().map_err(|error| Chain(&*error).to_string())?;
        self.files = files;
        self.logged = None;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    /// Loads two files that have to be equal, in place of a certificate and a key that have to
    /// match.
    fn load_pair(one: &Path, two: &Path) -> Result<(), BoxError> {
        let read = |path: &Path| {
            fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
        };
        match read(one)? == read(two)? {
            true => Ok(()),
            false => Err(format!("{} and {} differ", one.display(), two.display()).into()),
        }
    }

    #[test]
    fn files_that_do_not_fit_yet_are_logged_once_and_retried() {
        let dir = tempfile::tempdir().expect("a directory");
        let (one, two) = (dir.path().join("one"), dir.path().join("two"));
        let write = |file: &Path, text: &str| fs::write(file, text).expect("written");
        write(&one, "a");
        write(&two, "a");
        let paths = [one.clone(), two.clone()];
        let mut loaded = Loaded {
            files: WatchedFiles::new(&paths),
            reload: Box::new(move || load_pair(&paths[0], &paths[1])),
            logged: None,
        };
        assert_eq!(loaded.reload_if_changed(), Look::Unchanged);
        write(&two, "b");
        assert_eq!(loaded.reload_if_changed(), Look::Failed { logged: true });
        let logged = loaded.logged.clone().expect("logged");
        for file in [&one, &two] {
            assert!(logged.contains(file.to_str().expect("UTF-8")), "{logged}");
        }
        assert_eq!(loaded.reload_if_changed(), Look::Failed { logged: false });
        write(&one, "b");
        assert_eq!(loaded.reload_if_changed(), Look::Reloaded);
        assert_eq!(loaded.reload_if_changed(), Look::Unchanged);
        // A missing file is another error, and comes back with the contents that were loaded.
        fs::remove_file(&one).expect("removed");
        assert_eq!(loaded.reload_if_changed(), Look::Failed { logged: true });
        assert_eq!(loaded.reload_if_changed(), Look::Failed { logged: false });
        write(&one, "b");
        assert_eq!(loaded.reload_if_changed(), Look::Unchanged);
        write(&one, "c");
        assert_eq!(loaded.reload_if_changed(), Look::Failed { logged: true });
        // A request logs again.
        loaded.reload_now();
        assert_eq!(loaded.reload_if_changed(), Look::Failed { logged: false });
    }
}
