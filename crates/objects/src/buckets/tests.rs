//! Tests of the folder of buckets as a whole: crashes, odd keys, listings against a model.

use std::{
    collections::BTreeSet,
    fs,
    io::Read,
    os::unix::fs::symlink,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

/// Lets a change to the disk fail at one of its points, as if the process ended there or as an
/// error of the disk.
#[derive(Debug, Default)]
pub(super) struct Faults {
    reached: Mutex<Vec<&'static str>>,
    /// The point that fails, counted from one; none at zero.
    failing: AtomicUsize,
    kills: AtomicBool,
    killed: AtomicBool,
}

impl Faults {
    pub(super) fn reach(&self, point: &'static str) -> Result<(), BucketError> {
        let mut reached = self.reached.lock().unwrap();
        reached.push(point);
        if self.killed.load(Ordering::SeqCst)
            || reached.len() == self.failing.load(Ordering::SeqCst)
        {
            self.killed.store(self.kills.load(Ordering::SeqCst), Ordering::SeqCst);
            return Err(BucketError::io("go on", std::io::Error::other(point)));
        }
        Ok(())
    }

    pub(super) fn is_killed(&self) -> bool {
        self.killed.load(Ordering::SeqCst)
    }

    /// Lets the point `failing` of what follows fail.
    fn arm(&self, failing: usize, kills: bool) {
        self.reached.lock().unwrap().clear();
        self.kills.store(kills, Ordering::SeqCst);
        self.failing.store(failing, Ordering::SeqCst);
    }

    /// Ends the arming; says whether the point was reached.
    fn disarm(&self) -> bool {
        let failing = self.failing.swap(0, Ordering::SeqCst);
        self.reached.lock().unwrap().len() >= failing
    }
}

struct Fixture {
    folder: TempDir,
    dir: Arc<BucketDir>,
    attributes: bool,
}

fn bucket() -> BucketName {
    BucketName::parse("data").unwrap()
}

fn key(key: &str) -> ObjectKey {
    ObjectKey::parse(key).unwrap()
}

impl Fixture {
    fn new(attributes: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let dir = Arc::new(BucketDir::open_with(folder.path(), attributes).unwrap());
        dir.create_bucket(&bucket()).unwrap();
        Self { folder, dir, attributes }
    }

    /// What a new process finds.
    fn restart(&mut self) {
        self.dir = Arc::new(BucketDir::open_with(self.folder.path(), self.attributes).unwrap());
    }

    fn path(&self, path: &str) -> std::path::PathBuf {
        self.folder.path().join("data").join(path)
    }

    fn try_put(&self, name: &str, content: &str) -> Result<ObjectInfo, BucketError> {
        let mut incoming = self.dir.receive()?;
        incoming.write(content.as_bytes())?;
        let record = Record { etag: etag_of(content), ..Record::default() };
        self.dir.put(&bucket(), &key(name), incoming, record, &Condition::None)
    }

    fn put(&self, name: &str, content: &str) {
        self.try_put(name, content).unwrap();
    }

    /// The content of an object, which must be the one that its record was written for.
    fn get(&self, name: &str) -> Option<String> {
        let mut object = match self.dir.open_object(&bucket(), &key(name)) {
            Ok(object) => object,
            Err(BucketError::NoSuchKey(_)) => return None,
            Err(error) => panic!("{name}: {error:?}"),
        };
        let mut content = String::new();
        object.file.read_to_string(&mut content).unwrap();
        if object.info.is_recorded {
            assert_eq!(object.info.record.etag, etag_of(&content), "{name}");
        }
        assert_eq!(object.info.size, content.len() as u64);
        Some(content)
    }

    fn keys(&self) -> Vec<String> {
        self.list("", None, 1000).into_iter().flatten().collect()
    }

    /// All pages of a listing.
    fn list(&self, prefix: &str, delimiter: Option<&str>, limit: usize) -> Vec<Vec<String>> {
        let mut pages = Vec::new();
        let mut after = String::new();
        loop {
            let request = ListRequest {
                prefix: prefix.to_owned(),
                delimiter: delimiter.map(str::to_owned),
                after: after.clone(),
                limit,
            };
            let page = self.dir.list(&bucket(), &request).unwrap();
            let names: Vec<String> =
                page.entries.iter().map(|entry| entry.name().to_owned()).collect();
            let last = names.last().cloned();
            pages.push(names);
            match last {
                Some(last) if page.is_truncated => after = last,
                _ => return pages,
            }
        }
    }
}

/// An ETag that says what the content must be.
fn etag_of(content: &str) -> String {
    format!("etag of {content}")
}

fn files_in(folder: &Path) -> usize {
    fs::read_dir(folder).unwrap().count()
}

/// A change, what must be there whatever happens to it, and what it is to reach.
struct Change {
    prepare: fn(&Fixture),
    run: fn(&Fixture) -> Result<(), BucketError>,
    /// Objects with what they may hold if the change failed, and what they hold if not.
    expected: &'static [(&'static str, &'static [Content], Content)],
}

/// What an object holds, if there is one.
type Content = Option<&'static str>;

const UPLOAD: &str = "0123456789abcdef";

fn upload(fixture: &Fixture) -> Result<Upload, BucketError> {
    fixture.dir.upload(&bucket(), &key("joined"), UPLOAD)
}

fn changes() -> Vec<Change> {
    vec![
        Change {
            prepare: |fixture| fixture.put("object", "old"),
            run: |fixture| fixture.try_put("object", "new, and longer").map(drop),
            expected: &[(
                "object",
                &[Some("old"), Some("new, and longer")],
                Some("new, and longer"),
            )],
        },
        Change {
            prepare: |_| {},
            run: |fixture| fixture.try_put("deep/in/folders", "new").map(drop),
            expected: &[("deep/in/folders", &[None, Some("new")], Some("new"))],
        },
        Change {
            prepare: |fixture| fixture.put("a", "file"),
            run: |fixture| fixture.try_put("a/b/c", "new").map(drop),
            expected: &[
                ("a", &[Some("file")], Some("file")),
                ("a/b/c", &[None, Some("new")], Some("new")),
            ],
        },
        Change {
            prepare: |fixture| {
                fixture.put("a/b", "gone");
                fixture.put("c", "stays");
            },
            run: |fixture| {
                fixture.dir.delete_object(&bucket(), &key("a/b"), &Condition::None).map(drop)
            },
            expected: &[
                ("a/b", &[None, Some("gone")], None),
                ("c", &[Some("stays")], Some("stays")),
            ],
        },
        Change {
            prepare: |fixture| fixture.put("object", "tagged"),
            run: |fixture| {
                let tags = vec![("name".to_owned(), "value".to_owned())];
                fixture.dir.set_tags(&bucket(), &key("object"), tags)
            },
            expected: &[("object", &[Some("tagged")], Some("tagged"))],
        },
        Change {
            prepare: |fixture| {
                fixture.put("joined", "old");
                let plan = UploadPlan {
                    bucket: "data".to_owned(),
                    key: "joined".to_owned(),
                    record: Record::default(),
                    algorithm: None,
                    full_object: false,
                };
                fixture.dir.begin_upload(UPLOAD, &plan).unwrap();
                let mut incoming = fixture.dir.receive().unwrap();
                incoming.write(b"part").unwrap();
                let upload = upload(fixture).unwrap();
                fixture.dir.put_part(&upload, 7, incoming, Record::default()).unwrap();
            },
            run: |fixture| {
                let upload = upload(fixture)?;
                let parts = fixture.dir.parts(&upload)?;
                let incoming = fixture.dir.join(&upload, &parts)?;
                let record = Record { etag: etag_of("part"), ..Record::default() };
                fixture.dir.complete(&upload, incoming, record, &Condition::None).map(drop)
            },
            expected: &[("joined", &[Some("old"), Some("part")], Some("part"))],
        },
    ]
}

#[test]
fn a_crash_or_a_disk_error_at_any_point_leaves_whole_objects() {
    for attributes in [true, false] {
        for kills in [true, false] {
            for change in changes() {
                let mut failing = 1;
                loop {
                    let mut fixture = Fixture::new(attributes);
                    (change.prepare)(&fixture);
                    fixture.dir.faults.arm(failing, kills);
                    let result = (change.run)(&fixture);
                    let was_reached = fixture.dir.faults.disarm();
                    assert_eq!(result.is_err(), was_reached, "point {failing}: {result:?}");
                    let check = |fixture: &Fixture| {
                        for (name, may_be, is) in change.expected {
                            let found = fixture.get(name);
                            let allowed = if was_reached { *may_be } else { &[*is][..] };
                            assert!(
                                allowed.contains(&found.as_deref()),
                                "{name} is {found:?} after point {failing}"
                            );
                            let is_listed = fixture.keys().iter().any(|key| key == name);
                            assert_eq!(is_listed, found.is_some());
                        }
                    };
                    if !kills {
                        check(&fixture);
                    }
                    fixture.restart();
                    assert_eq!(files_in(&fixture.folder.path().join(".bessemer/tmp")), 0);
                    check(&fixture);
                    // Whatever happened, the change can be made now.
                    if was_reached && let Err(error) = (change.run)(&fixture) {
                        assert!(matches!(error, BucketError::NoSuchUpload(_)), "{error:?}");
                    }
                    if !was_reached {
                        assert!(failing > 1, "the change has no point");
                        break;
                    }
                    failing += 1;
                }
            }
        }
    }
}

#[test]
fn content_is_synced_before_it_is_named_and_the_folder_before_it_is_acknowledged() {
    let fixture = Fixture::new(true);
    fixture.dir.faults.arm(0, false);
    fixture.put("a/b", "content");
    let reached = fixture.dir.faults.reached.lock().unwrap().clone();
    assert_eq!(reached, ["record attached", "content synced", "object named", "folder synced"]);
}

/// Keys that are no plain paths, or look as if they led elsewhere.
const ODD_KEYS: &[&str] = &[
    "..",
    ".",
    "../x",
    "../../x",
    "a/../../x",
    "a/..",
    "/",
    "//",
    "/x",
    "/etc/passwd",
    "a//b",
    "a/./b",
    "./a",
    "a/",
    "a//",
    "x\0y",
    "..\\..\\x",
    "\\\\host\\share",
    "%2e%2e/x",
    "%2e%2e%2fx",
    "..%2fx",
    "%252e%252e/x",
    "%c0%ae%c0%ae/x",
    "..;/x",
    "..\u{2044}x",
    "\u{ff0e}\u{ff0e}/x",
    "~",
    "~/x",
    "$HOME",
    "-rf",
    "*",
    "?",
    "a b",
    " a",
    "a ",
    "a\nb",
    "a\tb",
    "\u{1}",
    "\u{7f}",
    "\u{202e}abc",
    "e\u{301}",
    "\u{e9}",
    "CON",
    "nul.txt",
    "a:b",
    "C:\\x",
    "file:///x",
    ".bessemer",
    ".bessemer/tmp/x",
    ".bessemer~self",
    ".bessemer~folder",
    ".bessemer~empty",
    ".bessemer~=..",
    "a/.bessemer~self",
    "a/.bessemer~folder",
    "a/.bessemer~empty/b",
    "..a",
    "a..",
    "...",
    "a/.../b",
    ".hidden",
    "'; rm -rf /;'",
    "\"",
    "<xml>&amp;",
    "😀/😀",
];

#[test]
fn odd_keys_are_objects_of_their_own_and_never_leave_the_bucket() {
    for attributes in [true, false] {
        let fixture = Fixture::new(attributes);
        let root = fixture.folder.path().join("data");
        let outside = || {
            let mut names: Vec<_> = fs::read_dir(fixture.folder.path())
                .unwrap()
                .map(|entry| entry.unwrap().file_name())
                .collect();
            names.sort();
            names
        };
        let before = outside();
        for name in ODD_KEYS {
            fixture.put(name, name);
        }
        assert_eq!(outside(), before);
        assert!(root.is_dir());
        for name in ODD_KEYS {
            assert_eq!(fixture.get(name).as_deref(), Some(*name));
        }
        let mut expected: Vec<&str> = ODD_KEYS.to_vec();
        expected.sort_unstable();
        assert_eq!(fixture.keys(), expected);
        for name in ODD_KEYS {
            assert!(fixture.dir.delete_object(&bucket(), &key(name), &Condition::None).unwrap());
            assert_eq!(fixture.get(name), None);
        }
        assert_eq!(fixture.keys(), Vec::<String>::new());
        fixture.dir.delete_bucket(&bucket()).unwrap();
        assert!(!root.exists());
    }
}

#[test]
fn links_lead_nowhere() {
    let fixture = Fixture::new(true);
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("secret"), "secret").unwrap();
    symlink(outside.path(), fixture.path("out")).unwrap();
    symlink(outside.path().join("secret"), fixture.path("leaf")).unwrap();
    symlink(outside.path(), fixture.folder.path().join("linked")).unwrap();

    assert_eq!(fixture.get("out/secret"), None);
    assert_eq!(fixture.get("leaf"), None);
    assert_eq!(fixture.keys(), Vec::<String>::new());
    assert!(fixture.try_put("out/new", "x").is_err());
    assert!(!outside.path().join("new").exists());
    let linked = BucketName::parse("linked").unwrap();
    assert!(fixture.dir.find_bucket(&linked).is_err());
    assert_eq!(fixture.dir.buckets().unwrap().len(), 1);

    // A write takes the link's place and leaves alone what it led to.
    fixture.put("leaf", "mine");
    assert_eq!(fixture.get("leaf").as_deref(), Some("mine"));
    assert_eq!(fs::read_to_string(outside.path().join("secret")).unwrap(), "secret");
    fixture.dir.delete_object(&bucket(), &key("out/secret"), &Condition::None).unwrap();
    assert!(outside.path().join("secret").exists());
}

#[test]
fn a_file_put_in_place_by_hand_is_an_object() {
    for attributes in [true, false] {
        let fixture = Fixture::new(attributes);
        fs::create_dir(fixture.path("by")).unwrap();
        fs::write(fixture.path("by/hand"), "hello").unwrap();
        assert_eq!(fixture.keys(), ["by/hand"]);
        assert_eq!(fixture.get("by/hand").as_deref(), Some("hello"));
        let info = |name| fixture.dir.open_object(&bucket(), &key(name)).unwrap().info;
        let by_hand = info("by/hand");
        assert!(!by_hand.is_recorded && by_hand.record.etag.contains('-'));
        assert_eq!(info("by/hand"), by_hand);

        // One that is written over by hand has lost what was known of it.
        fixture.put("object", "from the service");
        assert!(info("object").is_recorded);
        fs::write(fixture.path("object"), "by hand").unwrap();
        assert!(!info("object").is_recorded);
        assert_eq!(fixture.get("object").as_deref(), Some("by hand"));
    }
}

#[test]
fn records_of_any_size_are_kept() {
    for attributes in [true, false] {
        let mut fixture = Fixture::new(attributes);
        for size in [10, 3_000, 100_000] {
            fixture.put("object", "content");
            let tags = vec![("name".to_owned(), "x".repeat(size))];
            fixture.dir.set_tags(&bucket(), &key("object"), tags.clone()).unwrap();
            fixture.restart();
            let object = fixture.dir.open_object(&bucket(), &key("object")).unwrap();
            assert_eq!(object.info.record.tags, tags);
            fixture.dir.set_tags(&bucket(), &key("object"), Vec::new()).unwrap();
            let object = fixture.dir.open_object(&bucket(), &key("object")).unwrap();
            assert!(object.info.record.tags.is_empty() && object.info.is_recorded);
        }
        fixture.dir.delete_object(&bucket(), &key("object"), &Condition::None).unwrap();
        assert_eq!(files_in(&fixture.folder.path().join(".bessemer/records")), 0);
    }
}

#[test]
fn a_condition_lets_one_of_many_writers_through() {
    let fixture = Fixture::new(true);
    let written = AtomicUsize::new(0);
    thread::scope(|scope| {
        for writer in 0..8 {
            let (fixture, written) = (&fixture, &written);
            scope.spawn(move || {
                let mut incoming = fixture.dir.receive().unwrap();
                incoming.write(format!("{writer}").as_bytes()).unwrap();
                let record = Record { etag: etag_of(&format!("{writer}")), ..Record::default() };
                let condition = Condition::Absent;
                match fixture.dir.put(&bucket(), &key("once"), incoming, record, &condition) {
                    Ok(_) => drop(written.fetch_add(1, Ordering::SeqCst)),
                    Err(BucketError::ConditionFailed(_)) => {}
                    Err(error) => panic!("{error:?}"),
                }
            });
        }
    });
    assert_eq!(written.load(Ordering::SeqCst), 1);
}

#[test]
fn writers_readers_and_lists_at_once_see_whole_objects() {
    for attributes in [true, false] {
        let fixture = Fixture::new(attributes);
        fixture.put("x/stays", "stays");
        fixture.put("a", "0");
        let is_done = AtomicBool::new(false);
        thread::scope(|scope| {
            let writers: Vec<_> = (0..3)
                .map(|writer| {
                    let fixture = &fixture;
                    scope.spawn(move || {
                        for round in 0..40 {
                            fixture.put("a", &"v".repeat(writer * 50 + round));
                            let name = format!("a/{writer}");
                            fixture.put(&name, &name);
                            fixture
                                .dir
                                .delete_object(&bucket(), &key(&name), &Condition::None)
                                .unwrap();
                        }
                    })
                })
                .collect();
            for _ in 0..2 {
                let (fixture, is_done) = (&fixture, &is_done);
                scope.spawn(move || {
                    while !is_done.load(Ordering::SeqCst) {
                        assert!(fixture.get("a").is_some());
                        let keys = fixture.keys();
                        assert!(keys.contains(&"a".to_owned()), "{keys:?}");
                        assert!(keys.contains(&"x/stays".to_owned()), "{keys:?}");
                        assert!(keys.is_sorted(), "{keys:?}");
                    }
                });
            }
            for writer in writers {
                writer.join().unwrap();
            }
            is_done.store(true, Ordering::SeqCst);
        });
        assert_eq!(fixture.keys(), ["a", "x/stays"]);
        let left = if attributes { 0 } else { 2 };
        assert_eq!(files_in(&fixture.folder.path().join(".bessemer/records")), left);
    }
}

#[test]
fn a_reader_keeps_the_version_that_it_opened() {
    let fixture = Fixture::new(true);
    fixture.put("object", "first");
    let mut object = fixture.dir.open_object(&bucket(), &key("object")).unwrap();
    fixture.put("object", "second");
    fixture.dir.delete_object(&bucket(), &key("object"), &Condition::None).unwrap();
    let mut content = String::new();
    object.file.read_to_string(&mut content).unwrap();
    assert_eq!((content.as_str(), object.info.record.etag), ("first", etag_of("first")));
}

/// What S3 lists of `keys`.
fn model(keys: &BTreeSet<String>, prefix: &str, delimiter: Option<&str>) -> Vec<String> {
    let mut entries = BTreeSet::new();
    for key in keys {
        let Some(rest) = key.strip_prefix(prefix) else { continue };
        let end = delimiter.and_then(|delimiter| Some(rest.find(delimiter)? + delimiter.len()));
        let entry = end.map_or(key.as_str(), |end| &key[..prefix.len() + end]);
        entries.insert(entry.to_owned());
    }
    entries.into_iter().collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn listings_are_what_a_sorted_set_of_keys_would_give(
        keys in prop::collection::btree_set("[ab]{1,2}([-/.0][ab/]{0,3}){0,3}", 0..12),
        prefix in "[ab]{0,2}[-/]{0,1}[ab]{0,1}",
        delimiter in prop::option::of("[/b-]{1,2}"),
        limit in 1usize..5,
    ) {
        let fixture = Fixture::new(true);
        for key in &keys {
            fixture.put(key, key);
        }
        let pages = fixture.list(&prefix, delimiter.as_deref(), limit);
        let (last, full) = pages.split_last().unwrap();
        prop_assert!(full.iter().all(|page| page.len() == limit) && last.len() <= limit);
        let found: Vec<String> = pages.concat();
        prop_assert_eq!(found, model(&keys, &prefix, delimiter.as_deref()));
        for after in &keys {
            let request =
                ListRequest { after: after.clone(), limit: 1000, ..ListRequest::default() };
            let page = fixture.dir.list(&bucket(), &request).unwrap();
            let rest: Vec<&String> = keys.iter().filter(|key| *key > after).collect();
            let found: Vec<&str> = page.entries.iter().map(Entry::name).collect();
            prop_assert_eq!(found, rest);
        }
    }
}

fn part(number: u32, size: u64) -> Part {
    let record = Record { etag: format!("{number}"), ..Record::default() };
    let modified = std::time::UNIX_EPOCH;
    Part { number, info: ObjectInfo { size, modified, record, is_recorded: true } }
}

#[test]
fn parts_are_chosen_by_number_and_etag_in_order() {
    let present = [part(1, MIN_PART_SIZE), part(2, MIN_PART_SIZE), part(9, 1)];
    let wanted = |numbers: &[u32]| -> Vec<(u32, String)> {
        numbers.iter().map(|number| (*number, number.to_string())).collect()
    };
    let chosen = completion(&present, &wanted(&[1, 9])).unwrap();
    assert_eq!(chosen.iter().map(|part| part.number).collect::<Vec<_>>(), [1, 9]);
    assert!(matches!(
        completion(&present, &wanted(&[2, 1])),
        Err(BucketError::InvalidPartOrder(1))
    ));
    assert!(matches!(
        completion(&present, &wanted(&[1, 1])),
        Err(BucketError::InvalidPartOrder(1))
    ));
    assert!(matches!(completion(&present, &wanted(&[1, 3])), Err(BucketError::InvalidPart(3))));
    let other = [(1, "other".to_owned())];
    assert!(matches!(completion(&present, &other), Err(BucketError::InvalidPart(1))));
    let small = [part(1, 5), part(2, 5)];
    assert!(matches!(
        completion(&small, &wanted(&[1, 2])),
        Err(BucketError::PartTooSmall { number: 1, size: 5 })
    ));
    assert!(completion(&small, &wanted(&[2])).is_ok());
}
