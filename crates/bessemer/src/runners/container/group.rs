//! The processes of an attempt, one an instance: started, found again, waited for, ended together.

use std::{path::PathBuf, time::Duration};

use bessemer_compute::{Attached, Cause, Child, Exit, Launcher, Prepared, ProcessSpec, Status};
use bessemer_domain::ProcessId;
use bessemer_jobs::{Control, identify_process, wait_for_exit};
use tokio::task::{JoinHandle, JoinSet};

use super::{Failed, blocking};

/// Time between two looks at what running programs have written.
const LOOK: Duration = Duration::from_secs(5);

/// The processes of an attempt.
#[derive(Debug)]
pub(crate) struct Group {
    hosts: Vec<Host>,
}

#[derive(Debug)]
enum Host {
    Running(Child),
    Ended(Exit),
}

/// How the processes of an attempt ended.
#[derive(Debug, Clone)]
pub(crate) struct Ended {
    /// By instance.
    pub(crate) exits: Vec<Exit>,
    /// The instance that failed first, if one did by itself.
    pub(crate) failed: Option<usize>,
}

impl Ended {
    /// Whether no process was ever told to run.
    pub(crate) fn never_ran(&self) -> bool {
        self.exits.iter().all(|exit| exit.status == Status::NeverRan)
    }
}

impl Group {
    /// Starts the processes in the order that [`bessemer_jobs::Runner`] asks for: they wait, are
    /// recorded, and are let go.
    pub(crate) async fn start(
        launcher: &Launcher,
        specs: Vec<ProcessSpec>,
        control: &Control,
    ) -> Result<Self, Failed> {
        let launcher = launcher.clone();
        let prepared = blocking(move || {
            let prepare = |spec: &ProcessSpec| launcher.prepare(spec);
            let prepared: Result<Vec<Prepared>, _> = specs.iter().map(prepare).collect();
            prepared.map_err(|error| Failed::from_launch(&error))
        })
        .await?;
        let first = prepared.first().and_then(|first| identify_process(first.id().pid).ok());
        let first = first.ok_or_else(|| Failed::internal("the sandbox ended at once"))?;
        if let Err(lost) = control.launched(Some(first)).await {
            // Without their word they end by themselves, which is waited for.
            blocking(move || {
                drop(prepared);
                Ok(())
            })
            .await?;
            return Err(Failed::internal(lost));
        }
        blocking(move || {
            let mut hosts = Vec::new();
            for one in prepared {
                match one.go() {
                    Ok(child) => hosts.push(Host::Running(child)),
                    Err(error) => {
                        Self { hosts }.kill();
                        return Err(Failed::from_launch(&error));
                    }
                }
            }
            Ok(Self { hosts })
        })
        .await
    }

    /// Finds the processes again whose notes are in these folders.
    pub(crate) fn attach(launcher: &Launcher, notes: &[PathBuf]) -> Result<Self, Failed> {
        let mut group = Self { hosts: Vec::new() };
        let mut failed = None;
        for notes in notes {
            match launcher.reattach(notes) {
                Ok(Attached::Running(child)) => group.hosts.push(Host::Running(child)),
                Ok(Attached::Ended(exit)) => group.hosts.push(Host::Ended(exit)),
                Ok(Attached::Failed(error)) => {
                    failed =
                        Some(Failed::from_launch(&bessemer_compute::LaunchError::Sandbox(error)));
                }
                Ok(Attached::Nothing) => {
                    failed = Some(Failed::internal("the last server ended before it was started"));
                }
                Err(error) => failed = Some(Failed::from_launch(&error)),
            }
        }
        match failed {
            Some(failed) => {
                group.kill();
                Err(failed)
            }
            None => Ok(group),
        }
    }

    /// Ends all by force, and waits for their ends.
    pub(super) fn kill(&self) {
        for host in &self.hosts {
            if let Host::Running(child) = host {
                let ended = child.kill().and_then(|()| child.wait());
                if let Err(error) = ended {
                    tracing::error!(%error, "a job's process can't be ended");
                }
            }
        }
    }

    fn stop(&self) {
        for host in &self.hosts {
            if let Host::Running(child) = host
                && let Err(error) = child.stop()
            {
                tracing::error!(%error, "a job's process can't be stopped");
            }
        }
    }

    /// Waits for all. If one fails, the others are stopped, as all are when the attempt is to end.
    /// Meanwhile `look` is called again and again, when what it began is done.
    pub(crate) async fn wait(
        mut self,
        control: &Control,
        mut look: impl FnMut() -> JoinHandle<()>,
    ) -> Result<Ended, Failed> {
        let mut waiting = JoinSet::new();
        for (index, host) in self.hosts.iter().enumerate() {
            if let Host::Running(child) = host {
                let process = identify_process(child.id().pid).ok();
                let process = process.filter(|found| found.started_ticks == child.id().start_time);
                waiting.spawn(async move { (index, gone(process).await) });
            }
        }
        let mut is_stopping = false;
        let mut failed = self.first_failure();
        let mut looking: Option<JoinHandle<()>> = None;
        let mut looks = tokio::time::interval_at(tokio::time::Instant::now() + LOOK, LOOK);
        loop {
            if failed.is_some() && !is_stopping {
                self.stop();
                is_stopping = true;
            }
            tokio::select! {
                ended = waiting.join_next() => {
                    let Some(ended) = ended else { break };
                    let (index, ended) = ended.map_err(Failed::internal)?;
                    ended.map_err(Failed::internal)?;
                    let exit = self.exit(index)?;
                    let fails = !exit.is_success() && exit.cause != Some(Cause::Stopped);
                    failed = failed.or((fails && !is_stopping).then_some(index));
                    self.hosts[index] = Host::Ended(exit);
                }
                _ = control.stopping(), if !is_stopping => {
                    self.stop();
                    is_stopping = true;
                }
                _ = looks.tick() => if looking.as_ref().is_none_or(JoinHandle::is_finished) {
                    looking = Some(look());
                },
            }
        }
        if let Some(looking) = looking {
            looking.await.map_err(Failed::internal)?;
        }
        let exits = (0..self.hosts.len()).map(|index| self.exit(index));
        Ok(Ended { exits: exits.collect::<Result<_, _>>()?, failed })
    }

    /// Of those that ended while nobody looked, the first that failed by itself.
    fn first_failure(&self) -> Option<usize> {
        let failed = self.hosts.iter().enumerate().filter_map(|(index, host)| match host {
            Host::Ended(exit) if !exit.is_success() && exit.cause != Some(Cause::Stopped) => {
                Some((exit.ended_millis, index))
            }
            _ => None,
        });
        failed.min().map(|(_, index)| index)
    }

    /// How instance `index` ended, which it has.
    fn exit(&self, index: usize) -> Result<Exit, Failed> {
        match &self.hosts[index] {
            Host::Ended(exit) => Ok(exit.clone()),
            Host::Running(child) => child.wait().map_err(|error| Failed::from_launch(&error)),
        }
    }
}

async fn gone(process: Option<ProcessId>) -> std::io::Result<()> {
    match process {
        Some(process) => wait_for_exit(&process).await,
        None => Ok(()),
    }
}
