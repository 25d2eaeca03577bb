//! [`Program`]: what an instance runs, and in which sandbox.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::Path,
    time::Duration,
};

use bessemer_aws::AccessKeyEntry;
use bessemer_compute::{
    Bind, Environment, Limits, LogSink, ProcessSpec, UidRange,
    docker::{ContainerNetwork, ContainerSpec},
    hand_over,
};
use bessemer_domain::JobId;
use bessemer_jobs::Attempt;
use bessemer_objects::storage::ExternalS3;

use super::{
    CONTROL, Demand, Failed, HostLogs, ML, Site, Stage, host_log, host_name, place::Runtime,
};

/// What an instance runs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Program {
    /// The program and its arguments; none for a container's own.
    pub(crate) command: Vec<String>,
    /// Arguments after those.
    pub(crate) arguments: Vec<String>,
    /// Variables of its own.
    pub(crate) environment: Vec<(String, String)>,
    /// The folder that it starts in, below `/opt/ml`.
    pub(crate) folder: String,
    /// The text of a requirements file: packages beside those of the image.
    pub(crate) requirements: Option<String>,
}

/// Where packages go that a program installs by itself.
pub(crate) const OWN_PACKAGES: &str = "/tmp/.packages";
/// Processes and threads of a job at most: more than real work has, less than a machine bears.
const PROCESSES: u32 = 8192;
/// The longest that SageMaker lets a program take to stop.
const LONGEST_GRACE_MILLIS: u64 = 120_000;
/// The server ends a job that runs too long; if it is not there, its sandbox does, this much later.
const LATER_MILLIS: u64 = 60_000;

/// How to reach the server from inside.
#[derive(Debug)]
pub(crate) struct Door<'a> {
    pub(crate) endpoint: &'a str,
    pub(crate) key: &'a AccessKeyEntry,
    /// The S3 elsewhere, if the key is one there too.
    pub(crate) s3: Option<&'a ExternalS3>,
}

/// The order for the process of an instance, whose folder is ready to be handed over.
pub(super) fn spec(
    attempt: &Attempt,
    demand: &Demand,
    stage: &Stage,
    program: Program,
    (runtime, door): (&Runtime, Option<&Door<'_>>),
    (site, logs): (&Site, &HostLogs),
) -> Result<ProcessSpec, Failed> {
    let log = LogSink { file: logs.file(stage.index).clone(), max_bytes: host_log::MOST };
    let (command, arguments) = match (program.command.split_first(), runtime) {
        (Some((command, arguments)), _) => (command.as_str(), arguments),
        (None, Runtime::Container(_)) => ("", &[][..]),
        (None, _) => return Err(Failed::client("there is no program to run")),
    };
    let mut spec = ProcessSpec::new(command, stage.folder.join(CONTROL), log);
    spec.args = arguments.iter().chain(&program.arguments).map(Into::into).collect();
    spec.container = container(runtime, site, attempt, stage, demand)?;
    let mut variables = match runtime {
        Runtime::Environment(environment) => usual_variables(environment),
        Runtime::Container(_) => Vec::new(),
    };
    if let Some(door) = door {
        let inside = spec.container.as_ref().and_then(endpoint_inside);
        variables.extend(variables_of(door, inside.as_deref(), &attempt.job.arn));
    }
    variables.extend(program.environment);
    variables.extend(demand.environment.iter().cloned());
    spec.env = last_of_each(variables);
    spec.cwd = program.folder.into();
    spec.uid = own_folders(&stage.folder, attempt.job.id, runtime)?;
    spec.hostname = stage.host();
    spec.hosts =
        (0..stage.count).map(|index| (address(attempt.job.id, index), host_name(index))).collect();
    spec.mounts = vec![
        Bind::writable(stage.folder.join("ml"), ML),
        Bind::writable(stage.folder.join("tmp"), "/tmp"),
    ];
    spec.mounts.extend(stage.mounts.iter().cloned());
    if let Runtime::Environment(environment) = runtime {
        spec.mounts.extend(environment.mounts.iter().cloned());
    }
    spec.network = demand.has_network;
    let count = stage.count as u64;
    spec.limits = Limits {
        memory: Some(attempt.resources.memory / count),
        cores: Some(f64::from(attempt.resources.cores) / count as f64),
        processes: Some(PROCESSES),
        disk: demand.volume,
        ..Limits::default()
    };
    let limits = &attempt.job.lifecycle.limits;
    spec.stop_grace = Duration::from_millis(limits.grace_millis.min(LONGEST_GRACE_MILLIS));
    let left = limits.total_millis.map(|total| {
        Duration::from_millis(total.saturating_sub(attempt.job.lifecycle.run_millis) + LATER_MILLIS)
    });
    spec.timeout = left;
    Ok(spec)
}

/// Makes what the program may write its own, and says as which user it runs.
fn own_folders(folder: &Path, job: JobId, runtime: &Runtime) -> Result<Option<u32>, Failed> {
    // Python looks for no folder again that was not there when it started.
    std::fs::create_dir_all(folder.join("tmp/.packages")).map_err(Failed::internal)?;
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    if let Runtime::Container(_) = runtime {
        // Its user is known to its image alone.
        for own in ["ml", "tmp"] {
            open_to_all(&folder.join(own)).map_err(Failed::internal)?;
        }
        return Ok(None);
    }
    let uid = UidRange::default().of_attempt(job.0.unsigned_abs());
    for own in ["ml", "tmp"] {
        hand_over(&folder.join(own), uid).map_err(Failed::internal)?;
    }
    Ok(Some(uid))
}

/// The container of an instance, if it is to run in one.
fn container(
    runtime: &Runtime,
    site: &Site,
    attempt: &Attempt,
    stage: &Stage,
    demand: &Demand,
) -> Result<Option<ContainerSpec>, Failed> {
    let Runtime::Container(image) = runtime else { return Ok(None) };
    let container = site.container(image, attempt.job.id, &stage.host());
    let has_door = matches!(container.network, ContainerNetwork::Door(_)) && demand.has_network;
    let unmet = if has_door && stage.count > 1 {
        "containers on several instances see each other on this machine's network only"
    } else if has_door && !rustix::process::geteuid().is_root() {
        "a container's way to a server that is not root is this machine's network"
    } else {
        return Ok(Some(container));
    };
    Err(Failed::client(format!("{unmet}: set `network = \"host\"` in `[docker]`")))
}

/// The server's address on a container's own loopback.
fn endpoint_inside(container: &ContainerSpec) -> Option<String> {
    match container.network {
        ContainerNetwork::Door(server) => Some(format!("http://127.0.0.1:{}", server.port())),
        ContainerNetwork::Host => None,
    }
}

/// Lets every user read and write what is in `folder`; who can't come so far is kept out above it.
pub(crate) fn open_to_all(folder: &Path) -> std::io::Result<()> {
    let mut waiting = vec![folder.to_owned()];
    while let Some(folder) = waiting.pop() {
        fs::set_permissions(&folder, Permissions::from_mode(0o777))?;
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                waiting.push(entry.path());
            } else if kind.is_file() {
                let mode = entry.metadata()?.permissions().mode();
                let mode = if mode & 0o100 == 0 { 0o666 } else { 0o777 };
                fs::set_permissions(entry.path(), Permissions::from_mode(mode))?;
            }
        }
    }
    Ok(())
}

fn usual_variables(environment: &Environment) -> Vec<(String, String)> {
    let programs = environment.folder.join("bin");
    let path = format!(
        "{}:{OWN_PACKAGES}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        programs.display()
    );
    let variables = [
        ("PATH", path.as_str()),
        ("HOME", "/tmp"),
        ("LANG", "C.UTF-8"),
        ("PYTHONUNBUFFERED", "1"),
        ("PYTHONDONTWRITEBYTECODE", "1"),
        // The environment can't be changed: what pip installs goes to a place of the job's own.
        ("PYTHONPATH", OWN_PACKAGES),
        ("PIP_TARGET", OWN_PACKAGES),
        ("PIP_NO_CACHE_DIR", "1"),
        ("PIP_DISABLE_PIP_VERSION_CHECK", "1"),
    ];
    variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

/// What points AWS clients to the server. The ARN tells the region.
pub(crate) fn variables_of(
    door: &Door<'_>,
    inside: Option<&str>,
    arn: &str,
) -> Vec<(String, String)> {
    let region = arn.split(':').nth(3).unwrap_or_default();
    let s3 = door.s3.map(|s3| ("AWS_ENDPOINT_URL_S3", s3.endpoint()));
    let variables = [
        ("AWS_ENDPOINT_URL", inside.unwrap_or(door.endpoint)),
        ("AWS_ACCESS_KEY_ID", &door.key.id),
        ("AWS_SECRET_ACCESS_KEY", &door.key.secret),
        ("AWS_REGION", region),
        ("AWS_DEFAULT_REGION", region),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ];
    let variables = variables.into_iter().chain(s3);
    variables.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// Of variables of one name, the last.
fn last_of_each(variables: Vec<(String, String)>) -> Vec<(std::ffi::OsString, std::ffi::OsString)> {
    let mut last: Vec<(String, String)> = Vec::new();
    for (name, value) in variables {
        match last.iter_mut().find(|(known, _)| *known == name) {
            Some(known) => known.1 = value,
            None => last.push((name, value)),
        }
    }
    last.into_iter().map(|(name, value)| (name.into(), value.into())).collect()
}

/// The loopback address of an instance: jobs that share this machine's network each have some of
/// their own, so that all can listen at the same ports.
fn address(JobId(job): JobId, index: usize) -> String {
    let job = job.unsigned_abs();
    format!("127.{}.{}.{}", 64 + (job >> 8) % 128, job % 256, index % 254 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instances_of_jobs_have_addresses_of_their_own() {
        let of = |job, index| address(JobId(job), index);
        let all = [of(1, 0), of(1, 1), of(2, 0), of(257, 0)];
        assert_eq!(all[0], "127.64.1.1");
        let different: std::collections::HashSet<&String> = all.iter().collect();
        assert_eq!(different.len(), all.len());
    }

    #[test]
    fn the_requests_variables_go_before_ours() {
        let given = [("A", "1"), ("B", "2"), ("A", "3")];
        let given = given.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let expected = [("A", "3"), ("B", "2")].map(|(name, value)| (name.into(), value.into()));
        assert_eq!(last_of_each(given), expected);
    }
}
