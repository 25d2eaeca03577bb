//! Jobs that run a program of the user's as SageMaker's containers do: sandboxed processes, one an
//! instance, with `/opt/ml`, in the Python environment that the job's image stands for; or containers
//! of Docker.
//!
//! An attempt has the folder `runs/<job>/<attempt>/`:
//!
//! ```text
//! order.json      how many instances there are
//! algo-1/ml/      /opt/ml of the first instance
//! algo-1/tmp/     its /tmp
//! algo-1/objects/ links to large objects, which it sees read-only
//! algo-1/control/ the sandbox's notes
//! outcome.json    what came of it, once the results are in place
//! ```

mod environment;
mod failed;
mod group;
mod host_log;
mod inputs;
mod order;
mod place;
mod program;
mod publish;
mod runner;
mod site;
mod stage;
mod tree;
mod uri;
mod verdict;

use bessemer_compute::{Image, logs::LogFolder};
use bessemer_jobs::Attempt;
use serde_json::Value;

pub(crate) use environment::ensure as ensure_environment;
pub(crate) use failed::Failed;
pub(crate) use group::{Ended, Group};
pub(crate) use host_log::HostLogs;
pub(crate) use inputs::{
    AT_ONCE, Input, LONGEST_MANIFEST, Source, inputs_below, names_of_manifest, open, open_all,
};
pub(crate) use place::{DockerOptions, Place, Runtime};
pub(crate) use program::{Door, OWN_PACKAGES, Program, open_to_all, variables_of};
pub(crate) use publish::{Merged, Seen};
pub(crate) use runner::ContainerRunner;
pub(crate) use site::Site;
pub(crate) use stage::{ML, Stage, give_name, host_name};
pub(crate) use tree::of_host;
pub(crate) use uri::Uri;

use std::path::PathBuf;

/// The sandbox's notes in an instance's folder.
const CONTROL: &str = "control";

/// A kind of job.
pub(crate) trait Work: Sized + Send + Sync + 'static {
    /// What the job is at while its program runs.
    const RUNNING: &'static str;

    /// Whether it gets inputs before and has results after its program, which are told as stages.
    const HAS_STAGES: bool = true;

    /// Reads what an attempt is to do.
    fn read(attempt: &Attempt) -> Result<Self, Failed>;

    /// Where the programs' lines go.
    fn logs(logs: &LogFolder, attempt: &Attempt, instances: usize) -> HostLogs {
        HostLogs::of(logs, &attempt.job, instances)
    }

    /// What it asks for.
    fn demand(&self) -> &Demand;

    /// Fills an instance's folder, and says what it runs, in what the image stands for or else in a
    /// container that has a program of its own.
    fn stage(&self, stage: &mut Stage, image: Option<&Image>) -> Result<Program, Failed>;

    /// Called again and again while the programs run: puts in place what is to be there before their
    /// end.
    fn look(&self, site: &Site, hosts: &[PathBuf], seen: &mut Seen) -> Result<(), Failed>;

    /// The program's own word on why it failed, in the folder of its instance.
    fn reason(&self, host: &std::path::Path) -> Option<String>;

    /// Why the attempt failed, if it did.
    fn verdict(&self, ended: &Ended, hosts: &[PathBuf], logs: &HostLogs) -> Option<Failed> {
        verdict::of(self, ended, hosts, logs)
    }

    /// Whether no attempt may follow a failure with that result, whatever the policy says.
    fn is_final(&self, _result: &Value) -> bool {
        false
    }

    /// Puts the results in place, and says what the job's result is.
    fn conclude(&self, site: &Site, finished: Finished<'_>) -> Result<Value, Failed>;
}

/// What a job asks for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Demand {
    pub(crate) image: String,
    pub(crate) instances: usize,
    /// Bytes on disk, for each instance.
    pub(crate) volume: Option<u64>,
    /// Variables of the request.
    pub(crate) environment: Vec<(String, String)>,
    /// Whether it has this machine's network.
    pub(crate) has_network: bool,
    /// Whether [`Work::look`] has anything to do.
    pub(crate) is_watched: bool,
}

/// Programs that have ended.
#[derive(Debug)]
pub(crate) struct Finished<'a> {
    /// The folders of the instances.
    pub(crate) hosts: &'a [PathBuf],
    pub(crate) logs: &'a HostLogs,
    pub(crate) ended: &'a Ended,
    /// What was put in place before the end.
    pub(crate) seen: &'a mut Seen,
    pub(crate) end: End,
}

/// How programs ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// All did what they were to do.
    Succeeded,
    /// They were told to stop.
    Stopped,
    Failed,
}

/// Runs what blocks where it may.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failed> + Send + 'static,
) -> Result<T, Failed> {
    tokio::task::spawn_blocking(work).await.map_err(Failed::internal)?
}

impl Demand {
    /// The members that both kinds of jobs name alike: `resources` has the instances.
    pub(crate) fn of(job: &Value, image: &Value, resources: &Value) -> Result<Self, Failed> {
        let is_isolated = job["EnableNetworkIsolation"] == true
            || job["NetworkConfig"]["EnableNetworkIsolation"] == true;
        let instances = resources["InstanceCount"].as_u64().unwrap_or(1).max(1) as usize;
        if is_isolated && instances > 1 {
            return Err(Failed::client(
                "network isolation of several instances is not supported by Bessemer: what is \
                 isolated sees nothing but itself",
            ));
        }
        let variables = job["Environment"].as_object().into_iter().flatten();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Ok(Self {
            image: text(image),
            instances,
            volume: resources["VolumeSizeInGB"].as_u64().map(|gigabytes| gigabytes << 30),
            environment: variables.map(|(name, value)| (name.clone(), text(value))).collect(),
            has_network: !is_isolated,
            is_watched: false,
        })
    }
}
