//! Replaced processes that still drain. Their admin port belongs to the new process, so each one
//! reports its open connections to the new process, on a socket that it passed to it.

use std::{
    io::{self, Read, Write},
    os::{fd::OwnedFd, unix::net::UnixStream},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use corelane::Observer;

/// How often a process that drains reports.
const INTERVAL: Duration = Duration::from_millis(500);

/// The socket of a process that drains. It sends the number of its open connections, over and over,
/// always in 8 bytes. Several processes may read from one socket, after several upgrades.
pub(crate) struct DrainReport(UnixStream);

impl DrainReport {
    /// The report, and the other end for the new process.
    pub(crate) fn pair() -> io::Result<(Self, OwnedFd)> {
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        Ok((Self(ours), theirs.into()))
    }

    /// Reports until the process ends.
    pub(crate) fn start(self, server: Observer) {
        let thread = thread::Builder::new().name("corelane-report".into());
        let spawned = thread.spawn(move || {
            let mut socket = self.0;
            loop {
                let workers = server.workers().map(|worker| worker.counters);
                let open: u64 = workers
                    .map(|it| {
                        it.connections_accepted
                            .saturating_sub(it.connections_closed)
                    })
                    .sum();
                // Fails if the reader is gone, or has not read the last numbers yet.
                let _ = socket.write(&open.to_le_bytes());
                thread::sleep(INTERVAL);
            }
        });
        if let Err(error) = spawned {
            tracing::warn!(%error, "cannot report to the new process that this one drains");
        }
    }
}

/// The processes that drain, as they report it. Clones share one state.
#[derive(Clone, Default)]
pub(crate) struct Draining(Arc<Mutex<Vec<Option<Process>>>>);

struct Process {
    socket: UnixStream,
    /// `None` until the first report: the process does not drain yet.
    connections: Option<u64>,
}

impl Draining {
    /// Reads the reports on these sockets until their processes end.
    pub(crate) fn watch(&self, sockets: Vec<UnixStream>) {
        for socket in sockets {
            let started = socket.try_clone().and_then(|clone| {
                let index = self.add(clone);
                let this = self.clone();
                let thread = thread::Builder::new().name("corelane-drained".into());
                thread.spawn(move || this.read(socket, index))
            });
            if let Err(error) = started {
                tracing::warn!(%error, "the replaced process will not be in the metrics");
            }
        }
    }

    /// The sockets, for the process that replaces this one.
    pub(crate) fn sockets(&self) -> io::Result<Vec<OwnedFd>> {
        let processes = self.lock();
        let sockets = processes.iter().flatten();
        let sockets = sockets.map(|process| process.socket.try_clone().map(OwnedFd::from));
        sockets.collect()
    }

    /// Records the metrics.
    #[cfg(feature = "admin")]
    pub(crate) fn record(&self) {
        use metrics::{Unit, describe_gauge, gauge};

        const PROCESSES: &str = "corelane_draining_processes";
        const CONNECTIONS: &str = "corelane_draining_connections";
        let open: Vec<u64> = {
            let processes = self.lock();
            let open = processes.iter().flatten();
            open.filter_map(|process| process.connections).collect()
        };
        describe_gauge!(
            PROCESSES,
            Unit::Count,
            "Processes that this one has replaced and that have not ended yet."
        );
        describe_gauge!(
            CONNECTIONS,
            Unit::Count,
            "Open connections of the processes that drain."
        );
        // Exact up to 2^53.
        gauge!(PROCESSES).set(open.len() as f64);
        gauge!(CONNECTIONS).set(open.iter().sum::<u64>() as f64);
    }

    fn add(&self, socket: UnixStream) -> usize {
        let mut processes = self.lock();
        processes.push(Some(Process {
            socket,
            connections: None,
        }));
        processes.len() - 1
    }

    fn read(&self, mut socket: UnixStream, index: usize) {
        let mut report = [0; 8];
        while socket.read_exact(&mut report).is_ok() {
            if let Some(Some(process)) = self.lock().get_mut(index) {
                process.connections = Some(u64::from_le_bytes(report));
            }
        }
        // It has ended.
        if let Some(process) = self.lock().get_mut(index) {
            *process = None;
        }
    }

    /// A panic leaves nothing half done.
    fn lock(&self) -> MutexGuard<'_, Vec<Option<Process>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn a_process_is_counted_from_its_first_report_to_its_end() {
        let [one, two] = [(); 2].map(|()| DrainReport::pair().expect("a pair"));
        let draining = Draining::default();
        let known = || {
            let processes = draining.lock();
            let known = processes.iter().flatten();
            known.map(|it| it.connections).collect::<Vec<_>>()
        };
        let wait_for = |wanted: &[Option<u64>]| {
            let started = Instant::now();
            while known() != wanted {
                assert!(started.elapsed().as_secs() < 60, "{:?}", known());
                thread::yield_now();
            }
        };
        draining.watch(vec![one.1.into(), two.1.into()]);
        assert_eq!(known(), [None, None]);
        let send = |report: &DrainReport, open: u64| {
            let sent = (&report.0).write(&open.to_le_bytes());
            assert_eq!(sent.expect("sent"), 8);
        };
        send(&one.0, 4);
        wait_for(&[Some(4), None]);
        send(&two.0, 300);
        send(&one.0, 3);
        wait_for(&[Some(3), Some(300)]);
        assert_eq!(draining.sockets().expect("cloned").len(), 2);
        drop(one.0);
        wait_for(&[Some(300)]);
        drop(two.0);
        wait_for(&[]);
    }
}
