//! The texts of a minimal `/etc`.

use std::{
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

use crate::ProcessSpec;

/// Files and folders of this machine's `/etc` that programs need and that hold no secrets.
const SHARED: &[&str] = &[
    "alternatives",
    "ca-certificates",
    "ca-certificates.conf",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "localtime",
    "mime.types",
    "pki",
    "protocols",
    "services",
    "ssl",
    "timezone",
];

/// Bytes of a file that is copied, at most.
const SMALL: u64 = 8 << 10;

/// Those of this machine's `/etc` that are seen inside.
pub(super) fn shared() -> Vec<PathBuf> {
    let known = SHARED.iter().map(|name| PathBuf::from("/etc").join(name));
    let entries = fs::read_dir("/etc").into_iter().flatten().flatten();
    let java = entries.filter(|entry| entry.file_name().as_encoded_bytes().starts_with(b"java"));
    known.chain(java.map(|entry| entry.path())).filter(|path| path.exists()).collect()
}

/// The text of a file that is sooner copied than mounted.
pub(super) fn small_file(path: &Path) -> Option<Vec<u8>> {
    let file = fs::symlink_metadata(path).ok()?;
    (file.is_file() && file.len() <= SMALL).then(|| fs::read(path).ok())?
}

/// The files that are written: name and text.
pub(super) fn written(spec: &ProcessSpec, uid: u32) -> Vec<(&'static str, String)> {
    let mut files = vec![
        ("passwd", passwd(uid)),
        ("group", group(uid)),
        ("hostname", format!("{}\n", spec.hostname)),
        ("hosts", hosts(spec)),
        ("nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n".to_owned()),
    ];
    if spec.network {
        let resolver = fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
        files.push(("resolv.conf", resolver));
    }
    files
}

fn passwd(uid: u32) -> String {
    let mut text = String::from("root:x:0:0:root:/tmp:/bin/sh\n");
    if uid != 0 {
        text += &format!("bessemer:x:{uid}:{uid}:bessemer:/tmp:/bin/sh\n");
    }
    text + "nobody:x:65534:65534:nobody:/:/bin/false\n"
}

fn group(gid: u32) -> String {
    let mut text = String::from("root:x:0:\n");
    if gid != 0 {
        text += &format!("bessemer:x:{gid}:\n");
    }
    text + "nogroup:x:65534:\n"
}

fn hosts(spec: &ProcessSpec) -> String {
    let mut text = String::from("127.0.0.1 localhost\n::1 localhost\n");
    if !spec.hosts.iter().any(|(_, name)| *name == spec.hostname) {
        text += &format!("127.0.0.1 {}\n", spec.hostname);
    }
    for (address, name) in &spec.hosts {
        writeln!(text, "{address} {name}").expect("writing to a string can't fail");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LogSink;

    #[test]
    fn hosts_are_named_once() {
        let mut spec = ProcessSpec::new("true", "/c", LogSink::new("/l"));
        spec.hosts =
            vec![("127.0.0.1".into(), "algo-1".into()), ("127.0.0.2".into(), "algo-2".into())];
        let text = hosts(&spec);
        assert_eq!(text.matches("algo-1").count(), 1);
        assert!(text.ends_with("127.0.0.2 algo-2\n"), "{text}");
    }

    #[test]
    fn the_user_has_a_name() {
        assert!(passwd(7).contains("bessemer:x:7:7:"));
        assert!(!passwd(0).contains("bessemer"));
    }
}
