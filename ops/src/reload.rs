//! Reloads the files of a server: on SIGHUP, and when they change.

use std::{
    error::Error as StdError,
    fmt, io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::mpsc,
    thread,
    time::Duration,
};

use corelane::{Chain, Observer};
use signal_hook::iterator::Signals;

use crate::{
    outcome::{Outcome, Request, Waiting},
    reload_status::ReloadStatus,
    systemd,
    watched_files::WatchedFiles,
};

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
    reload: Function,
    watched: Option<(WatchedFiles, Duration)>,
}

type Function = Box<dyn FnMut() -> Result<Reloaded, BoxError> + Send>;

/// A successful reload: what the function of [`Reload::new`] returns. `()` stands for one with nothing
/// to add.
#[derive(Debug, Default)]
pub struct Reloaded {
    left: Vec<String>,
    watched: Option<Option<(WatchedFiles, Duration)>>,
}

impl Reloaded {
    /// Names something that has changed in the files, but that a reload leaves as it was. The
    /// lifecycle logs it as a warning and reports it to
    /// [`request_reload`](crate::request_reload).
    pub fn left(mut self, what: impl Into<String>) -> Self {
        self.left.push(what.into());
        self
    }

    /// Watches these files from now on, or none, in place of those of [`Reload::watch`]. Their
    /// contents have to be read ([`WatchedFiles::new`]) before they are loaded.
    pub fn watch(mut self, watched: Option<(WatchedFiles, Duration)>) -> Self {
        self.watched = Some(watched);
        self
    }
}

impl From<()> for Reloaded {
    fn from((): ()) -> Self {
        Self::default()
    }
}

impl Reload {
    /// `reload` reads the files and gives their contents to the server. When it fails, the server
    /// keeps the old contents, and the error is logged and reported to
    /// [`request_reload`](crate::request_reload).
    ///
    /// It runs on a separate thread, one call at a time.
    pub fn new<R: Into<Reloaded>, E: Into<BoxError>>(
        mut reload: impl FnMut() -> Result<R, E> + Send + 'static,
    ) -> Self {
        Self {
            reload: Box::new(move || reload().map(Into::into).map_err(Into::into)),
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
    pub(crate) fn start(
        self,
        hangups: Signals,
        status: ReloadStatus,
        server: Observer,
    ) -> io::Result<()> {
        status.succeeded();
        let loaded = Loaded {
            reload: self.reload,
            watched: self.watched,
            status,
            logged: None,
        };
        let requests = forward(hangups)?;
        let thread = thread::Builder::new().name("corelane-reload".into());
        thread.spawn(move || loaded.run(&requests, &server))?;
        Ok(())
    }
}

/// Answers requests for a reload where there is none.
pub(crate) fn refuse_reloads(hangups: Signals) -> io::Result<()> {
    let requests = forward(hangups)?;
    let thread = thread::Builder::new().name("corelane-reload".into());
    thread.spawn(move || {
        for () in requests {
            Waiting::find(Request::Reload).tell(&Err("it has nothing to reload".into()));
        }
    })?;
    Ok(())
}

/// A message for each SIGHUP.
fn forward(mut hangups: Signals) -> io::Result<mpsc::Receiver<()>> {
    let (requests, received) = mpsc::channel();
    thread::Builder::new()
        .name("corelane-hangup".into())
        .spawn(move || {
            // The receiver lives as long as the process.
            let forward = |_hangup| requests.send(());
            hangups.forever().try_for_each(forward)
        })?;
    Ok(received)
}

impl fmt::Debug for Reload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reload")
            .field("watched", &self.watched)
            .finish_non_exhaustive()
    }
}

struct Loaded {
    reload: Function,
    /// The contents at the last load.
    watched: Option<(WatchedFiles, Duration)>,
    status: ReloadStatus,
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
    fn run(mut self, requests: &mpsc::Receiver<()>, server: &Observer) {
        loop {
            let request = match &self.watched {
                Some((_, interval)) => requests.recv_timeout(*interval),
                None => requests.recv().map_err(Into::into),
            };
            match request {
                Ok(()) => {
                    let waiting = Waiting::find(Request::Reload);
                    let outcome = match server.is_shutting_down() {
                        true => Err("it drains".into()),
                        false => self.reload_now(),
                    };
                    waiting.tell(&outcome);
                }
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    self.look(server);
                }
                Err(mpsc::RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// At an interval. A server that drains stays as it is, as on request.
    fn look(&mut self, server: &Observer) -> Look {
        match server.is_shutting_down() {
            true => Look::Unchanged,
            false => self.reload_if_changed(),
        }
    }

    /// On request: every error is logged.
    fn reload_now(&mut self) -> Outcome {
        systemd::reloading("reloading");
        let outcome = self.reload();
        match &outcome {
            Ok(left) if left.is_empty() => systemd::reloaded("serving, after a reload"),
            Ok(left) => systemd::reloaded(&format!("serving, after a reload; {left}")),
            Err(reason) => {
                tracing::error!(reason, "cannot reload: the server keeps its configuration");
                systemd::reloaded(&format!("serving; the reload failed: {reason}"));
                self.logged = Some(reason.clone());
            }
        }
        outcome
    }

    fn reload_if_changed(&mut self) -> Look {
        let unchanged = |(files, _): &(WatchedFiles, Duration)| files.are_unchanged();
        if self.watched.as_ref().is_none_or(unchanged) {
            if self.logged.take().is_some() {
                self.status.unchanged();
            }
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

    /// Returns what was left as it was.
    fn reload(&mut self) -> Outcome {
        // Read first, so that the next check notices a change during the reload.
        let now = |(files, interval): &(WatchedFiles, Duration)| (files.now(), *interval);
        let watched = self.watched.as_ref().map(now);
        // A thread that panics would reload no more.
        let reloaded = catch_unwind(AssertUnwindSafe(&mut self.reload))
            .unwrap_or_else(|_| Err("the reload panicked: its message is in the log".into()));
        match reloaded {
            Ok(reloaded) => {
                self.watched = reloaded.watched.unwrap_or(watched);
                self.logged = None;
                self.status.succeeded();
                for what in &reloaded.left {
                    tracing::warn!("not changed by the reload: {what}");
                }
                Ok(reloaded.left.join("\n"))
            }
            Err(error) => {
                self.status.failed();
                Err(Chain(&*error).to_string())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, fs, path::Path};

    use corelane::{Body, Server, service_fn, tls::Cleartext};
    use http::{Request as HttpRequest, Response};

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
            watched: Some((WatchedFiles::new(&paths), Duration::MAX)),
            reload: Box::new(move || load_pair(&paths[0], &paths[1]).map(Into::into)),
            status: ReloadStatus::default(),
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
        loaded.reload_now().expect_err("they differ");
        assert_eq!(loaded.reload_if_changed(), Look::Failed { logged: false });
    }

    #[test]
    fn a_reload_can_change_what_is_watched() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("file");
        fs::write(&file, "a").expect("written");
        let path = file.clone();
        let mut loaded = Loaded {
            watched: None,
            reload: Box::new(move || {
                let watched = WatchedFiles::new([&path]);
                let watched = Some((watched, Duration::from_secs(1)));
                Ok(Reloaded::default()
                    .left("--one")
                    .left("--two")
                    .watch(watched))
            }),
            status: ReloadStatus::default(),
            logged: None,
        };
        assert_eq!(loaded.reload_if_changed(), Look::Unchanged, "none");
        assert_eq!(loaded.reload_now(), Ok("--one\n--two".into()));
        assert_eq!(loaded.reload_if_changed(), Look::Unchanged);
        fs::write(&file, "b").expect("written");
        assert_eq!(loaded.reload_if_changed(), Look::Reloaded);
    }

    #[test]
    fn changed_files_are_not_loaded_while_the_server_drains() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("file");
        fs::write(&file, "a").expect("written");
        let mut loaded = Loaded {
            watched: Some((WatchedFiles::new([&file]), Duration::MAX)),
            reload: Box::new(|| Ok(Reloaded::default())),
            status: ReloadStatus::default(),
            logged: None,
        };
        let server = Server::builder(Cleartext)
            .listen("127.0.0.1:0")
            .workers(1)
            .bind()
            .expect("loopback");
        let service = |_request: HttpRequest<Body>| async {
            Ok::<_, Infallible>(Response::new(String::new()))
        };
        let handle = server
            .serve(move |_worker| service_fn(service))
            .expect("a worker");
        let observer = handle.observer();
        fs::write(&file, "b").expect("written");
        assert_eq!(loaded.look(&observer), Look::Reloaded);
        fs::write(&file, "c").expect("written");
        handle.shutdown(Duration::ZERO);
        assert_eq!(loaded.look(&observer), Look::Unchanged);
        handle.wait().expect("ended");
    }

    #[test]
    fn a_panic_is_an_error_of_the_reload() {
        let mut loaded = Loaded {
            watched: None,
            reload: Box::new(|| panic!("in a test")),
            status: ReloadStatus::default(),
            logged: None,
        };
        let reason = loaded.reload_now().expect_err("panicked");
        assert!(reason.contains("panicked"), "{reason}");
    }
}
