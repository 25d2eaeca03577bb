//! Child processes beyond the life of the server that started them: telling that one is still the
//! same, waiting for its end, ending it.

use std::{fs, io, os::fd::OwnedFd};

use bessemer_domain::ProcessId;
use rustix::{
    io::Errno,
    process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open, pidfd_send_signal},
};
use tokio::io::{Interest, unix::AsyncFd};

/// What names process `pid` beyond its life. Fails with [`io::ErrorKind::NotFound`] if there is no
/// such process, or only what its parent has not yet asked after.
pub fn identify_process(pid: u32) -> io::Result<ProcessId> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let gone = || io::Error::new(io::ErrorKind::NotFound, format!("process {pid} has ended"));
    // The name before it may hold anything, parentheses and spaces too.
    let (_, fields) = stat.rsplit_once(") ").ok_or_else(gone)?;
    let mut fields = fields.split(' ');
    let state = fields.next().ok_or_else(gone)?;
    if matches!(state, "Z" | "X" | "x") {
        return Err(gone());
    }
    // Field 22 of the file; field 3 was the state.
    let started_ticks = fields.nth(18).and_then(|field| field.parse().ok()).ok_or_else(gone)?;
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned();
    Ok(ProcessId { pid, started_ticks, boot })
}

/// Whether the process still runs, and is not another one of the same number.
#[must_use]
pub fn is_running(process: &ProcessId) -> bool {
    identify_process(process.pid).is_ok_and(|found| found == *process)
}

/// Returns when the process has ended; at once if it has. Its parent can be anybody.
pub async fn wait_for_exit(process: &ProcessId) -> io::Result<()> {
    match open(process)? {
        Some(handle) => exited(handle).await,
        None => Ok(()),
    }
}

/// Kills the process and the group that it leads, and returns when the process has ended. What had
/// left the group, or outlived its leader, is not found.
pub async fn end_process(process: &ProcessId) -> io::Result<()> {
    let Some(handle) = open(process)? else { return Ok(()) };
    // As long as the handle's process is not gone, the number is its own.
    if let Some(group) = i32::try_from(process.pid).ok().and_then(Pid::from_raw) {
        match kill_process_group(group, Signal::KILL) {
            Ok(()) | Err(Errno::SRCH) => {}
            Err(error) => return Err(error.into()),
        }
    }
    match pidfd_send_signal(&handle, Signal::KILL) {
        Ok(()) | Err(Errno::SRCH) => {}
        Err(error) => return Err(error.into()),
    }
    exited(handle).await
}

/// A handle on the process; none if it has ended.
fn open(process: &ProcessId) -> io::Result<Option<OwnedFd>> {
    let Some(pid) = i32::try_from(process.pid).ok().and_then(Pid::from_raw) else {
        return Ok(None);
    };
    let handle = match pidfd_open(pid, PidfdFlags::NONBLOCK) {
        Ok(handle) => handle,
        Err(Errno::SRCH) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    // Looked at after the handle was taken: if it is the same now, the handle is of the same.
    Ok(is_running(process).then_some(handle))
}

/// Handles of processes become readable when the process ends (`pidfd_open(2)`).
async fn exited(handle: OwnedFd) -> io::Result<()> {
    #[expect(deprecated, reason = "what replaces it is unsafe; an owned handle is all it asks for")]
    let handle = AsyncFd::with_interest(handle, Interest::READABLE)?;
    handle.readable().await?.retain_ready();
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command};

    use super::*;

    fn sleeper() -> (Child, ProcessId) {
        use std::os::unix::process::CommandExt;
        let child = Command::new("sleep").arg("1000").process_group(0).spawn().expect("it starts");
        let process = identify_process(child.id()).expect("it runs");
        (child, process)
    }

    #[tokio::test]
    async fn a_process_is_told_from_another_of_its_number() {
        let (mut child, process) = sleeper();
        assert!(is_running(&process));
        let other = ProcessId { started_ticks: process.started_ticks + 1, ..process.clone() };
        assert!(!is_running(&other));
        end_process(&other).await.expect("there is none to end");
        assert!(is_running(&process), "the wrong one was ended");
        end_process(&process).await.expect("it is ended");
        assert!(!is_running(&process), "what its parent has not asked after has ended");
        child.wait().expect("it has ended");
        assert_eq!(
            identify_process(process.pid).expect_err("it is gone").kind(),
            io::ErrorKind::NotFound
        );
        wait_for_exit(&process).await.expect("it has ended");
    }

    #[tokio::test]
    async fn an_exit_is_seen_by_others_than_the_parent() {
        let (mut child, process) = sleeper();
        let watched = process.clone();
        let waiter = tokio::spawn(async move { wait_for_exit(&watched).await });
        tokio::task::yield_now().await;
        child.kill().expect("it runs");
        waiter.await.expect("no panic").expect("it is seen");
        child.wait().expect("it has ended");
    }
}
