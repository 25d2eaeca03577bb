//! The child process: started, recorded, let go, waited for, told to stop.

use std::{fs::File, path::Path, process::Stdio, time::Duration};

use bessemer_domain::ProcessId;
use bessemer_jobs::{Control, end_process, identify_process, is_running, wait_for_exit};
use rustix::process::{Pid, Signal, kill_process};
use tokio::{io::AsyncWriteExt, process::Command};

use super::{Failed, Order, end, sandbox};

/// Variables that the engine may see of the server's.
const PASSED: [&str; 8] = [
    "PATH",
    "HOME",
    "LANG",
    "TMPDIR",
    "BESSEMER_CACHE",
    "BESSEMER_ONNXRUNTIME",
    "RUST_BACKTRACE",
    "XDG_CACHE_HOME",
];

/// Runs the order in `folder` to its end, which it then tells by itself.
pub(super) async fn run(folder: &Path, order: &Order, control: &Control) -> Result<(), Failed> {
    let failed = |what: &'static str| {
        move |error: std::io::Error| Failed::infrastructure(format!("{what}: {error}"))
    };
    let left = sandbox::left(folder);
    std::fs::create_dir_all(&left).map_err(failed("make the folder of the attempt"))?;
    end::forget(&left).map_err(failed("clear the last attempt"))?;
    order.write(folder).map_err(failed("write the engine's order"))?;
    let log = File::create(left.join("process.log")).map_err(failed("make the engine's log"))?;
    let errors = log.try_clone().map_err(failed("make the engine's log"))?;
    // Not its path, where another release may lie by now.
    let program = "/proc/self/exe";
    let mut command = Command::new(program);
    command.arg(crate::commands::ATTEMPT).arg(folder).env_clear().process_group(0);
    command.envs(PASSED.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
    // It begins when it reads a byte, and ends if there never is one: so the server records it
    // before it does anything.
    command.stdin(Stdio::piped()).stdout(log).stderr(errors);
    let mut child = command.spawn().map_err(failed("start the engine"))?;
    let process = child.id().and_then(|pid| identify_process(pid).ok());
    let process = process.ok_or_else(|| Failed::infrastructure("the engine ended at once"))?;
    if let Err(lost) = control.launched(Some(process.clone())).await {
        // Without its byte it ends by itself.
        drop(child.stdin.take());
        let _ = child.wait().await;
        return Err(Failed::infrastructure(lost));
    }
    if let Some(mut input) = child.stdin.take() {
        // One that has ended meanwhile says so below.
        let _ = input.write_all(b"\n").await;
    }
    tokio::select! {
        ended = child.wait() => ended.map(drop).map_err(failed("wait for the engine")),
        stopped = stop(&process, control) => {
            // Asked after, so that it does not stay as a zombie.
            let _ = child.wait().await;
            stopped
        }
    }
}

/// Waits for a process that an earlier server started.
pub(super) async fn wait(process: &ProcessId, control: &Control) -> Result<(), Failed> {
    tokio::select! {
        ended = wait_for_exit(process) => ended.map_err(Failed::infrastructure),
        stopped = stop(process, control) => stopped,
    }
}

/// Ends the process once the job is told to stop: first it is asked, then it is made to.
async fn stop(process: &ProcessId, control: &Control) -> Result<(), Failed> {
    let stop = control.stopping().await;
    if is_running(process)
        && let Some(pid) = i32::try_from(process.pid).ok().and_then(Pid::from_raw)
    {
        // It may have ended just now.
        let _ = kill_process(pid, Signal::TERM);
    }
    let grace = Duration::from_millis(stop.grace_millis);
    if tokio::time::timeout(grace, wait_for_exit(process)).await.is_err() {
        end_process(process).await.map_err(Failed::infrastructure)?;
    }
    Ok(())
}
