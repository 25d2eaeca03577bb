//! S3 against a server that fails in the ways that real ones do.

#![expect(clippy::unwrap_used, reason = "a failed test may panic")]

mod fake_s3;

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use bessemer_domain::ExitCode;
use bessemer_objects::{Input, InputOptions, Location, Objects, ObjectsError, ObjectsErrorKind};
use fake_s3::{FakeS3, Fault};

fn objects(endpoint: &str) -> Objects {
    let variables = [
        ("AWS_ACCESS_KEY_ID", "id"),
        ("AWS_SECRET_ACCESS_KEY", "the-secret"),
        ("AWS_SESSION_TOKEN", "the-token"),
        ("AWS_ENDPOINT_URL", endpoint),
    ];
    Objects::with_variables(variables.map(|(name, value)| (name.to_owned(), value.to_owned())))
}

fn start() -> (FakeS3, Objects) {
    let fake = FakeS3::start();
    let objects = objects(&fake.endpoint);
    (fake, objects)
}

fn find(objects: &Objects, given: &[&str]) -> Result<Vec<Input>, ObjectsError> {
    let given: Vec<String> = given.iter().map(|text| (*text).to_owned()).collect();
    objects.inputs(&given, &InputOptions::default())
}

fn names(objects: &Objects, given: &[&str]) -> Vec<String> {
    find(objects, given).unwrap().into_iter().map(|input| input.relative).collect()
}

fn at(text: &str) -> Location {
    Location::parse(text).unwrap()
}

/// Content that differs at every part.
fn content(length: usize) -> Vec<u8> {
    (0..length).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

#[test]
fn inputs_are_found_by_name_folder_glob_and_manifest() {
    let (fake, objects) = start();
    for key in ["in/d=1/a.csv", "in/d=1/b.csv", "in/d=2/a.csv", "in/_SUCCESS", "in/_tmp/x.csv"] {
        fake.put(key, key);
    }
    fake.put("in/", "");
    fake.put("in/d=1/", "");
    fake.put("in/empty.csv", "");
    let all = ["d=1/a.csv", "d=1/b.csv", "d=2/a.csv", "empty.csv"];
    assert_eq!(names(&objects, &["s3://data/in/"]), all);
    assert_eq!(names(&objects, &["s3://data/in"]), all);
    assert_eq!(names(&objects, &["s3://data/in/d=1/b.csv"]), ["b.csv"]);
    assert_eq!(names(&objects, &["s3://data/in/**/a.csv"]), ["d=1/a.csv", "d=2/a.csv"]);
    assert_eq!(
        names(&objects, &["s3://data/in/d=1/", "s3://data/in/d=1/a.csv"]),
        ["a.csv", "b.csv"]
    );
    fake.put("m.json", r#"[{"prefix": "s3://data/in/d="}, "2/a.csv", "1/b.csv"]"#);
    assert_eq!(names(&objects, &["s3://data/m.json"]), ["2/a.csv", "1/b.csv"]);
    let exclude = vec![at("s3://data/in/d=1")];
    let given = ["s3://data/in".to_owned()];
    let rest = objects.inputs(&given, &InputOptions { exclude }).unwrap();
    assert_eq!(rest.len(), 2);
}

#[test]
fn what_is_not_there_is_named_with_its_neighbours() {
    let (fake, objects) = start();
    fake.put("flights/x.csv", "x");
    let error = find(&objects, &["s3://data/flihgts/"]).unwrap_err();
    assert!(
        error.to_string().ends_with("in `s3://data/` the nearest names are `flights`"),
        "{error}"
    );
    let error = find(&objects, &["s3://data/flights/*.parquet"]).unwrap_err();
    assert_eq!(error.exit_code(), ExitCode::NotFound);
    let error = find(&objects, &["s3://nowhere/x"]).unwrap_err();
    assert!(error.to_string().contains("there is no bucket `nowhere`"), "{error}");
    assert_eq!(objects.read(&at("s3://data/nope")).unwrap(), None);
    let error = objects.read(&at("s3://nowhere/nope")).unwrap_err();
    assert_eq!(error.kind(), ObjectsErrorKind::NotFound);
}

#[test]
fn manifests_stay_below_their_prefix() {
    let (fake, objects) = start();
    fake.put("in/a.csv", "a");
    for text in [
        r#"[{"prefix": "s3://data/in/"}, "../in/a.csv"]"#,
        r#"[{"prefix": "s3://data/in/"}, "/a.csv"]"#,
        r#"[{"prefix": "s3://data/in/"}, ""]"#,
        r#"[{"prefix": "s3://dat"}, "a/in/a.csv"]"#,
        r#"[{"prefix": "/etc/"}, "passwd"]"#,
    ] {
        fake.put("m.manifest", text);
        let error = find(&objects, &["s3://data/m.manifest"]).unwrap_err();
        assert_eq!(error.kind(), ObjectsErrorKind::Invalid, "{text}: {error}");
    }
    fake.put("m.manifest", r#"[{"prefix": "s3://data/in/"}, "b.csv"]"#);
    let error = find(&objects, &["s3://data/m.manifest"]).unwrap_err();
    assert_eq!(error.kind(), ObjectsErrorKind::NotFound);
}

#[test]
fn a_download_comes_in_parts_and_goes_away() {
    let (fake, objects) = start();
    let content = content(20_000_000);
    fake.put("big", content.clone());
    fake.put("empty", "");
    // The first part breaks off half-way, the second meets a busy server: both are mended.
    let input = find(&objects, &["s3://data/big"]).unwrap().remove(0);
    fake.fail("GET /data/big", 1, Fault::BreakOff);
    fake.fail("GET /data/big", 2, Fault::Status(503, "<Error><Code>SlowDown</Code></Error>"));
    let scratch = tempfile::tempdir().unwrap();
    let copy = objects.fetch(&input, &scratch.path().join("new")).unwrap();
    assert!(fs::read(copy.path()).unwrap() == content);
    let path = copy.path().to_owned();
    drop(copy);
    assert!(!path.exists());
    let input = find(&objects, &["s3://data/empty"]).unwrap().remove(0);
    let copy = objects.fetch(&input, scratch.path()).unwrap();
    assert_eq!(fs::read(copy.path()).unwrap(), b"");
}

#[test]
fn an_object_that_changed_is_an_error() {
    let (fake, objects) = start();
    let scratch = tempfile::tempdir().unwrap();
    fake.put("x", "before");
    let input = find(&objects, &["s3://data/x"]).unwrap().remove(0);
    fake.put("x", "after!");
    let error = objects.fetch(&input, scratch.path()).unwrap_err();
    assert_eq!(error.kind(), ObjectsErrorKind::Changed);
    assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 0);
}

fn finished_file(dir: &Path, content: &[u8]) -> std::path::PathBuf {
    let path = dir.join("finished");
    fs::write(&path, content).unwrap();
    path
}

#[test]
fn an_upload_appears_whole() {
    let (fake, objects) = start();
    let dir = tempfile::tempdir().unwrap();
    let content = content(20_000_000);
    let local = finished_file(dir.path(), &content);
    fake.fail("PUT /data/out/big?partNumber=2", 2, Fault::Status(500, ""));
    objects.publish(&local, &at("s3://data/out/big")).unwrap();
    assert!(fake.get("out/big").unwrap() == content);
    assert!(!local.exists());
    let parts = fake.log().iter().filter(|line| line.contains("partNumber")).count();
    assert_eq!(parts, 3 + 2);
    let local = finished_file(dir.path(), b"");
    objects.publish(&local, &at("s3://data/out/empty")).unwrap();
    assert_eq!(fake.get("out/empty").unwrap(), b"");
}

#[test]
fn a_failed_upload_leaves_nothing() {
    let (fake, objects) = start();
    let dir = tempfile::tempdir().unwrap();
    let local = finished_file(dir.path(), &content(20_000_000));
    let denied = "<Error><Code>AccessDenied</Code><Message>no</Message></Error>";
    fake.fail("PUT /data/out/big?partNumber=3", 1, Fault::Status(403, denied));
    let error = objects.publish(&local, &at("s3://data/out/big")).unwrap_err();
    assert_eq!(error.exit_code(), ExitCode::Denied);
    assert!(error.to_string().ends_with("refused it: AccessDenied: no"), "{error}");
    assert_eq!((fake.get("out/big"), fake.open_uploads()), (None, 0));
    assert!(local.exists());
}

#[test]
fn small_objects_are_written_listed_copied_and_removed() {
    let (fake, objects) = start();
    objects.write(&at("s3://data/out/_a/run.json"), b"{}").unwrap();
    objects.copy(&at("s3://data/out/_a/run.json"), &at("s3://data/out/b c.json")).unwrap();
    assert_eq!(objects.read(&at("s3://data/out/b c.json")).unwrap().unwrap(), b"{}");
    let listed = objects.list(&at("s3://data/out")).unwrap();
    let names: Vec<&str> = listed.iter().map(|file| file.relative.as_str()).collect();
    assert_eq!(names, ["_a/run.json", "b c.json"]);
    assert!(objects.exists(&at("s3://data/out")).unwrap());
    assert!(!objects.exists(&at("s3://data/ou")).unwrap());
    let dir = tempfile::tempdir().unwrap();
    let local = Location::Local(dir.path().join("down/x"));
    objects.copy(&at("s3://data/out/b c.json"), &local).unwrap();
    assert_eq!(objects.read(&local).unwrap().unwrap(), b"{}");
    let all: Vec<Location> = listed.into_iter().map(|file| file.location).collect();
    objects.delete_many(&all).unwrap();
    objects.delete(&all[0]).unwrap();
    assert!(objects.list(&at("s3://data/out")).unwrap().is_empty());
    assert_eq!(fake.get("out/b c.json"), None);
}

#[test]
fn refusals_tell_the_reason_but_no_secret() {
    let (fake, objects) = start();
    let body = "<Error><Code>SignatureDoesNotMatch</Code><Message>The signature is wrong</Message>\
                <CanonicalRequest>x-amz-security-token:the-token</CanonicalRequest></Error>";
    fake.fail("GET", 2, Fault::Status(403, body));
    fake.fail("HEAD", 1, Fault::Status(403, ""));
    for given in ["s3://data/x.csv", "s3://data/in/"] {
        let error = find(&objects, &[given]).unwrap_err();
        assert_eq!(error.exit_code(), ExitCode::Denied, "{error}");
        assert!(error.to_string().contains("The signature is wrong"), "{error}");
        let shown = format!("{error:?} {objects:?}");
        assert!(!shown.contains("the-token") && !shown.contains("the-secret"), "{shown}");
    }
}

#[test]
fn a_store_that_is_down_is_reported_within_seconds() {
    let objects = objects("http://127.0.0.1:1");
    let start = Instant::now();
    let error = find(&objects, &["s3://data/in/"]).unwrap_err();
    assert_eq!(error.exit_code(), ExitCode::Unreachable);
    assert!(error.to_string().contains("http://127.0.0.1:1 can't be reached"), "{error}");
    assert!(start.elapsed() < Duration::from_secs(15));
}

#[test]
fn a_busy_store_is_asked_again() {
    let (fake, objects) = start();
    fake.put("in/x.csv", "x");
    fake.fail("GET /data?", 2, Fault::Status(503, "<Error><Code>SlowDown</Code></Error>"));
    assert_eq!(names(&objects, &["s3://data/in/"]), ["x.csv"]);
}
