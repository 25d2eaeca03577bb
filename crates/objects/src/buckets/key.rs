//! [`ObjectKey`]: a key, and the path that it has beneath its bucket's folder.

use std::fmt;

use super::BucketError;

/// The longest key, in bytes. S3's own limit.
pub(super) const MAX_KEY: usize = 1024;
/// The longest name of a file, in bytes.
const MAX_NAME: usize = 255;
/// The longest path that is handed to the system, with room for what is put before it.
const MAX_PATH: usize = 4000;

/// What all names start with that are ours. None of them is a key's own part.
const RESERVED: &str = ".bessemer";
/// Starts the name of a part that can't be a name by itself.
const ESCAPED: &str = ".bessemer~=";
/// An empty part, within a key.
const EMPTY: &str = ".bessemer~empty";
/// The empty part that ends a key with a slash.
const FOLDER: &str = ".bessemer~folder";
/// In a folder: the object whose key is the folder's path.
pub(super) const SELF: &str = ".bessemer~self";

/// The key of an object, which can be a file beneath its bucket's folder.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ObjectKey {
    key: String,
    path: KeyPath,
}

/// Where a key's file is, from its bucket's folder.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct KeyPath {
    /// The names of the folders, from the top.
    pub(super) folders: Vec<String>,
    /// The file's name.
    pub(super) name: String,
}

impl ObjectKey {
    /// Takes `key` if a file can be made for it.
    pub fn parse(key: &str) -> Result<Self, BucketError> {
        let too_long = |why| BucketError::KeyTooLong { key: key.to_owned(), why };
        if key.is_empty() {
            return Err(BucketError::UnusableKey { key: String::new(), why: "it is empty" });
        }
        if key.len() > MAX_KEY {
            return Err(too_long("it is longer than 1,024 bytes"));
        }
        let (folders, name) = key.rsplit_once('/').map_or((None, key), |(f, n)| (Some(f), n));
        let folders = folders.map(|folders| folders.split('/')).into_iter().flatten();
        let folders: Vec<String> = folders.map(|part| encode(part, EMPTY)).collect();
        let name = encode(name, FOLDER);
        if folders.iter().chain([&name]).any(|name| name.len() > MAX_NAME) {
            return Err(too_long("a part between slashes is longer than a file's name can be"));
        }
        let path = KeyPath { folders, name };
        if path.joined().len() > MAX_PATH {
            return Err(too_long("its path is longer than the system allows"));
        }
        Ok(Self { key: key.to_owned(), path })
    }

    /// The key.
    pub fn as_str(&self) -> &str {
        &self.key
    }

    pub(super) fn path(&self) -> &KeyPath {
        &self.path
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.key)
    }
}

impl KeyPath {
    pub(super) fn joined(&self) -> String {
        let mut path = self.folders.join("/");
        if !path.is_empty() {
            path.push('/');
        }
        path + &self.name
    }
}

/// What a name in a bucket's folder stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Name {
    /// A part of a key, as a file or as a folder.
    Part(String),
    /// An empty part, as a folder.
    Empty,
    /// The end of a key with a slash, as a file.
    Folder,
    /// The object of its folder's own key, as a file.
    Itself,
}

/// Reads a name back; `None` if no key has it.
pub(super) fn decode(name: &str) -> Option<Name> {
    match name {
        EMPTY => return Some(Name::Empty),
        FOLDER => return Some(Name::Folder),
        SELF => return Some(Name::Itself),
        _ => {}
    }
    let part = match name.strip_prefix(ESCAPED) {
        Some(escaped) => escaped.replace("%00", "\0").replace("%25", "%"),
        None => name.to_owned(),
    };
    // A name that was not written by `encode` would list a key that can't be opened.
    (encode(&part, EMPTY) == name).then_some(Name::Part(part))
}

fn encode(part: &str, empty: &'static str) -> String {
    if part.is_empty() {
        return empty.to_owned();
    }
    let plain = !matches!(part, "." | "..") && !part.starts_with(RESERVED) && !part.contains('\0');
    if plain {
        return part.to_owned();
    }
    format!("{ESCAPED}{}", part.replace('%', "%25").replace('\0', "%00"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn path_of(key: &str) -> String {
        ObjectKey::parse(key).unwrap().path().joined()
    }

    #[test]
    fn plain_keys_are_their_own_paths() {
        for key in ["a", "a/b.csv", ".hidden", "ü/ñ", "a b", "a\\b", "..a", "%2e%2e/a", "a\nb"] {
            assert_eq!(path_of(key), key);
        }
    }

    #[test]
    fn other_keys_have_paths_of_their_own() {
        assert_eq!(path_of("a/"), "a/.bessemer~folder");
        assert_eq!(path_of("/a"), ".bessemer~empty/a");
        assert_eq!(path_of("a//b"), "a/.bessemer~empty/b");
        assert_eq!(path_of("../a"), ".bessemer~=../a");
        assert_eq!(path_of("a/./b"), "a/.bessemer~=./b");
        assert_eq!(path_of("a\0%b"), ".bessemer~=a%00%25b");
        assert_eq!(path_of(".bessemer~self"), ".bessemer~=.bessemer~self");
    }

    #[test]
    fn refuses_keys_that_no_file_can_have() {
        let long = "x".repeat(256);
        let longest = "a/".repeat(513);
        let deep = "/".repeat(1024);
        for key in ["", &long, &format!("a/{long}/b"), &longest, &deep] {
            assert!(ObjectKey::parse(key).is_err(), "{key:.20}");
        }
    }

    #[test]
    fn names_that_no_key_has_are_left_out() {
        for name in [".bessemer", ".bessemer-x.tmp", ".bessemer~=plain", ".bessemer~=%41", "."] {
            assert_eq!(decode(name), None, "{name}");
        }
    }

    proptest! {
        #[test]
        fn every_path_is_read_back(key in "[a./%\0~]{1,12}|(\\.bessemer[~=]{0,2}[a-f/%]{0,6})") {
            let Ok(parsed) = ObjectKey::parse(&key) else { return Ok(()) };
            let part = |name: &String| match decode(name) {
                Some(Name::Part(part)) => part,
                Some(Name::Empty | Name::Folder) => String::new(),
                other => panic!("{name} is {other:?}"),
            };
            let path = parsed.path();
            let names: Vec<String> = path.folders.iter().chain([&path.name]).map(part).collect();
            prop_assert_eq!(names.join("/"), key);
        }

        #[test]
        fn no_path_leaves_its_folder(key in "[a./\\\\%20e\0]{1,16}") {
            let Ok(parsed) = ObjectKey::parse(&key) else { return Ok(()) };
            let path = parsed.path().joined();
            let harmless = |name: &str| !matches!(name, "" | "." | "..") && !name.contains('\0');
            prop_assert!(path.split('/').all(harmless), "{path:?}");
        }
    }
}
