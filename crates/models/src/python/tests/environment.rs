//! Environments, built by a stand-in for uv: what it is asked, how often, and what is left of a
//! build that fails.

use std::{os::unix::fs::PermissionsExt, thread};

use super::*;

/// A folder with requirements and a `uv` that notes its calls and makes an interpreter, unless
/// `script` ends it before.
fn stage(requirements: &str, script: &str) -> (tempfile::TempDir, PathBuf, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("requirements.txt");
    fs::write(&path, requirements).unwrap();
    let uv = folder.path().join("uv");
    let text = format!(
        "#!/bin/sh\necho \"$@\" >> {0}/calls\n{script}\nif [ \"$1\" = venv ]; then\n  \
         for last; do :; done\n  mkdir -p \"$last/bin\"\n  touch \"$last/bin/python\"\n  sleep 0.2\nfi\n",
        folder.path().display()
    );
    fs::write(&uv, text).unwrap();
    fs::set_permissions(&uv, fs::Permissions::from_mode(0o755)).unwrap();
    (folder, path, uv)
}

fn build_once(path: &Path, cache: &Path, uv: &Path) -> Result<PathBuf, EnvironmentError> {
    prepare_with(path, Path::new("python3"), cache, || Ok(uv.to_owned()))
}

#[test]
fn builders_wait_for_each_other_and_one_builds() {
    let (folder, path, uv) = stage("numpy\n", "");
    let cache = folder.path().join("cache");
    let built: Vec<PathBuf> = thread::scope(|scope| {
        let builders: Vec<_> =
            (0..4).map(|_| scope.spawn(|| build_once(&path, &cache, &uv).unwrap())).collect();
        builders.into_iter().map(|builder| builder.join().unwrap()).collect()
    });
    assert!(built.iter().all(|python| *python == built[0] && python.is_file()));
    let calls = fs::read_to_string(folder.path().join("calls")).unwrap();
    assert_eq!(calls.lines().count(), 2, "{calls}");
    assert!(calls.lines().nth(1).unwrap().ends_with("requirements.txt pyarrow"), "{calls}");
    fs::write(&path, "numpy\npyarrow==20\n").unwrap();
    assert_ne!(build_once(&path, &cache, &uv).unwrap(), built[0]);
    let calls = fs::read_to_string(folder.path().join("calls")).unwrap();
    assert!(calls.lines().nth(3).unwrap().ends_with("requirements.txt"), "{calls}");
}

#[test]
fn a_failed_build_tells_why_and_leaves_nothing() {
    let script = "if [ \"$1\" = pip ]; then\n  for i in $(seq 50); do echo line $i; done\n  \
                  echo '  × No solution found' >&2; exit 1\nfi";
    let (folder, path, uv) = stage("no-such-package\n", script);
    let cache = folder.path().join("cache");
    let error = build_once(&path, &cache, &uv).unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("install the requirements `"), "{text}");
    assert!(text.ends_with("requirements.txt`: No solution found"), "{text}");
    assert_eq!(error.output().unwrap().lines().count(), TAIL_LINES);
    let left = fs::read_dir(cache.join("envs")).unwrap().map(|entry| entry.unwrap().path());
    assert!(left.into_iter().all(|path| path.extension().is_some_and(|it| it == "lock")));
}

#[test]
fn pyarrow_is_found_among_requirements() {
    assert!(names_pyarrow("pandas\nPyArrow>=14 # columns\n"));
    assert!(names_pyarrow("pyarrow[x]==1"));
    assert!(!names_pyarrow("# pyarrow\npyarrow-hotfix\npandas[pyarrow]"));
}

#[test]
fn included_files_are_part_of_the_text() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("requirements.txt");
    fs::write(&path, "numpy\n-r more.txt  # the rest\n--constraint=https://x/y\n").unwrap();
    let missing = whole_text(&path, 0).unwrap_err();
    assert!(missing.to_string().ends_with("more.txt`"), "{missing}");
    fs::write(folder.path().join("more.txt"), "pyarrow\n-r requirements.txt\n").unwrap();
    assert!(names_pyarrow(&whole_text(&path, 0).unwrap()));
}

#[test]
fn the_reason_is_found_in_the_output() {
    let uv = ["Using Python 3.11", "  × No solution found when resolving dependencies:", "  ╰─▶ x"];
    assert_eq!(reason(&uv), "No solution found when resolving dependencies:");
    assert_eq!(reason(&["a", "last", ""]), "last");
    assert_eq!(reason(&[]), "it said nothing");
}

#[test]
fn a_failing_interpreter_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("requirements.txt");
    fs::write(&path, "numpy\n").unwrap();
    let error = prepare(&path, Path::new("false"), folder.path()).unwrap_err();
    assert_eq!(error.to_string(), "ask `false` for its version: it said nothing");
}
