//! Archives as they should not be.

use std::io::Write;

use flate2::{Compression, write::GzEncoder};
use tar::{Builder, Header};
use tempfile::TempDir;

use super::*;

/// A tar archive of entries that `tar::Builder` itself would refuse to write.
struct Tar(Builder<Vec<u8>>);

impl Tar {
    fn new() -> Self {
        Self(Builder::new(Vec::new()))
    }

    fn entry(self, name: &[u8], kind: EntryType, link: &str, content: &[u8]) -> Self {
        self.entry_with_mode(name, kind, link, content, 0o644)
    }

    fn entry_with_mode(
        mut self,
        name: &[u8],
        kind: EntryType,
        link: &str,
        content: &[u8],
        mode: u32,
    ) -> Self {
        let mut header = Header::new_gnu();
        header.as_old_mut().name[..name.len()].copy_from_slice(name);
        header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_entry_type(kind);
        header.set_size(content.len() as u64);
        header.set_mode(mode);
        header.set_cksum();
        self.0.append(&header, content).unwrap();
        self
    }

    fn file(self, name: &str, content: &[u8]) -> Self {
        self.entry(name.as_bytes(), EntryType::Regular, "", content)
    }

    fn bytes(self) -> Vec<u8> {
        self.0.into_inner().unwrap()
    }
}

/// A folder that holds the archive and, beside it, the target.
struct Place(TempDir);

impl Place {
    fn with(archive: &[u8]) -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        fs::write(place.archive(), archive).unwrap();
        fs::create_dir(place.target()).unwrap();
        place
    }

    fn archive(&self) -> PathBuf {
        self.0.path().join("model.tar.gz")
    }

    fn target(&self) -> PathBuf {
        self.0.path().join("target")
    }

    fn extract(&self) -> Result<(), ArchiveError> {
        extract(&self.archive(), &self.target(), &ArchiveLimits::default())
    }

    /// The error; asserts that nothing was written outside the target.
    fn refusal(&self) -> String {
        let error = self.extract().unwrap_err();
        assert_eq!(fs::read_dir(self.0.path()).unwrap().count(), 2, "{error}");
        error.to_string()
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn files_and_folders_come_out() {
    let long = format!("{}/deep.txt", "x".repeat(200));
    let mut tar = Tar::new()
        .entry_with_mode(b"./code/", EntryType::Directory, "", b"", 0o2755)
        .file("./code/inference.py", b"print()")
        .file("model.bin", &vec![7; 100_000]);
    let mut header = Header::new_gnu();
    header.set_size(4);
    header.set_mode(0o644);
    tar.0.append_data(&mut header, &long, &b"deep"[..]).unwrap();
    tar.0.append_pax_extensions([("path", b"from-pax.txt".as_slice())]).unwrap();
    let tar = tar.file("ignored", b"pax").bytes();
    for bytes in [tar.clone(), gzip(&tar)] {
        let place = Place::with(&bytes);
        assert!(is_archive(&place.archive()).unwrap());
        place.extract().unwrap();
        let read = |name: &str| fs::read(place.target().join(name)).unwrap();
        assert_eq!(read("code/inference.py"), b"print()");
        assert_eq!(read("model.bin"), vec![7; 100_000]);
        assert_eq!(read(&long), b"deep");
        assert_eq!(read("from-pax.txt"), b"pax");
    }
}

#[test]
fn names_that_lead_out_are_refused() {
    for (name, reason) in [
        ("../evil", "leads out of the archive (`..`)"),
        ("a/../../evil", "leads out of the archive (`..`)"),
        ("/tmp/bessemer-evil", "is an absolute path"),
        ("", "has no name"),
        (".", "has no name"),
    ] {
        let place = Place::with(&gzip(&Tar::new().file(name, b"evil").bytes()));
        let error = place.refusal();
        assert!(error.ends_with(&format!("the entry `{name}` {reason}")), "{error}");
    }
    assert!(!Path::new("/tmp/bessemer-evil").exists());
    let not_utf8 = Tar::new().entry(b"a\xffb", EntryType::Regular, "", b"").bytes();
    assert!(Place::with(&not_utf8).refusal().ends_with("has a name that is not UTF-8"));

    let mut long = Tar::new();
    let name = [b"a\0b".as_slice(), &[b'x'; 200]].concat();
    long = long.entry(b"././@LongLink", EntryType::GNULongName, "", &name).file("short", b"");
    assert!(Place::with(&long.bytes()).refusal().ends_with("has a NUL in its name"));

    let mut pax = Tar::new();
    pax.0.append_pax_extensions([("path", b"../evil".as_slice())]).unwrap();
    let error = Place::with(&pax.file("fine", b"evil").bytes()).refusal();
    assert!(error.contains("`../evil` leads out"), "{error}");
}

#[test]
fn links_and_devices_are_refused() {
    let kinds = [
        (EntryType::Symlink, "is a symbolic link"),
        (EntryType::Link, "is a hard link"),
        (EntryType::Char, "is a device"),
        (EntryType::Block, "is a device"),
        (EntryType::Fifo, "is a pipe"),
        (EntryType::GNUSparse, "is neither a file nor a folder"),
        (EntryType::GNULongLink, "is neither a file nor a folder"),
    ];
    for (kind, reason) in kinds {
        // What would be written through a link stands after it.
        let tar = Tar::new().entry(b"way", kind, "..", b"").file("way/evil", b"evil");
        let place = Place::with(&gzip(&tar.bytes()));
        let error = place.refusal();
        assert!(error.ends_with(&format!("the entry `way` {reason}")), "{error}");
        assert_eq!(fs::read_dir(place.target()).unwrap().count(), 0);
    }
}

#[test]
fn setuid_and_doubles_are_refused() {
    let setuid = Tar::new().entry_with_mode(b"su", EntryType::Regular, "", b"", 0o4755).bytes();
    assert!(Place::with(&setuid).refusal().contains("`su` would run as another user"));
    let twice = Tar::new().file("a", b"1").file("./a", b"2").bytes();
    let place = Place::with(&twice);
    assert!(place.refusal().ends_with("`./a` is there twice"));
    assert_eq!(fs::read(place.target().join("a")).unwrap(), b"1");
}

#[test]
fn bombs_are_refused() {
    let limits = ArchiveLimits { entries: 5, bytes: 1 << 20, ratio: 10, ratio_from: 64 << 10 };
    let extract_with = |bytes: &[u8], limits: &ArchiveLimits| {
        let place = Place::with(bytes);
        let error = extract(&place.archive(), &place.target(), limits).unwrap_err();
        let written: u64 = fs::read_dir(place.target())
            .unwrap()
            .map(|entry| entry.unwrap().metadata().unwrap().len())
            .sum();
        assert!(written <= limits.bytes);
        error
    };
    let zeros = gzip(&Tar::new().file("zeros", &vec![0; 800 << 10]).bytes());
    assert!(matches!(extract_with(&zeros, &limits), ArchiveError::TooDense { most: 10, .. }));

    let large = Tar::new().file("a", &vec![1; 600 << 10]).file("b", &vec![2; 600 << 10]).bytes();
    let error = extract_with(&large, &limits);
    assert!(error.to_string().ends_with("its content is larger than 1.0 MB"), "{error}");

    let many = (0..6).fold(Tar::new(), |tar, number| tar.file(&number.to_string(), b"")).bytes();
    assert!(matches!(extract_with(&many, &limits), ArchiveError::TooMany { most: 5, .. }));

    // A header that promises more than there is, and more than fits.
    let mut lying = Tar::new().file("a", b"1234").bytes();
    let mut header = Header::new_gnu();
    header.set_path("a").unwrap();
    header.set_size(u64::MAX / 2);
    header.set_mode(0o644);
    header.set_cksum();
    lying[..512].copy_from_slice(header.as_bytes());
    assert!(matches!(extract_with(&lying, &limits), ArchiveError::TooDense { .. }));
    lying.truncate(1024);
    let roomy = ArchiveLimits { ratio: u64::MAX, ..limits.clone() };
    assert!(matches!(extract_with(&lying, &roomy), ArchiveError::TooLarge { .. }));

    let mut padded = Tar::new().file("a", b"1").bytes();
    padded.resize(padded.len() + (2 << 20), 0);
    assert!(matches!(extract_with(&gzip(&padded), &limits), ArchiveError::TooDense { .. }));

    let name = vec![b'x'; 200 << 10];
    let tar = Tar::new().entry(b"././@LongLink", EntryType::GNULongName, "", &name).bytes();
    assert!(extract_with(&tar, &limits).to_string().contains("has a name of more than 64 KiB"));
}

#[test]
fn every_cut_is_noticed() {
    let tar = Tar::new().file("a", &[1; 1000]).file("b", &[2; 1000]).bytes();
    let gzipped = gzip(&tar);
    for end in (3..gzipped.len() - 1).step_by(7) {
        let error = Place::with(&gzipped[..end]).extract().unwrap_err();
        assert!(matches!(error, ArchiveError::Damaged { .. }), "{end}: {error}");
    }
    for end in [100, 513, 600, 1536, 2047, 2560] {
        let error = Place::with(&tar[..end]).extract();
        // A tar that ends between two entries can't be told from a whole one.
        assert!(matches!(error, Err(ArchiveError::Damaged { .. })) || end % 512 == 0, "{end}");
    }
    assert!(Place::with(b"\x1f\x8bnonsense").extract().is_err());
}

#[test]
fn other_files_are_no_archives() {
    let place = Place::with(b"{\"learner\": {}}");
    assert!(!is_archive(&place.archive()).unwrap());
    let place = Place::with(b"");
    assert!(!is_archive(&place.archive()).unwrap());
    assert!(is_archive(Path::new("/nowhere/model.tar.gz")).is_err());
}
