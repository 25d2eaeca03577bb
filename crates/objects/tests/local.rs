//! Inputs and outputs on this machine.

#![expect(clippy::unwrap_used, reason = "a failed test may panic")]

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
};

use bessemer_domain::ExitCode;
use bessemer_objects::{Input, InputOptions, Location, Objects, ObjectsError, ObjectsErrorKind};
use proptest::prelude::*;
use tempfile::TempDir;

fn tree(files: &[&str]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for file in files {
        let path = dir.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, file).unwrap();
    }
    dir
}

/// Finds inputs given by names below `dir`.
fn find(dir: &TempDir, given: &[&str]) -> Result<Vec<Input>, ObjectsError> {
    let given: Vec<String> =
        given.iter().map(|name| format!("{}/{name}", dir.path().display())).collect();
    Objects::new().inputs(&given, &InputOptions::default())
}

fn names(dir: &TempDir, given: &[&str]) -> Vec<String> {
    find(dir, given).unwrap().into_iter().map(|input| input.relative).collect()
}

fn local(dir: &TempDir, name: &str) -> Location {
    Location::Local(dir.path().join(name))
}

#[test]
fn a_folder_stands_for_the_files_in_it() {
    let dir = tree(&[
        "in/date=2024-01-02/x.csv",
        "in/date=2024-01-01/x.csv",
        "in/a.csv",
        "in/_SUCCESS",
        "in/.hidden",
        "in/_tmp/x.csv",
        "in/date=2024-01-01/.x.csv.crc",
    ]);
    let all = ["a.csv", "date=2024-01-01/x.csv", "date=2024-01-02/x.csv"];
    assert_eq!(names(&dir, &["in"]), all);
    assert_eq!(names(&dir, &["in/"]), all);
    let input = find(&dir, &["in"]).unwrap().remove(1);
    assert_eq!(input.size, "in/date=2024-01-01/x.csv".len() as u64);
    assert!(input.version.starts_with("24-"), "{}", input.version);
    assert_eq!(input.location, local(&dir, "in/date=2024-01-01/x.csv"));
}

#[test]
fn files_come_in_the_order_given_and_once() {
    let dir = tree(&["b.csv", "a.csv", "d/c.csv"]);
    assert_eq!(names(&dir, &["b.csv", "a.csv", "d/../b.csv"]), ["b.csv", "a.csv"]);
    assert_eq!(names(&dir, &["d", "a.csv", "d/c.csv"]), ["c.csv", "a.csv"]);
}

#[test]
fn a_file_may_be_hidden_or_hold_wildcards_if_it_is_named() {
    let dir = tree(&["_x.csv", "what[1]?.csv"]);
    assert_eq!(names(&dir, &["_x.csv", "what[1]?.csv"]), ["_x.csv", "what[1]?.csv"]);
}

#[test]
fn globs_are_named_below_their_leading_folder() {
    let dir =
        tree(&["in/d=1/x.csv", "in/d=2/x.csv", "in/d=2/x.json", "in/e/x.csv", "in/d=1/_y.csv"]);
    assert_eq!(names(&dir, &["in/d=*/*.csv"]), ["d=1/x.csv", "d=2/x.csv"]);
    assert_eq!(names(&dir, &["in/d=*"]), ["d=1/x.csv", "d=2/x.csv", "d=2/x.json"]);
    assert_eq!(names(&dir, &["**/x.json"]), ["in/d=2/x.json"]);
    assert_eq!(names(&dir, &["in/d=1/*.csv"]), ["x.csv"]);
    let error = find(&dir, &["in/*.parquet"]).unwrap_err();
    assert!(error.to_string().contains("in/*.parquet`"), "{error}");
    assert_eq!(error.exit_code(), ExitCode::NotFound);
}

#[test]
fn two_files_for_one_output_are_refused() {
    let dir = tree(&["a/x.csv", "b/x.csv", "c/x.csv/y.csv"]);
    let error = find(&dir, &["a", "b"]).unwrap_err();
    assert_eq!(error.exit_code(), ExitCode::Usage);
    let text = error.to_string();
    assert!(text.contains("a/x.csv`") && text.contains("b/x.csv`"), "{text}");
    let error = find(&dir, &["a", "c"]).unwrap_err();
    assert!(error.to_string().contains("needs as a folder"), "{error}");
}

#[test]
fn what_is_not_there_is_named_with_its_neighbours() {
    let dir = tree(&["flights.csv", "empty/.keep"]);
    let error = find(&dir, &["flihgts.csv"]).unwrap_err();
    assert!(error.to_string().ends_with("the nearest names are `flights.csv`"), "{error}");
    let error = find(&dir, &["empty"]).unwrap_err();
    assert!(error.to_string().ends_with("it holds no files"), "{error}");
    let error = Objects::new().inputs(&[], &InputOptions::default()).unwrap_err();
    assert_eq!(error.exit_code(), ExitCode::Usage);
    let error = find(&dir, &["flights.csv/x"]).unwrap_err();
    assert_eq!(error.exit_code(), ExitCode::NotFound);
}

#[test]
fn links_are_followed_but_not_in_circles() {
    let dir = tree(&["in/x.csv", "far/y.csv"]);
    symlink(dir.path().join("far"), dir.path().join("in/far")).unwrap();
    assert_eq!(names(&dir, &["in"]), ["far/y.csv", "x.csv"]);
    symlink(dir.path().join("in"), dir.path().join("in/up")).unwrap();
    let error = find(&dir, &["in"]).unwrap_err();
    assert!(error.to_string().contains("leads back"), "{error}");
    fs::remove_file(dir.path().join("in/up")).unwrap();
    symlink("nowhere", dir.path().join("in/broken")).unwrap();
    assert_eq!(find(&dir, &["in"]).unwrap_err().kind(), ObjectsErrorKind::NotFound);
}

#[test]
fn the_output_below_the_input_is_left_out() {
    let dir = tree(&["in/x.csv", "in/out/x.csv"]);
    let given = [dir.path().join("in").display().to_string()];
    let options = InputOptions { exclude: vec![local(&dir, "in/out"), local(&dir, "absent")] };
    let found = Objects::new().inputs(&given, &options).unwrap();
    assert_eq!(found.len(), 1);
}

#[test]
fn a_manifest_names_files_below_its_prefix() {
    let dir = tree(&["in/b.csv", "in/d/a.csv"]);
    let write = |text: &str| fs::write(dir.path().join("m.json"), text).unwrap();
    for prefix in [format!("{}/in/", dir.path().display()), "in".to_owned()] {
        write(&format!(r#"[{{"prefix": "{prefix}"}}, "d/a.csv", "b.csv", "b.csv"]"#));
        assert_eq!(names(&dir, &["m.json"]), ["d/a.csv", "b.csv"]);
    }
    for entry in ["../m.json", "/etc/passwd", "d//a.csv", "d", "", "./b.csv", "d/a.csv\\u0000"] {
        write(&format!(r#"[{{"prefix": "in/"}}, "{entry}"]"#));
        let error = find(&dir, &["m.json"]).unwrap_err();
        assert_eq!(error.kind(), ObjectsErrorKind::Invalid, "{entry}: {error}");
    }
    write(r#"[{"prefix": "in/"}, "gone.csv"]"#);
    assert_eq!(find(&dir, &["m.json"]).unwrap_err().kind(), ObjectsErrorKind::NotFound);
    write(r#"[{"prefix": 3, "label": true}]"#);
    assert_eq!(names(&dir, &["m.json"]), ["m.json"]);
}

#[test]
fn a_local_input_is_read_in_place_unless_it_changed() {
    let dir = tree(&["x.csv"]);
    let input = find(&dir, &["x.csv"]).unwrap().remove(0);
    let copy = Objects::new().fetch(&input, dir.path()).unwrap();
    assert_eq!(copy.path(), dir.path().join("x.csv"));
    drop(copy);
    fs::write(dir.path().join("x.csv"), "longer than it was").unwrap();
    let error = Objects::new().fetch(&input, dir.path()).unwrap_err();
    assert_eq!(error.kind(), ObjectsErrorKind::Changed);
}

#[test]
fn outputs_are_published_listed_copied_and_removed() {
    let dir = tree(&["tmp/1"]);
    let objects = Objects::new();
    let place = local(&dir, "out/d=1/x.csv");
    objects.publish(&dir.path().join("tmp/1"), &place).unwrap();
    assert!(!dir.path().join("tmp/1").exists());
    objects.write(&local(&dir, "out/_SUCCESS"), b"").unwrap();
    objects.copy(&place, &local(&dir, "out/.y.csv")).unwrap();
    let listed = objects.list(&local(&dir, "out")).unwrap();
    let names: Vec<&str> = listed.iter().map(|file| file.relative.as_str()).collect();
    assert_eq!(names, [".y.csv", "_SUCCESS", "d=1/x.csv"]);
    assert_eq!(objects.read(&place).unwrap().unwrap(), b"tmp/1");
    assert!(objects.exists(&local(&dir, "out")).unwrap());
    let all: Vec<Location> = listed.into_iter().map(|file| file.location).collect();
    objects.delete_many(&all).unwrap();
    objects.delete(&place).unwrap();
    objects.delete(&local(&dir, "out/d=1")).unwrap();
    assert!(objects.list(&local(&dir, "out")).unwrap().is_empty());
    assert!(objects.list(&local(&dir, "absent")).unwrap().is_empty());
    assert_eq!(objects.read(&place).unwrap(), None);
}

#[test]
fn what_may_not_be_written_is_denied() {
    let dir = tree(&["out/x"]);
    let out = dir.path().join("out");
    fs::set_permissions(&out, fs::Permissions::from_mode(0o500)).unwrap();
    // Root may do everything.
    if fs::write(out.join("probe"), b"").is_err() {
        let error = Objects::new().write(&local(&dir, "out/y"), b"").unwrap_err();
        assert_eq!(error.exit_code(), ExitCode::Denied);
    }
    fs::set_permissions(&out, fs::Permissions::from_mode(0o700)).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_manifest_entry_leaves_the_prefix(entry in r"[a./~\\]{0,10}|\PC{0,12}") {
        let dir = tree(&["in/a", "in/a.a", "secret", "a"]);
        let text = serde_json::json!([{"prefix": "in/"}, entry]);
        fs::write(dir.path().join("m.manifest"), text.to_string()).unwrap();
        if let Ok(found) = find(&dir, &["m.manifest"]) {
            let path = found[0].location.as_local().unwrap().canonicalize().unwrap();
            prop_assert!(path.starts_with(dir.path().canonicalize().unwrap().join("in")));
            prop_assert!(!Path::new(&found[0].relative).is_absolute());
        }
    }
}
