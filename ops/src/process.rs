//! Other processes, as `/proc` shows them.

use std::fs;

use nix::{
    errno::Errno,
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// Whether the process runs. A zombie has ended: its parent has not noticed yet.
pub(crate) fn is_running(process: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // The name before it may contain parentheses and spaces.
    let state = stat.rsplit(") ").next().and_then(|it| it.chars().next());
    !matches!(state, None | Some('Z' | 'X' | 'x'))
}

/// The name of the process's program.
pub(crate) fn name(process: u32) -> Option<String> {
    let name = fs::read_to_string(format!("/proc/{process}/comm")).ok()?;
    Some(name.trim_end().to_owned())
}

/// Whether the process handles this signal. `None` if that is unknown.
pub(crate) fn handles(process: u32, signal: Signal) -> Option<bool> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let caught = status
        .lines()
        .find_map(|line| line.strip_prefix("SigCgt:"))?;
    let caught = u64::from_str_radix(caught.trim(), 16).ok()?;
    Some(caught & (1 << (signal as i32 - 1)) != 0)
}

pub(crate) fn send_signal(signal: Signal, process: u32) -> nix::Result<()> {
    let process = i32::try_from(process).map_err(|_| Errno::ESRCH)?;
    kill(Pid::from_raw(process), signal)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_zombie_does_not_run() {
        let mut child = Command::new("true").spawn().expect("a child");
        let id = child.id();
        let started = std::time::Instant::now();
        while is_running(id) {
            assert!(started.elapsed().as_secs() < 60, "it does not end");
            std::thread::yield_now();
        }
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).expect("not waited for yet");
        assert!(stat.contains(") Z "), "{stat}");
        child.wait().expect("a child");
        assert!(!is_running(id));
        assert!(is_running(std::process::id()));
    }
}
