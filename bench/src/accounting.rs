//! CPU time and memory of a server, as the kernel accounts for them.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use procfs::process::{Process, all_processes};
use rustix::process::Pid;

/// The processes of a server. nginx, for one, serves from a child of the process that was started.
#[derive(Debug)]
pub struct Processes(Vec<Process>);

impl Processes {
    pub fn of_group(group: Pid) -> anyhow::Result<Self> {
        let group = group.as_raw_nonzero().get();
        let processes: Vec<_> = all_processes()?
            .flatten() // a process that has just ended is not one of the server's
            .filter(|process| process.stat().is_ok_and(|stat| stat.pgrp == group))
            .collect();
        ensure!(!processes.is_empty(), "the server has ended");
        Ok(Self(processes))
    }

    /// CPU time of each thread so far, in nanoseconds.
    pub fn cpu_time(&self) -> anyhow::Result<CpuTime> {
        let mut threads = BTreeMap::new();
        for process in &self.0 {
            for task in process
                .tasks()
                .context("a process of the server has ended")?
            {
                let task = task?;
                threads.insert(task.tid, task.schedstat()?.sum_exec_runtime);
            }
        }
        Ok(CpuTime { threads })
    }

    /// How often its threads have waited so far, for input, a timer or each other (voluntary context
    /// switches).
    pub fn waits(&self) -> anyhow::Result<u64> {
        let mut waits = 0;
        for process in &self.0 {
            for task in process.tasks()? {
                let status = task?.status()?;
                waits += status
                    .voluntary_ctxt_switches
                    .context("the kernel does not count context switches")?;
            }
        }
        Ok(waits)
    }

    /// As [`Self::cpu_time`], once the server is idle: closing the last connections takes CPU time too.
    pub fn cpu_time_at_rest(&self) -> anyhow::Result<CpuTime> {
        let between = Duration::from_millis(10);
        let deadline = Instant::now() + Duration::from_secs(5);
        let mut before = self.cpu_time()?;
        loop {
            std::thread::sleep(between);
            let now = self.cpu_time()?;
            // Timers may fire meanwhile: up to a hundredth of a core counts as idle.
            if now.since(&before)? <= between / 100 {
                return Ok(now);
            }
            ensure!(
                Instant::now() < deadline,
                "the server is busy 5 s after its last request"
            );
            before = now;
        }
    }

    /// Waits until the server has finished its pending work after its clients were stopped. Waits 20 ms
    /// at most: longer work does not come from the clients.
    pub fn settle(&self) -> anyhow::Result<()> {
        let deadline = Instant::now() + Duration::from_millis(20);
        let mut before = self.cpu_time()?;
        while Instant::now() < deadline {
            std::thread::sleep(Duration::from_micros(500));
            let now = self.cpu_time()?;
            // The kernel updates the account of a thread that stays on its core only every few
            // milliseconds.
            if now == before && !self.is_running()? {
                break;
            }
            before = now;
        }
        Ok(())
    }

    fn is_running(&self) -> anyhow::Result<bool> {
        for process in &self.0 {
            for task in process.tasks()? {
                if task?.stat()?.state == 'R' {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Proportional set size (Pss) in bytes: the server's own memory and its share of common memory.
    pub fn memory(&self) -> anyhow::Result<u64> {
        let of = |process: &Process| {
            let rollup = process
                .smaps_rollup()
                .context("a process of the server has ended")?;
            let all = rollup
                .memory_map_rollup
                .0
                .first()
                .context("no memory map")?;
            all.extension
                .map
                .get("Pss")
                .copied()
                .context("the kernel does not report Pss in smaps_rollup")
        };
        self.0.iter().map(of).sum()
    }

    /// As [`Self::memory`], once it no longer changes.
    pub fn memory_at_rest(&self) -> anyhow::Result<u64> {
        let deadline = Instant::now() + Duration::from_secs(5);
        let mut before = self.memory()?;
        loop {
            std::thread::sleep(Duration::from_millis(50));
            let now = self.memory()?;
            if now == before {
                return Ok(now);
            }
            ensure!(
                Instant::now() < deadline,
                "the server's memory still changes after 5 s"
            );
            before = now;
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct CpuTime {
    threads: BTreeMap<i32, u64>,
}

impl CpuTime {
    /// # Errors
    ///
    /// If a thread has ended since: the kernel no longer reports its CPU time.
    pub fn since(&self, before: &Self) -> anyhow::Result<Duration> {
        for thread in before.threads.keys() {
            if !self.threads.contains_key(thread) {
                bail!("a thread of the server has ended, so its CPU time is unknown");
            }
        }
        Ok(self.total().saturating_sub(before.total()))
    }

    /// Since the threads have started.
    pub fn total(&self) -> Duration {
        Duration::from_nanos(self.threads.values().sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(threads: &[(i32, u64)]) -> CpuTime {
        CpuTime {
            threads: threads.iter().copied().collect(),
        }
    }

    #[test]
    fn cpu_time_includes_new_threads() {
        let before = time(&[(1, 1_000), (2, 50)]);
        let after = time(&[(1, 1_500), (2, 60), (3, 7)]);
        assert_eq!(
            after.since(&before).expect("none ended"),
            Duration::from_nanos(517)
        );
    }

    #[test]
    fn ended_thread_is_an_error() {
        assert!(time(&[(1, 2)]).since(&time(&[(1, 1), (2, 1)])).is_err());
    }

    #[test]
    fn busy_loop_adds_cpu_time() {
        let this = Processes(vec![Process::myself().expect("/proc")]);
        let before = this.cpu_time().expect("schedstat");
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_millis(50) {
            std::hint::black_box(0);
        }
        // The kernel updates the account when the thread leaves the core.
        std::thread::sleep(Duration::from_millis(1));
        let used = this.cpu_time().expect("schedstat").since(&before);
        // The threads of other tests may have ended meanwhile.
        if let Ok(used) = used {
            assert!(used >= Duration::from_millis(1), "{used:?}");
        }
        assert!(this.memory().expect("smaps_rollup") > 100_000);
    }
}
