//! All of it again, without root's rights.

use std::{env, fs, os::unix::fs::PermissionsExt, process::Command};

use crate::site::{PROGRAM, is_root, program};

#[test]
fn all_holds_for_an_ordinary_user() {
    if !is_root() {
        return; // then all tests run as one anyway
    }
    // Copies, where another user can read them.
    let folder =
        tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o777)).tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let copy = |from: std::path::PathBuf, name: &str| {
        let to = folder.path().join(name);
        fs::copy(from, &to).unwrap();
        fs::set_permissions(&to, fs::Permissions::from_mode(0o755)).unwrap();
        to
    };
    let host = copy(program(), "host");
    let tests = copy(env::current_exe().unwrap(), "tests");
    let output = Command::new("setpriv")
        .args(["--reuid", "65534", "--regid", "65534", "--clear-groups"])
        .arg(tests)
        .current_dir(folder.path())
        .env(PROGRAM, host)
        .env("TMPDIR", folder.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("test result: ok"), "{text}");
}
