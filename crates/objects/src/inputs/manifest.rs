//! Manifests of `SageMaker`: `[{"prefix": "s3://bucket/folder/"}, "a.parquet", "b/c.parquet"]`.
//!
//! A manifest is told by its content, since a `.json` or `.manifest` file is more often data. It is
//! not trusted: what it names stays below its prefix.

use std::fs;

use serde::Deserialize;

use super::find::{Found, Input, local_file, s3_file};
use crate::{error::ObjectsError, location::Location, objects::Objects, relative};

/// The longest manifest that is read, in bytes.
const LONGEST: u64 = 64 << 20;
/// How much of a file is looked at to tell whether it is a manifest.
const LOOKED_AT: u64 = 4 << 10;

/// A manifest that was read.
pub(super) struct Manifest {
    /// Where the manifest itself is.
    at: Location,
    prefix: String,
    entries: Vec<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Item {
    Entry(String),
    Prefix(Prefix),
    Other(serde::de::IgnoredAny),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Prefix {
    prefix: String,
}

/// Reads `input` as a manifest; `None` if it is something else.
pub(super) fn read(objects: &Objects, input: &Input) -> Result<Option<Manifest>, ObjectsError> {
    let extension = input.relative.rsplit_once('.').map(|(_, extension)| extension.to_lowercase());
    if !matches!(extension.as_deref(), Some("json" | "manifest")) {
        return Ok(None);
    }
    let head = objects.read_head(input, LOOKED_AT)?;
    if !looks_like_manifest(&head) {
        return Ok(None);
    }
    if input.size > LONGEST {
        let message = format!("read manifest `{}`: it is longer than 64 MiB", input.location);
        return Err(ObjectsError::invalid(message).with_hint("divide it into several"));
    }
    let text = objects.read_head(input, LONGEST)?;
    parse(&input.location, &text)
}

/// Whether the text begins with `[`, `{`, `"prefix"`.
fn looks_like_manifest(head: &[u8]) -> bool {
    let mut rest = head.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(head).trim_ascii_start();
    for token in [&b"["[..], b"{", b"\"prefix\"", b":"] {
        let Some(after) = rest.strip_prefix(token) else { return false };
        rest = after.trim_ascii_start();
    }
    true
}

fn parse(at: &Location, text: &[u8]) -> Result<Option<Manifest>, ObjectsError> {
    let refuse = |why: String| ObjectsError::invalid(format!("read manifest `{at}`: {why}"));
    let text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text);
    let items: Vec<Item> =
        serde_json::from_slice(text).map_err(|error| refuse(error.to_string()))?;
    let mut items = items.into_iter();
    let Some(Item::Prefix(Prefix { prefix })) = items.next() else { return Ok(None) };
    let mut entries = Vec::with_capacity(items.len());
    for (index, item) in items.enumerate() {
        match item {
            Item::Entry(entry) => entries.push(entry),
            // Two objects in a row: an array of records that happen to have a `prefix`.
            Item::Prefix(_) if index == 0 => return Ok(None),
            _ => return Err(refuse(format!("entry {} is not a string", index + 1))),
        }
    }
    if entries.is_empty() {
        return Err(refuse("it names no files".to_owned()));
    }
    Ok(Some(Manifest { at: at.clone(), prefix, entries }))
}

impl Manifest {
    /// The files that the manifest names, in its order.
    pub(super) fn resolve(&self, objects: &Objects) -> Result<Found, ObjectsError> {
        for entry in &self.entries {
            if let Err(why) = relative::check(entry) {
                let entry = entry.escape_debug();
                return Err(self.refuse(&format!("`{entry}` is no name below the prefix: {why}")));
            }
        }
        let inputs = match Location::parse(&self.prefix) {
            Err(error) => return Err(self.refuse(&format!("its prefix is wrong: {error}"))),
            Ok(Location::Local(prefix)) => match &self.at {
                Location::Local(at) => self.local_files(&at.with_file_name("").join(prefix))?,
                Location::S3 { .. } => {
                    return Err(
                        self.refuse("it is on S3, but its prefix is a path on this machine")
                    );
                }
            },
            Ok(Location::S3 { .. }) => self.s3_files(objects)?,
        };
        Ok(Found { inputs, may_repeat: true })
    }

    /// A relative prefix starts at the manifest's folder.
    fn local_files(&self, prefix: &std::path::Path) -> Result<Vec<Input>, ObjectsError> {
        let mut inputs = Vec::with_capacity(self.entries.len());
        for entry in &self.entries {
            let path = prefix.join(entry);
            let metadata = fs::metadata(&path).map_err(|source| {
                let action = format!("read, for manifest `{}`,", self.at);
                ObjectsError::io(&action, &path, source)
            })?;
            if !metadata.is_file() {
                return Err(self.refuse(&format!("`{entry}` is not a file")));
            }
            inputs.push(Input { relative: entry.clone(), ..local_file(&path, &metadata)? });
        }
        Ok(inputs)
    }

    /// As with `SageMaker`, prefix and entry are put together with nothing between them.
    fn s3_files(&self, objects: &Objects) -> Result<Vec<Input>, ObjectsError> {
        let Location::S3 { bucket, .. } = Location::parse(&self.prefix)? else { return Ok(vec![]) };
        let mut keys = Vec::with_capacity(self.entries.len());
        for entry in &self.entries {
            let uri = format!("{}{entry}", self.prefix);
            match Location::parse(&uri) {
                // `s3://buck` + `et/key` would leave the bucket's name to the entries.
                Ok(Location::S3 { bucket: of_entry, key }) if of_entry == bucket => keys.push(key),
                _ => return Err(self.refuse(&format!("`{uri}` is no object of bucket `{bucket}`"))),
            }
        }
        let files = objects.remote()?.head_many(&bucket, &keys)?;
        let mut inputs = Vec::with_capacity(files.len());
        for ((entry, key), file) in self.entries.iter().zip(keys).zip(files) {
            let file = file.ok_or_else(|| {
                let message = format!(
                    "find `s3://{bucket}/{key}`, which manifest `{}` names: it is not there",
                    self.at
                );
                ObjectsError::not_found(message)
            })?;
            inputs.push(s3_file(&bucket, file, entry.clone()));
        }
        Ok(inputs)
    }

    fn refuse(&self, why: &str) -> ObjectsError {
        ObjectsError::invalid(format!("read manifest `{}`: {why}", self.at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_text(text: &str) -> Result<Option<Manifest>, ObjectsError> {
        if !looks_like_manifest(text.as_bytes()) {
            return Ok(None);
        }
        parse(&Location::Local("m.json".into()), text.as_bytes())
    }

    #[test]
    fn a_manifest_is_told_by_its_content() {
        let text = "\u{feff}\n[ {\"prefix\" : \"s3://b/p/\"},\n \"a\", \"b/c\"]";
        let manifest = parse_text(text).unwrap().expect("a manifest");
        assert_eq!((manifest.prefix.as_str(), manifest.entries.len()), ("s3://b/p/", 2));
        for data in [
            "",
            "[]",
            "[1, 2]",
            r#"{"prefix": "s3://b/p/"}"#,
            r#"{"source-ref": "s3://b/k"}"#,
            r#"[{"prefix": "x", "value": 1}, {"prefix": "y", "value": 2}]"#,
            r#"[{"prefix": "x"}, {"prefix": "y"}]"#,
            r#"[{"prefix": 1}]"#,
        ] {
            assert!(parse_text(data).unwrap().is_none(), "{data}");
        }
    }

    #[test]
    fn a_broken_manifest_is_a_usage_error() {
        let deep = format!(r#"[{{"prefix": "s3://b/"}}, {}"#, "[".repeat(10_000));
        for text in [
            r#"[{"prefix": "s3://b/p/"}"#,
            r#"[{"prefix": "s3://b/p/"}]"#,
            r#"[{"prefix": "s3://b/p/"}, "a", 7]"#,
            deep.as_str(),
        ] {
            let error = parse_text(text).err().expect(text);
            assert_eq!(error.kind(), crate::ObjectsErrorKind::Invalid, "{error}");
        }
    }
}
