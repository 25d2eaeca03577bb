//! Environments that uv really builds, without any network: what they need is made here.

use std::{
    fs, io,
    path::{Path, PathBuf},
    thread,
};

use bessemer_compute::{
    EnvSpec, EnvironmentError, Environments, LaunchOptions, Launcher, LogSink, ProcessSpec,
    UidRange,
};

/// uv beside the tests' Python; else it is found, or fetched.
fn uv() -> Option<PathBuf> {
    let beside = std::env::var_os("BESSEMER_TEST_PYTHON").map(PathBuf::from);
    let beside = beside.and_then(|python| Some(python.parent()?.join("uv")));
    beside.filter(|program| program.is_file())
}

/// A package with one module, as a wheel: an archive with four files.
fn wheel(folder: &Path) -> io::Result<PathBuf> {
    let script = r#"
import sys, zipfile
name = sys.argv[1] + "/greeting-1.0-py3-none-any.whl"
with zipfile.ZipFile(name, "w") as wheel:
    wheel.writestr("greeting.py", "TEXT = 'hello from the wheel'\n")
    info = "greeting-1.0.dist-info/"
    wheel.writestr(info + "METADATA", "Metadata-Version: 2.1\nName: greeting\nVersion: 1.0\n")
    wheel.writestr(info + "WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    wheel.writestr(info + "RECORD", "greeting.py,,\n" + "".join(
        info + part + ",,\n" for part in ("METADATA", "WHEEL", "RECORD")))
"#;
    let status = std::process::Command::new("python3").args(["-c", script]).arg(folder).status()?;
    assert!(status.success());
    Ok(folder.join("greeting-1.0-py3-none-any.whl"))
}

#[test]
fn an_environment_is_built_once_and_works_in_a_sandbox() {
    let folder = tempfile::tempdir().unwrap();
    let wheel = wheel(folder.path()).unwrap();
    let environments = Environments::new(folder.path().join("envs"), uv());
    let spec = EnvSpec {
        python: "/usr/bin/python3".to_owned(),
        requirements: vec![format!("greeting @ file://{}", wheel.display())],
    };
    // Four at once get one.
    let built: Vec<_> = thread::scope(|scope| {
        let all: Vec<_> = (0..4).map(|_| scope.spawn(|| environments.ensure(&spec))).collect();
        all.into_iter().map(|one| one.join().unwrap().unwrap()).collect()
    });
    assert!(built.iter().all(|one| *one == built[0]));
    let entries = fs::read_dir(folder.path().join("envs")).unwrap().flatten();
    let names: Vec<_> = entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
    assert!(!names.iter().any(|name| name.ends_with(".unfinished")), "{names:?}");
    fs::remove_file(wheel).unwrap(); // so that building again would fail
    let environment = environments.ensure(&spec).unwrap();

    let script =
        "import greeting, sys; print(greeting.TEXT, sys.prefix); open(sys.prefix + '/x', 'w')";
    let log = LogSink::new(folder.path().join("1.log"));
    let mut job = ProcessSpec::new(&environment.python, folder.path().join("control"), log);
    job.args = vec!["-c".into(), script.into()];
    job.mounts = environment.mounts.clone();
    job.uid = rustix::process::geteuid().is_root().then(|| UidRange::default().of_attempt(1));
    let program = env!("CARGO_BIN_EXE_sandbox-host").into();
    let launcher =
        Launcher::new(LaunchOptions { program, controllers: vec![], allow_missing: false });
    launcher.start(&job).unwrap().wait().unwrap();
    let text = fs::read_to_string(folder.path().join("1.log")).unwrap();
    let want = format!("hello from the wheel {}\n", environment.folder.display());
    assert!(text.contains(&want), "{text}");
    assert!(text.contains("Read-only file system"), "{text}");
}

#[test]
fn a_failed_build_says_why_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let environments = Environments::new(folder.path().join("envs"), uv());
    let requirements = vec!["greeting @ file:///nowhere/greeting-1.0-py3-none-any.whl".to_owned()];
    let spec = EnvSpec { python: "/usr/bin/python3".to_owned(), requirements };
    let error = environments.ensure(&spec).unwrap_err();
    let EnvironmentError::Failed { task, reason, output } = &error else { panic!("{error}") };
    assert_eq!(task, "install the requirements");
    assert!(!reason.is_empty() && output.contains("greeting"), "{reason}\n{output}");
    let entries = fs::read_dir(folder.path().join("envs")).unwrap().flatten();
    // Locks stay, and uv, if it had to be fetched.
    let kept = |path: &Path| {
        path.extension().is_some_and(|extension| extension == "lock")
            || path.ends_with("uv")
            || path.ends_with("uv-cache")
    };
    let left: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(|path| !kept(path)).collect();
    assert!(left.is_empty(), "{left:?}");
}
