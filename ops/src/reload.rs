//! Reads the certificates anew: on SIGHUP, and by looking at the files if that is wanted.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use corelane::{Chain, Error, Reloader, tls::Identity};
use signal_hook::{consts::SIGHUP, iterator::Signals};

use crate::{admin::EXPIRY, args::Args, tls};

/// To be called before any thread starts: a signal is then never lost to the default action, which
/// would end the process.
pub(crate) fn catch() -> io::Result<Reload> {
    Ok(Reload(Signals::new([SIGHUP])?))
}

pub(crate) struct Reload(Signals);

impl Reload {
    /// Goes on for as long as the process lives. `identities` are those that are served.
    pub(crate) fn start(
        self,
        args: &'static Args,
        identities: Vec<Identity>,
        reloader: Reloader,
    ) -> io::Result<()> {
        EXPIRY.set(args, &identities);
        let served = Arc::new(Mutex::new(Served {
            args,
            identities,
            reloader,
            said: None,
        }));
        let watched = Arc::clone(&served);
        let mut signals = self.0;
        thread::Builder::new()
            .name("corelane-sighup".into())
            .spawn(move || {
                for _ in signals.forever() {
                    lock(&served).ask();
                }
            })?;
        if let Some(interval) = args.certificates.reload_interval() {
            thread::Builder::new()
                .name("corelane-certs".into())
                .spawn(move || watch(&watched, interval))?;
        }
        Ok(())
    }
}

fn watch(served: &Mutex<Served>, interval: Duration) {
    loop {
        thread::sleep(interval);
        lock(served).look();
    }
}

/// What a thread that panicked left is still what is served.
fn lock(served: &Mutex<Served>) -> impl std::ops::DerefMut<Target = Served> {
    served.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is served, and by which options.
struct Served {
    args: &'static Args,
    identities: Vec<Identity>,
    reloader: Reloader,
    /// Why the files that are there now are not served, where that was said.
    said: Option<String>,
}

/// What became of a look at the files.
#[derive(Debug, PartialEq, Eq)]
enum Looked {
    Same,
    Reloaded,
    /// They cannot be served; whether it was said now, or before.
    Kept {
        said: bool,
    },
}

impl Served {
    /// Somebody has asked for it.
    fn ask(&mut self) {
        let args = self.args;
        if args.tls.as_deref() == Some("none") {
            // The signal was for the access log.
            return;
        }
        let files = args.certificates.are_files()
            || args.tickets.are_given()
            || args.client_certificates.are_given();
        if !files {
            tracing::warn!("SIGHUP: there is no certificate to reload, as none came from a file");
            return;
        }
        if let Err(error) = self.reload() {
            let why = Chain(&error).to_string();
            tracing::error!(%why, "not reloaded, the certificates stay as they are");
            self.said = Some(why);
        }
    }

    /// Reloads if the files do not hold what is served. A certificate and a key that do not fit yet
    /// may be about to: they are looked at again the next time, and complained of once.
    fn look(&mut self) -> Looked {
        let result = match self.args.certificates.read() {
            Ok(identities) if identities == self.identities => {
                self.said = None;
                return Looked::Same;
            }
            Ok(_) => self.reload(),
            Err(error) => Err(error),
        };
        let Err(error) = result else {
            return Looked::Reloaded;
        };
        let why = Chain(&error).to_string();
        let said = self.said.as_ref() != Some(&why);
        if said {
            tracing::warn!(
                %why,
                "the certificate files have changed and cannot be served: the certificates stay \
                 as they are until they can"
            );
            self.said = Some(why);
        }
        Looked::Kept { said }
    }

    fn reload(&mut self) -> Result<(), Error> {
        let tls = tls::choose(self.args)?;
        self.reloader.reload(tls.acceptor)?;
        EXPIRY.set(self.args, &tls.identities);
        self.identities = tls.identities;
        self.said = None;
        tracing::info!(tls = tls.description.text, "certificates reloaded");
        Ok(())
    }
}

#[cfg(all(
    test,
    any(feature = "aws-lc-rs", feature = "ring", feature = "native-tls")
))]
mod tests {
    use std::{fs, num::NonZeroUsize, path::Path};

    use clap::Parser;
    use corelane::Server;

    use super::*;

    /// PEM: a certificate and its key.
    fn made() -> (String, String) {
        let made = rcgen::generate_simple_self_signed(["a.test".to_owned()]).expect("made");
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    fn served(cert: &Path, key: &Path) -> Served {
        let [cert, key] = [cert, key].map(|file| file.to_str().expect("UTF-8"));
        let flags = [
            "corelane",
            "--listen",
            "127.0.0.1:0",
            "--cert",
            cert,
            "--key",
            key,
        ];
        let args: &'static Args = Box::leak(Box::new(Args::parse_from(flags)));
        let tls = tls::choose(args).expect("served");
        let server = Server::builder(tls.acceptor)
            .listen(args.listen[0])
            .workers(NonZeroUsize::MIN);
        let server = server.bind().expect("loopback");
        let handle = server.serve(|_| {
            let status = crate::status::Status::new(None);
            corelane::service_fn(move |request| crate::routes::answer(request, status.clone()))
        });
        Served {
            args,
            identities: tls.identities,
            reloader: handle.expect("a worker").reloader(),
            said: None,
        }
    }

    #[test]
    fn files_that_do_not_fit_yet_are_complained_of_once() {
        let dir = tempfile::tempdir().expect("a directory");
        let (cert, key) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
        let write = |file: &Path, text: &str| fs::write(file, text).expect("written");
        let (one, two, three) = (made(), made(), made());
        write(&cert, &one.0);
        write(&key, &one.1);
        let mut served = served(&cert, &key);
        assert_eq!(served.look(), Looked::Same);
        write(&key, &two.1);
        assert_eq!(served.look(), Looked::Kept { said: true });
        let said = served.said.clone().expect("said");
        for file in [&cert, &key] {
            assert!(said.contains(file.to_str().expect("UTF-8")), "{said}");
        }
        assert_eq!(served.look(), Looked::Kept { said: false });
        write(&cert, &two.0);
        assert_eq!(served.look(), Looked::Reloaded);
        assert_eq!(served.look(), Looked::Same);
        // A file that is gone is another complaint, and comes back as what is served.
        fs::remove_file(&cert).expect("removed");
        assert_eq!(served.look(), Looked::Kept { said: true });
        assert_eq!(served.look(), Looked::Kept { said: false });
        write(&cert, &two.0);
        assert_eq!(served.look(), Looked::Same);
        write(&cert, &three.0);
        assert_eq!(served.look(), Looked::Kept { said: true });
        // Whoever asks is told each time.
        served.ask();
        assert_eq!(served.look(), Looked::Kept { said: false });
    }
}
