//! A load generator: a client process that the harness can stop (SIGSTOP) and resume (SIGCONT).

use std::{
    os::fd::BorrowedFd,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid},
};

/// Dropping it must end its process, stopped or not.
pub trait Generator {
    fn process(&self) -> Pid;

    /// Readable when the load is done or the process has ended.
    fn done(&self) -> BorrowedFd<'_>;

    /// Checks the outcome when the load is done.
    ///
    /// # Errors
    ///
    /// If a request failed or a response was wrong.
    fn verify(&mut self) -> anyhow::Result<()>;
}

pub fn resume(generator: &(impl Generator + ?Sized)) -> anyhow::Result<()> {
    kill_process(generator.process(), Signal::CONT).context("cannot resume the client")
}

pub fn stop(generator: &(impl Generator + ?Sized)) -> anyhow::Result<()> {
    kill_process(generator.process(), Signal::STOP).context("cannot stop the client")
}

/// Waits until the load is done, until `deadline` at most. Returns whether it is done.
pub fn is_done_by(
    generator: &(impl Generator + ?Sized),
    deadline: Instant,
) -> anyhow::Result<bool> {
    let done = generator.done();
    loop {
        let left = Timespec::try_from(deadline.saturating_duration_since(Instant::now()))?;
        match poll(&mut [PollFd::new(&done, PollFlags::IN)], Some(&left)) {
            Ok(ready) => return Ok(ready > 0),
            // A signal: `interrupt.rs` handles it between turns.
            Err(Errno::INTR) => {}
            Err(error) => return Err(error).context("cannot wait for the client"),
        }
    }
}

/// Waits for a process that stops itself when it starts.
pub fn wait_until_stopped(process: Pid) -> anyhow::Result<()> {
    let deadline = Instant::now() + Duration::from_secs(10);
    // NOWAIT leaves the exit status to the code that started the process.
    let options = WaitIdOptions::STOPPED
        | WaitIdOptions::EXITED
        | WaitIdOptions::NOHANG
        | WaitIdOptions::NOWAIT;
    loop {
        match waitid(WaitId::Pid(process), options)? {
            Some(status) if status.stopped() => return Ok(()),
            Some(status) => bail!("ended before it stopped itself: {status:?}"),
            None if Instant::now() > deadline => bail!("has not stopped itself after 10 s"),
            None => std::thread::sleep(Duration::from_millis(1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        os::fd::{AsFd, OwnedFd},
        process::{Child, Command},
    };

    use rustix::process::{PidfdFlags, pidfd_open};

    use super::*;

    struct Shell {
        child: Child,
        ended: OwnedFd,
    }

    impl Shell {
        fn start(script: &str) -> Self {
            let child = Command::new("sh").args(["-c", script]).spawn();
            let child = child.expect("there is a shell");
            let ended = pidfd_open(Pid::from_child(&child), PidfdFlags::empty());
            Self {
                child,
                ended: ended.expect("it is a child"),
            }
        }
    }

    impl Generator for Shell {
        fn process(&self) -> Pid {
            Pid::from_child(&self.child)
        }

        fn done(&self) -> BorrowedFd<'_> {
            self.ended.as_fd()
        }

        fn verify(&mut self) -> anyhow::Result<()> {
            let status = self.child.wait()?;
            anyhow::ensure!(status.success(), "{status}");
            Ok(())
        }
    }

    #[test]
    fn stopped_process_is_not_done_until_resumed() {
        let mut shell = Shell::start("kill -STOP $$; exit 0");
        wait_until_stopped(shell.process()).expect("it stops itself");
        assert!(!is_done_by(&shell, Instant::now()).expect("it is a child"));
        resume(&shell).expect("it is a child");
        let deadline = Instant::now() + Duration::from_secs(60);
        assert!(is_done_by(&shell, deadline).expect("it is a child"));
        shell.verify().expect("exit 0");
    }

    #[test]
    fn process_that_exits_at_once_is_an_error() {
        let mut shell = Shell::start("exit 3");
        wait_until_stopped(shell.process()).expect_err("it has ended");
        let error = shell.verify().expect_err("exit 3");
        assert!(error.to_string().contains('3'), "{error}");
    }
}
