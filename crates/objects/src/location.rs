//! Where something lives: a path on this machine or a key of a bucket.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use url::Url;

use crate::error::ObjectsError;

/// A file or folder on this machine, or an object or prefix on S3.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Location {
    /// A path, absolute or relative to the current directory.
    Local(PathBuf),
    /// `s3://bucket/key`. A key that ends with `/`, or an empty one, names a folder.
    S3 {
        /// The bucket's name.
        bucket: String,
        /// The key, without a leading `/`.
        key: String,
    },
}

impl Location {
    /// Reads a location as people write it: a path, `file:///path`, `s3://bucket/key` (`s3a://` and
    /// `s3n://` mean the same).
    pub fn parse(text: &str) -> Result<Self, ObjectsError> {
        if text.is_empty() {
            return Err(ObjectsError::invalid(
                "read an empty location: give a path or an s3:// URI",
            ));
        }
        if text.contains('\0') {
            let message =
                format!("read location `{}`: it holds a NUL character", text.escape_debug());
            return Err(ObjectsError::invalid(message));
        }
        match text.split_once("://") {
            Some(("s3" | "s3a" | "s3n", rest)) => parse_s3(text, rest),
            Some(("file", _)) => parse_file_url(text),
            Some((scheme, _)) if is_scheme(scheme) => {
                let message = format!("read location `{text}`: `{scheme}://` is not supported");
                Err(ObjectsError::invalid(message)
                    .with_hint("give a local path or s3://bucket/key"))
            }
            _ => Ok(Self::Local(PathBuf::from(text))),
        }
    }

    /// The location of `relative` (components divided by `/`) below this one.
    #[must_use]
    pub fn join(&self, relative: &str) -> Self {
        let relative = relative.trim_start_matches('/');
        match self {
            Self::Local(path) => Self::Local(path.join(relative)),
            Self::S3 { bucket, key } => {
                let slash = if key.is_empty() || key.ends_with('/') { "" } else { "/" };
                Self::S3 { bucket: bucket.clone(), key: format!("{key}{slash}{relative}") }
            }
        }
    }

    /// Whether it is on this machine.
    #[must_use]
    pub fn is_local(&self) -> bool {
        matches!(self, Self::Local(_))
    }

    /// The path, if it is on this machine.
    #[must_use]
    pub fn as_local(&self) -> Option<&Path> {
        match self {
            Self::Local(path) => Some(path),
            Self::S3 { .. } => None,
        }
    }

    /// The last component; the bucket's name for a whole bucket; empty where there is none (`/`).
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Local(path) => path.file_name().and_then(|name| name.to_str()).unwrap_or(""),
            Self::S3 { bucket, key } if key.is_empty() => bucket,
            Self::S3 { key, .. } => {
                let key = key.trim_end_matches('/');
                key.rsplit_once('/').map_or(key, |(_, name)| name)
            }
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(path) => write!(f, "{}", path.display()),
            Self::S3 { bucket, key } => write!(f, "s3://{bucket}/{key}"),
        }
    }
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
}

fn parse_file_url(text: &str) -> Result<Location, ObjectsError> {
    let path = Url::parse(text).ok().and_then(|url| url.to_file_path().ok());
    path.map(Location::Local).ok_or_else(|| {
        let message = format!("read location `{text}`: not a file:// URL of this machine");
        ObjectsError::invalid(message).with_hint("write file:///path/to/data, or just the path")
    })
}

fn parse_s3(text: &str, rest: &str) -> Result<Location, ObjectsError> {
    let refuse = |why: &str| {
        ObjectsError::invalid(format!("read location `{}`: {why}", text.escape_debug()))
            .with_hint("write s3://bucket/key")
    };
    let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
    if bucket.is_empty() {
        return Err(refuse("it names no bucket"));
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if !bucket.chars().all(allowed) || bucket.starts_with('.') {
        return Err(refuse("its bucket is not a name that S3 allows"));
    }
    let folder = key.strip_suffix('/').unwrap_or(key);
    if key.starts_with('/') || (!folder.is_empty() && folder.split('/').any(str::is_empty)) {
        return Err(refuse("its key has an empty component"));
    }
    if folder.split('/').any(|component| matches!(component, "." | "..")) {
        return Err(refuse("its key has the component `.` or `..`"));
    }
    if key.contains(|c: char| c.is_ascii_control()) {
        return Err(refuse("its key holds a control character"));
    }
    Ok(Location::S3 { bucket: bucket.to_owned(), key: key.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s3(bucket: &str, key: &str) -> Location {
        Location::S3 { bucket: bucket.into(), key: key.into() }
    }

    #[test]
    fn locations_are_read_as_people_write_them() {
        let read = |text| Location::parse(text).expect(text);
        assert_eq!(read("data/x.parquet"), Location::Local("data/x.parquet".into()));
        assert_eq!(read("file:///tmp/a%20b"), Location::Local("/tmp/a b".into()));
        assert_eq!(read("s3://b"), s3("b", ""));
        assert_eq!(read("s3://b/"), s3("b", ""));
        assert_eq!(read("s3a://my.bucket-1/p/x y.parquet"), s3("my.bucket-1", "p/x y.parquet"));
        assert_eq!(read("s3://b/p/"), s3("b", "p/"));
        assert_eq!(read("s3://b/date=2024-*/[ab]?.csv"), s3("b", "date=2024-*/[ab]?.csv"));
        assert_eq!(read("odd name://x"), Location::Local("odd name://x".into()));
    }

    #[test]
    fn malformed_locations_are_usage_errors() {
        let wrong = [
            "",
            "s3://",
            "s3:///k",
            "s3://b//k",
            "s3://b/a//k",
            "s3://b/../k",
            "s3://b/a/./k",
            "s3://b/a\nb",
            "s3://b*/k",
            "gs://b/k",
            "https://host/x",
            "file://host/x",
            "a\0b",
        ];
        for text in wrong {
            let error = Location::parse(text).expect_err(text);
            assert_eq!(error.exit_code(), bessemer_domain::ExitCode::Usage, "{text:?}");
        }
    }

    #[test]
    fn a_location_joins_shows_and_names_itself() {
        let folder = Location::parse("s3://b/p").unwrap();
        assert_eq!(folder.join("q/x.csv").to_string(), "s3://b/p/q/x.csv");
        assert_eq!(Location::parse("s3://b/p/").unwrap().join("x").to_string(), "s3://b/p/x");
        assert_eq!(Location::parse("s3://b").unwrap().join("x").to_string(), "s3://b/x");
        assert_eq!(Location::parse("out").unwrap().join("/x").to_string(), "out/x");
        assert_eq!(folder.join("q/x.csv").name(), "x.csv");
        assert_eq!(Location::parse("s3://b/p/").unwrap().name(), "p");
        assert_eq!(Location::parse("s3://b").unwrap().name(), "b");
        assert_eq!(Location::parse("out/x.csv").unwrap().name(), "x.csv");
        assert_eq!(Location::parse("/").unwrap().name(), "");
    }
}
