//! The child processes, one an instance: started, recorded, let go, waited for, told to stop.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use bessemer_domain::ProcessId;
use bessemer_jobs::{Control, end_process, identify_process, is_running, wait_for_exit};
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::AsyncWriteExt,
    process::{Child, Command},
};

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

/// The note of an instance's process, in its folder. The first one's is in the job's record.
const NOTE: &str = "process.json";

/// Runs the orders, each in the folder of its instance, to their ends, which they tell by themselves.
pub(super) async fn run(orders: &[(PathBuf, Order)], control: &Control) -> Result<(), Failed> {
    let mut children = Vec::new();
    for (host, order) in orders {
        let started = start(host, order).map_err(|(what, error)| {
            // Those that wait for their byte end without it.
            Failed::infrastructure(format!("{what}: {error}"))
        })?;
        children.push(started);
    }
    let ended_at_once = || Failed::infrastructure("the engine ended at once");
    let processes: Option<Vec<ProcessId>> = children
        .iter()
        .map(|child| child.id().and_then(|pid| identify_process(pid).ok()))
        .collect();
    let processes = processes.ok_or_else(ended_at_once)?;
    for ((host, _), process) in orders.iter().zip(&processes).skip(1) {
        note(host, process).map_err(Failed::infrastructure)?;
    }
    if let Err(lost) = control.launched(processes.first().cloned()).await {
        // Without their byte they end by themselves.
        for child in &mut children {
            drop(child.stdin.take());
            let _ = child.wait().await;
        }
        return Err(Failed::infrastructure(lost));
    }
    for child in &mut children {
        if let Some(mut input) = child.stdin.take() {
            // One that has ended meanwhile says so below.
            let _ = input.write_all(b"\n").await;
        }
    }
    let ended = async {
        for child in &mut children {
            child.wait().await?;
        }
        Ok::<_, io::Error>(())
    };
    let stopped = tokio::select! {
        ended = ended => return ended.map_err(|error| failed("wait for the engine", &error)),
        stopped = stop(&processes, control) => stopped,
    };
    for child in &mut children {
        // Asked after, so that it does not stay as a zombie.
        let _ = child.wait().await;
    }
    stopped
}

/// Starts a process that begins when it reads a byte, and ends if there never is one: so the server
/// records it before it does anything.
fn start(host: &Path, order: &Order) -> Result<Child, (&'static str, io::Error)> {
    let failed = |what: &'static str| move |error: io::Error| (what, error);
    let left = sandbox::left(host);
    fs::create_dir_all(&left).map_err(failed("make the folder of the attempt"))?;
    end::forget(&left).map_err(failed("clear the last attempt"))?;
    order.write(host).map_err(failed("write the engine's order"))?;
    let log = File::create(left.join("process.log")).map_err(failed("make the engine's log"))?;
    let errors = log.try_clone().map_err(failed("make the engine's log"))?;
    // Not its path, where another release may lie by now.
    let mut command = Command::new("/proc/self/exe");
    command.arg(crate::commands::ATTEMPT).arg(host).env_clear().process_group(0);
    command.envs(PASSED.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
    command.stdin(Stdio::piped()).stdout(log).stderr(errors);
    command.spawn().map_err(failed("start the engine"))
}

fn failed(what: &str, error: &io::Error) -> Failed {
    Failed::infrastructure(format!("{what}: {error}"))
}

fn note(host: &Path, process: &ProcessId) -> io::Result<()> {
    let note = (process.pid, process.started_ticks, &process.boot);
    fs::write(host.join(NOTE), serde_json::to_vec(&note)?)
}

fn noted(host: &Path) -> Option<ProcessId> {
    let (pid, started_ticks, boot) =
        serde_json::from_slice(&fs::read(host.join(NOTE)).ok()?).ok()?;
    Some(ProcessId { pid, started_ticks, boot })
}

/// Waits for processes that an earlier server started for these instances: `first`, and those that
/// are noted.
pub(super) async fn wait(
    first: &ProcessId,
    hosts: &[PathBuf],
    control: &Control,
) -> Result<(), Failed> {
    let others = hosts.iter().skip(1).filter_map(|host| noted(host));
    let processes: Vec<ProcessId> = std::iter::once(first.clone()).chain(others).collect();
    tokio::select! {
        ended = all_ended(&processes) => ended.map_err(Failed::infrastructure),
        stopped = stop(&processes, control) => stopped,
    }
}

async fn all_ended(processes: &[ProcessId]) -> io::Result<()> {
    for process in processes {
        wait_for_exit(process).await?;
    }
    Ok(())
}

/// Ends the processes once the job is told to stop: first they are asked, then they are made to.
async fn stop(processes: &[ProcessId], control: &Control) -> Result<(), Failed> {
    let stop = control.stopping().await;
    for process in processes {
        if is_running(process)
            && let Some(pid) = i32::try_from(process.pid).ok().and_then(Pid::from_raw)
        {
            // It may have ended just now.
            let _ = kill_process(pid, Signal::TERM);
        }
    }
    let grace = Duration::from_millis(stop.grace_millis);
    if tokio::time::timeout(grace, all_ended(processes)).await.is_err() {
        for process in processes {
            end_process(process).await.map_err(Failed::infrastructure)?;
        }
    }
    Ok(())
}
