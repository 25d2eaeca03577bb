//! In which sandbox a function runs, and with what environment.

use std::{
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
};

use bessemer_compute::{Bind, Environment, Limits, LogSink, ProcessSpec, UidRange, hand_over};

use super::Plan;

/// Where a function's code is.
const TASK: &str = "/var/task";
const LAYERS: &str = "/opt";
/// Where its output goes.
const PIPE: &str = "/run/output";
/// Processes and threads, and open files, as Lambda limits them.
const PROCESSES: u32 = 1024;
const OPEN_FILES: u32 = 1024;
/// Bytes of `/dev/shm`.
const SHARED: u64 = 16 << 20;
/// Mebibytes of memory that come with a core.
const MEMORY_OF_CORE: f64 = 1769.0;
/// Runs the client with its output going to the pipe.
const SCRIPT: &str = "exec \"$0\" -m awslambdaric \"$_HANDLER\" >/run/output 2>&1";

/// The folders of a process.
pub(super) struct Folders {
    /// Its own.
    pub(super) own: PathBuf,
    /// What the function's archive holds.
    pub(super) code: PathBuf,
    /// What its layers hold.
    pub(super) layers: Option<PathBuf>,
}

impl Folders {
    pub(super) fn pipe(&self) -> PathBuf {
        self.own.join("output")
    }
}

/// The order for a process, whose folder is made ready for user `uid`.
pub(super) fn spec(
    plan: &Plan,
    environment: &Environment,
    folders: &Folders,
    number: u64,
) -> io::Result<ProcessSpec> {
    let settings = &plan.version.settings;
    let tmp = folders.own.join("tmp");
    fs::create_dir_all(&tmp)?;
    let uid = own(&tmp, number)?;
    let log = LogSink { file: folders.own.join("sandbox.log"), max_bytes: 1 << 20 };
    let mut spec = ProcessSpec::new("/bin/sh", folders.own.join("control"), log);
    spec.args = ["-c", SCRIPT].map(OsString::from).into();
    spec.args.push(environment.python.clone().into());
    spec.env = variables(plan, environment);
    spec.cwd = TASK.into();
    spec.uid = uid;
    "lambda".clone_into(&mut spec.hostname);
    spec.hosts = vec![("127.0.0.1".to_owned(), plan.session_name.clone())];
    spec.mounts = vec![
        Bind::read_only(&folders.code, TASK),
        Bind::writable(&tmp, "/tmp"),
        Bind::writable(folders.pipe(), PIPE),
    ];
    spec.mounts.extend(folders.layers.iter().map(|layers| Bind::read_only(layers, LAYERS)));
    spec.mounts.extend(environment.mounts.iter().cloned());
    spec.network = true;
    spec.limits = Limits {
        memory: Some(u64::from(settings.memory) << 20),
        cores: Some((f64::from(settings.memory) / MEMORY_OF_CORE).max(1.0)),
        processes: Some(PROCESSES),
        open_files: Some(OPEN_FILES),
        disk: Some(u64::from(settings.tmp) << 20),
        tmp: Some(SHARED),
        ..Limits::default()
    };
    spec.ends_with_server = true;
    Ok(spec)
}

/// Gives `tmp` to a user of its own, where we are root.
fn own(tmp: &Path, number: u64) -> io::Result<Option<u32>> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    // Beside the users of jobs.
    let jobs = UidRange::default();
    let users = UidRange { first: jobs.first + jobs.count, count: jobs.count };
    let uid = users.of_attempt(number);
    hand_over(tmp, uid)?;
    Ok(Some(uid))
}

fn variables(plan: &Plan, environment: &Environment) -> Vec<(OsString, OsString)> {
    let settings = &plan.version.settings;
    let (runtime, python) = (&settings.runtime, settings.runtime.python());
    let programs = environment.folder.join("bin");
    let path = format!(
        "{}:/usr/local/bin:/usr/bin:/bin:/opt/bin:/usr/local/sbin:/usr/sbin:/sbin",
        programs.display()
    );
    let modules = format!("{TASK}:/opt/python/lib/python{python}/site-packages:/opt/python");
    let memory = settings.memory.to_string();
    let execution = format!("AWS_Lambda_{runtime}");
    let ours = [
        ("_HANDLER", settings.handler.as_str()),
        ("AWS_EXECUTION_ENV", &execution),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", &memory),
        ("AWS_LAMBDA_FUNCTION_NAME", &plan.function_name),
        ("AWS_LAMBDA_FUNCTION_VERSION", &plan.version.name()),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
        ("AWS_LAMBDA_LOG_GROUP_NAME", &plan.log_group),
        ("AWS_LAMBDA_LOG_STREAM_NAME", &plan.log_stream),
        ("AWS_LAMBDA_RUNTIME_API", &plan.session_address),
        ("LAMBDA_RUNTIME_DIR", "/var/runtime"),
        ("LAMBDA_TASK_ROOT", TASK),
        ("PYTHONDONTWRITEBYTECODE", "1"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()));
    // A function may say something else.
    let usual = [
        ("HOME", "/tmp"),
        ("LANG", "C.UTF-8"),
        ("LD_LIBRARY_PATH", "/var/task:/var/task/lib:/opt/lib"),
        ("PATH", &path),
        ("PYTHONPATH", &modules),
        ("TZ", ":UTC"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let given = settings.variables.clone();
    let mut all: std::collections::BTreeMap<String, String> = usual.into_iter().collect();
    all.extend(given);
    all.extend(plan.access.iter().cloned());
    all.extend(ours);
    all.into_iter().map(|(name, value)| (name.into(), value.into())).collect()
}
