//! Reloads under load: no request fails, and no memory or descriptor is left.
#![cfg(any(
    feature = "aws-lc-rs",
    feature = "ring",
    feature = "native-tls",
    feature = "openssl"
))]

mod support;

use std::{
    fs,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    thread::JoinHandle,
};

use support::certificates::{BACKENDS, Files, Running, ask, certificate, open, runtime, wait_for};

/// Sends requests on an open connection and on new ones without a pause while the certificate changes
/// a hundred times. The next change comes when both have used the new certificate.
#[test]
fn a_hundred_reloads_under_load_fail_no_request() {
    const RELOADS: usize = 100;
    /// After this many reloads the server has allocated all the memory that it needs under load.
    const WARM: usize = 20;
    /// Kilobytes. The allocator may keep this much; a hundred leaked sets of keys and caches take
    /// more.
    const TOLERANCE: usize = 8 * 1024;
    let both = [certificate("localhost"), certificate("localhost")];
    for backend in BACKENDS {
        let dir = tempfile::tempdir().expect("a directory");
        let files = Files::of(dir.path(), &both[0]);
        let server = Running::start(
            dir.path(),
            &[&files.args()[..], &["--tls", backend]].concat(),
        );
        let (addr, pid) = (server.addr(), server.corelane.id());
        let load = Load::begin(addr);
        let mut warm = None;
        for turn in 1..=RELOADS {
            let before = load.counts();
            files.write(&both[turn % 2]);
            server.corelane.signal("-HUP");
            server.wait_for_certificate("localhost", &both[turn % 2]);
            // Each acceptor is used.
            let used = || {
                load.counts()
                    .iter()
                    .zip(before)
                    .all(|(now, then)| *now > then)
            };
            wait_for(used, || format!("{:?} after {before:?}", load.counts()));
            if turn == WARM {
                warm = Some((descriptors(pid), resident(pid)));
            }
        }
        let (files_before, memory_before) = warm.expect("more reloads than that");
        let counts = load.end();
        wait_for(
            || descriptors(pid) <= files_before,
            || format!("{files_before} descriptors became {}", descriptors(pid)),
        );
        let memory = resident(pid);
        println!(
            "{backend}: {memory_before} kB after {WARM} reloads, {memory} kB after all; {counts:?} \
             requests on one connection and on new ones"
        );
        assert!(
            memory < memory_before + TOLERANCE,
            "{memory_before} kB became {memory} kB"
        );
    }
}

/// Requests without a pause, on one open connection and on new ones. A failure panics.
struct Load {
    stop: Arc<AtomicBool>,
    threads: [(Arc<AtomicUsize>, JoinHandle<()>); 2],
}

impl Load {
    fn begin(addr: SocketAddr) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let thread = |anew: bool| {
            let (count, stop) = (Arc::new(AtomicUsize::new(0)), Arc::clone(&stop));
            let counting = Arc::clone(&count);
            let thread = std::thread::spawn(move || {
                runtime().block_on(async {
                    let mut requests = open(addr).await.expect("connects");
                    while !stop.load(Relaxed) {
                        ask(&requests).await.expect("no request fails");
                        counting.fetch_add(1, Relaxed);
                        if anew {
                            requests = open(addr).await.expect("no connection fails");
                        }
                    }
                });
            });
            (count, thread)
        };
        let threads = [thread(false), thread(true)];
        Self { stop, threads }
    }

    fn counts(&self) -> [usize; 2] {
        let count = |(count, thread): &(Arc<AtomicUsize>, JoinHandle<()>)| {
            assert!(!thread.is_finished(), "a request failed");
            count.load(Relaxed)
        };
        [count(&self.threads[0]), count(&self.threads[1])]
    }

    fn end(self) -> [usize; 2] {
        let counts = self.counts();
        self.stop.store(true, Relaxed);
        for (_, thread) in self.threads {
            thread.join().expect("no request failed");
        }
        counts
    }
}

fn descriptors(pid: u32) -> usize {
    let open = fs::read_dir(format!("/proc/{pid}/fd")).expect("running");
    open.count()
}

/// Kilobytes.
fn resident(pid: u32) -> usize {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("running");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let words = line.expect("its memory").split_whitespace().next();
    words.expect("a number").parse().expect("a number")
}
