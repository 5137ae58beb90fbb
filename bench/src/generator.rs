//! What makes a load: a process of its own, which can be made to stand still and to go on.

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

/// Dropping it has to end its process, be it standing still or not.
pub trait Generator {
    fn process(&self) -> Pid;

    /// Readable when all is done, or the process has ended.
    fn done(&self) -> BorrowedFd<'_>;

    /// When all is done: an error where not all was as it should be.
    fn verify(&mut self) -> anyhow::Result<()>;
}

pub fn go_on(generator: &(impl Generator + ?Sized)) -> anyhow::Result<()> {
    kill_process(generator.process(), Signal::CONT).context("cannot let the client go on")
}

pub fn stand_still(generator: &(impl Generator + ?Sized)) -> anyhow::Result<()> {
    kill_process(generator.process(), Signal::STOP).context("cannot make the client stand still")
}

/// Whether all is done before this time.
pub fn is_done_by(
    generator: &(impl Generator + ?Sized),
    deadline: Instant,
) -> anyhow::Result<bool> {
    let done = generator.done();
    loop {
        let left = Timespec::try_from(deadline.saturating_duration_since(Instant::now()))?;
        match poll(&mut [PollFd::new(&done, PollFlags::IN)], Some(&left)) {
            Ok(ready) => return Ok(ready > 0),
            // A signal, which is looked at between turns (`interrupt.rs`).
            Err(Errno::INTR) => {}
            Err(error) => return Err(error).context("cannot wait for the client"),
        }
    }
}

/// For one that stops itself when it has been started.
pub fn wait_until_it_stands(process: Pid) -> anyhow::Result<()> {
    let deadline = Instant::now() + Duration::from_secs(10);
    // Looked at only: whoever started it waits for its end.
    let options = WaitIdOptions::STOPPED
        | WaitIdOptions::EXITED
        | WaitIdOptions::NOHANG
        | WaitIdOptions::NOWAIT;
    loop {
        match waitid(WaitId::Pid(process), options)? {
            Some(status) if status.stopped() => return Ok(()),
            Some(status) => bail!("ended before it began: {status:?}"),
            None if Instant::now() > deadline => bail!("has not started after 10 s"),
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
                ended: ended.expect("it is a child of ours"),
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
    fn nothing_is_done_before_it_goes_on() {
        let mut shell = Shell::start("kill -STOP $$; exit 0");
        wait_until_it_stands(shell.process()).expect("it stops itself");
        assert!(!is_done_by(&shell, Instant::now()).expect("it can be waited for"));
        go_on(&shell).expect("it is a child of ours");
        let deadline = Instant::now() + Duration::from_secs(60);
        assert!(is_done_by(&shell, deadline).expect("it can be waited for"));
        shell.verify().expect("exit 0");
    }

    #[test]
    fn who_ends_at_once_never_stands() {
        let mut shell = Shell::start("exit 3");
        wait_until_it_stands(shell.process()).expect_err("it has ended");
        let error = shell.verify().expect_err("exit 3");
        assert!(error.to_string().contains('3'), "{error}");
    }
}
