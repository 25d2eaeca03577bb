//! An attempt whose model has code of its own: the engine and the code together in a sandbox, which
//! sees the job's data and model, the code's environment, and nothing else.

use std::{
    ffi::OsString,
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use bessemer_compute::{
    Bind, Cause, Launcher, Limits, ProcessSpec, UidRange, docker::ContainerNetwork, hand_over,
};
use bessemer_domain::FailureClass;
use bessemer_jobs::{Attempt, Control, Resources};

use super::{
    super::container::{Group, Runtime, Site, host_name, open_to_all as writable_by_all},
    Failed, Order,
    code::{self, CODE, MODEL},
    end,
    order::{LEFT, ORDER},
    program::program,
    serving,
    streams::Streams,
};

/// The job's folder, and that of the inputs, in the sandbox.
const JOB: &str = "/opt/bessemer/job";
pub(super) const INPUTS: &str = "/opt/bessemer/inputs";
/// The engine, in the sandbox.
const ENGINE: &str = "/opt/bessemer/bin/bessemer";

/// How long a sandbox may take to end: what it has not finished is of no use, and what it has appeared
/// whole.
const STOP_GRACE: Duration = Duration::from_secs(1);

/// Processes and threads of a job, at most.
const PROCESSES: u32 = 4096;

/// Where an instance's parts are, in its folder.
pub(super) fn left(host: &Path) -> PathBuf {
    host.join(LEFT)
}

/// Where the notes of an instance's sandbox are.
fn notes(host: &Path, number: u32) -> PathBuf {
    host.join(format!("control-{number}"))
}

/// What an attempt runs with, beside its order.
pub(super) struct Setting<'r> {
    pub(super) folder: &'r Path,
    pub(super) site: &'r Site,
    pub(super) runtime: &'r Runtime,
    pub(super) variables: Vec<(String, String)>,
    /// Whether it has this machine's network.
    pub(super) has_network: bool,
    /// What each instance has.
    pub(super) resources: Resources,
}

/// Makes ready what the sandbox of instance `index` sees, and says how it is to run.
pub(super) fn prepare(
    attempt: &Attempt,
    index: usize,
    (host, order, streams): (&Path, &Order, &Streams),
    setting: &Setting<'_>,
) -> Result<ProcessSpec, Failed> {
    let folder = setting.folder;
    let left = left(host);
    fs::create_dir_all(&left).map_err(Failed::infrastructure)?;
    end::forget(&left).map_err(Failed::infrastructure)?;
    order.write(host).map_err(Failed::infrastructure)?;
    let uid = rustix::process::geteuid()
        .is_root()
        .then(|| UidRange::default().of_attempt(attempt.job.id.0.unsigned_abs()));
    let (inputs, unpacked, code) =
        (folder.join("inputs"), code::unpacked(folder, index), folder.join("code"));
    if let (Some(_), Runtime::Container(_)) = (uid, setting.runtime) {
        // Its user is known to its image alone.
        for folder in [&left, &unpacked] {
            writable_by_all(folder).map_err(Failed::infrastructure)?;
        }
        for folder in [&inputs, &host.join(ORDER)] {
            open_to_all(folder).map_err(Failed::infrastructure)?;
        }
    } else if let Some(uid) = uid {
        let given = [&left, &unpacked, &code].into_iter().filter(|folder| folder.exists());
        for folder in given {
            hand_over(folder, uid).map_err(Failed::infrastructure)?;
        }
        for folder in [&inputs, &host.join(ORDER)] {
            open_to_all(folder).map_err(Failed::infrastructure)?;
        }
    }
    let engine = program(&setting.site.runs).map_err(Failed::infrastructure)?;
    let mut spec = ProcessSpec::new(ENGINE, notes(host, attempt.number), streams.sink());
    spec.args = vec![crate::commands::ATTEMPT.into(), JOB.into()];
    spec.env = environment(setting);
    spec.cwd = match (code.exists(), unpacked.join("code").is_dir()) {
        (true, _) => CODE.into(),
        (_, true) => Path::new(MODEL).join("code"),
        _ => MODEL.into(),
    };
    spec.uid = uid;
    spec.network = setting.has_network;
    spec.mounts = vec![
        Bind::read_only(engine, ENGINE),
        Bind::read_only(inputs, INPUTS),
        Bind::read_only(host.join(ORDER), Path::new(JOB).join(ORDER)),
        Bind::writable(left, Path::new(JOB).join(LEFT)),
        Bind::writable(unpacked, MODEL),
    ];
    if code.exists() {
        spec.mounts.push(Bind::read_only(code, CODE));
    }
    match setting.runtime {
        Runtime::Environment(environment) => {
            spec.mounts.extend(environment.mounts.iter().cloned());
        }
        Runtime::Container(image) => in_container(&mut spec, image, (attempt, index), setting)?,
    }
    spec.limits = Limits {
        memory: Some(setting.resources.memory),
        cores: Some(f64::from(setting.resources.cores)),
        processes: Some(PROCESSES),
        ..Limits::default()
    };
    spec.stop_grace = STOP_GRACE;
    Ok(spec)
}

/// Has the engine and the model's server run in a container.
fn in_container(
    spec: &mut ProcessSpec,
    image: &str,
    (attempt, index): (&Attempt, usize),
    setting: &Setting<'_>,
) -> Result<(), Failed> {
    let container = setting.site.container(image, attempt.job.id, &host_name(index));
    // It has no key of the server, and so no need for a way to it.
    spec.network &= container.network == ContainerNetwork::Host;
    let (command, libraries) = serving::carried(ENGINE).map_err(Failed::infrastructure)?;
    let mut words = command.into_iter();
    spec.command = words.next().unwrap_or_default();
    spec.args = words.chain(std::mem::take(&mut spec.args)).collect();
    spec.mounts.extend(libraries);
    spec.container = Some(container);
    spec.uid = None;
    Ok(())
}

/// The whole environment: ours first, so that the user's own goes before it.
fn environment(setting: &Setting<'_>) -> Vec<(OsString, OsString)> {
    const CACHE: (&str, &str) = ("BESSEMER_CACHE", "/opt/bessemer/job/left/cache");
    let users = setting.variables.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let environment = match setting.runtime {
        Runtime::Environment(environment) => environment,
        // An image has its own.
        Runtime::Container(_) => {
            let all = std::iter::once(CACHE).chain(users);
            return all.map(|(name, value)| (name.into(), value.into())).collect();
        }
    };
    let programs = environment.folder.join("bin");
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin", programs.display());
    let code = format!("{CODE}:{MODEL}/code:{MODEL}/code/lib");
    let ours = [
        ("PATH", path.as_str()),
        ("HOME", "/tmp"),
        ("TMPDIR", "/tmp"),
        ("LANG", "C.UTF-8"),
        ("PYTHONUNBUFFERED", "1"),
        ("PYTHONPATH", code.as_str()),
        ("SM_MODEL_DIR", MODEL),
        CACHE,
    ];
    let mut all: Vec<(OsString, OsString)> = Vec::new();
    for (name, value) in ours.into_iter().chain(users) {
        all.retain(|(known, _)| known != name);
        all.push((name.into(), value.into()));
    }
    all
}

/// Lets the sandbox's user read the folders below `folder`. Objects are linked there as they are, and
/// closed ones were copied.
fn open_to_all(folder: &Path) -> std::io::Result<()> {
    let mut waiting = vec![folder.to_owned()];
    while let Some(folder) = waiting.pop() {
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755))?;
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let about = entry.metadata()?;
            if about.is_dir() {
                waiting.push(entry.path());
            } else if about.mode() & 0o004 == 0 {
                // Another name of the object, whose mode is the bucket's.
                let copy = folder.join(".copy");
                fs::copy(entry.path(), &copy)?;
                fs::set_permissions(&copy, fs::Permissions::from_mode(0o644))?;
                fs::rename(&copy, entry.path())?;
            }
        }
    }
    Ok(())
}

/// Runs the orders to their ends.
pub(super) async fn run(
    launcher: &Launcher,
    specs: Vec<ProcessSpec>,
    control: &Control,
) -> Result<(), Failed> {
    let group = Group::start(launcher, specs, control).await?;
    follow(group, control).await
}

/// Waits for what an earlier server started for the instances with these folders. False: some never
/// ran, and the others have been ended.
pub(super) async fn resume(
    launcher: &Launcher,
    hosts: &[PathBuf],
    number: u32,
    control: &Control,
) -> Result<bool, Failed> {
    let notes: Vec<PathBuf> = hosts.iter().map(|host| notes(host, number)).collect();
    let Ok(group) = Group::attach(launcher, &notes) else { return Ok(false) };
    follow(group, control).await.map(|()| true)
}

/// Waits for the ends of all. How their work ended they tell by themselves; one that can't, and the
/// others with it, is tried again.
async fn follow(group: Group, control: &Control) -> Result<(), Failed> {
    let nothing_to_see = || tokio::spawn(async {});
    let ended = group.wait(control, nothing_to_see).await?;
    ended.exits.iter().try_for_each(|exit| judge(exit.cause))
}

/// What the sandbox was ended for, if it was; how its work ended it tells by itself.
fn judge(cause: Option<Cause>) -> Result<(), Failed> {
    match cause {
        Some(Cause::OutOfMemory) => Err(Failed {
            class: FailureClass::OutOfMemory,
            message: "AlgorithmError: OutOfMemory: the model's code took more memory than its \
                      instance type has"
                .to_owned(),
        }),
        Some(Cause::OutOfDisk) => Err(Failed::invalid(
            "AlgorithmError: the model's code filled the disk space that the job may take",
        )),
        _ => Ok(()),
    }
}
