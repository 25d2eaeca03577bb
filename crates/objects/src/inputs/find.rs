//! What each argument stands for.

use std::{fs, os::unix::fs::MetadataExt, path::Path};

use super::{manifest, not_found, pattern::Pattern, set::InputSet, walk};
use crate::{
    error::ObjectsError,
    location::Location,
    objects::Objects,
    relative,
    s3::{Remote, RemoteFile},
};

/// One file to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// Where it is.
    pub location: Location,
    /// Its name below the folder, prefix or leading folder of the pattern that was given; a lone
    /// file's own name. Components are divided by `/`; none is empty, `.` or `..`. No two inputs of
    /// a run share one.
    pub relative: String,
    /// Its length in bytes.
    pub size: u64,
    /// Changes when the content does: an object's etag, a file's length and time of change.
    pub version: String,
}

/// What [`Objects::inputs`] leaves out beside hidden names.
#[derive(Debug, Clone, Default)]
pub struct InputOptions {
    /// Folders below the given ones whose files are no inputs, such as the output's folder.
    pub exclude: Vec<Location>,
}

/// What one argument stands for.
pub(super) struct Found {
    pub(super) inputs: Vec<Input>,
    /// Whether a file may be named twice in it.
    pub(super) may_repeat: bool,
}

impl Found {
    fn one(input: Input) -> Self {
        Self { inputs: vec![input], may_repeat: false }
    }

    fn sorted(mut inputs: Vec<Input>) -> Self {
        inputs.sort_by(|a, b| a.relative.cmp(&b.relative));
        Self { inputs, may_repeat: false }
    }
}

/// See [`Objects::inputs`].
pub(crate) fn find_all(
    objects: &Objects,
    given: &[String],
    options: &InputOptions,
) -> Result<Vec<Input>, ObjectsError> {
    if given.is_empty() {
        return Err(ObjectsError::invalid("find inputs: none was named"));
    }
    let mut set = InputSet::default();
    for text in given {
        let location = Location::parse(text)?;
        let found = match &location {
            Location::Local(path) => find_local(objects, text, path, options)?,
            Location::S3 { bucket, key } => find_s3(objects, text, bucket, key, options)?,
        };
        set.extend(found.inputs, given.len() > 1 || found.may_repeat)?;
    }
    set.finish()
}

fn find_local(
    objects: &Objects,
    text: &str,
    path: &Path,
    options: &InputOptions,
) -> Result<Found, ObjectsError> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => {
            let inputs = walk::walk(path, &Pattern::everything(), options)?;
            if inputs.is_empty() {
                return Err(no_files_in(text));
            }
            Ok(Found::sorted(inputs))
        }
        Ok(metadata) if metadata.is_file() => {
            let input = local_file(path, &metadata)?;
            if let Some(manifest) = manifest::read(objects, &input)? {
                return manifest.resolve(objects);
            }
            Ok(Found::one(input))
        }
        Ok(_) => {
            let message = format!("read `{text}`: neither a file nor a folder");
            Err(ObjectsError::invalid(message).with_hint("write pipes and devices to a file first"))
        }
        Err(error) if not_found::is_missing(&error) => {
            // A path that was read from a text is one.
            let Some((root, pattern)) = Pattern::parse(path.to_str().unwrap_or_default())? else {
                return Err(not_found::local(text, path));
            };
            let root = if root.is_empty() { "." } else { root };
            if !Path::new(root).is_dir() {
                return Err(not_found::local(text, Path::new(root)));
            }
            let inputs = walk::walk(Path::new(root), &pattern, options)?;
            if inputs.is_empty() { Err(no_match(text, root)) } else { Ok(Found::sorted(inputs)) }
        }
        Err(error) => Err(ObjectsError::io("read", path, error)),
    }
}

fn find_s3(
    objects: &Objects,
    text: &str,
    bucket: &str,
    key: &str,
    options: &InputOptions,
) -> Result<Found, ObjectsError> {
    let remote = objects.remote()?;
    if let Some((root, pattern)) = Pattern::parse(key)? {
        let inputs = list_s3(&remote, bucket, root, &pattern, options)?;
        return if inputs.is_empty() {
            Err(no_match(text, &format!("s3://{bucket}/{root}")))
        } else {
            Ok(Found::sorted(inputs))
        };
    }
    let is_folder = key.is_empty() || key.ends_with('/');
    let object = if is_folder { None } else { remote.head(bucket, key)? };
    if let Some(object) = object {
        let input = s3_file(bucket, object, Location::parse(text)?.name().to_owned());
        if let Some(manifest) = manifest::read(objects, &input)? {
            return manifest.resolve(objects);
        }
        return Ok(Found::one(input));
    }
    let inputs = list_s3(&remote, bucket, key, &Pattern::everything(), options)?;
    if !inputs.is_empty() {
        return Ok(Found::sorted(inputs));
    }
    Err(not_found::s3(&remote, text, bucket, key))
}

/// The objects below `root` that `pattern` takes.
fn list_s3(
    remote: &Remote,
    bucket: &str,
    root: &str,
    pattern: &Pattern,
    options: &InputOptions,
) -> Result<Vec<Input>, ObjectsError> {
    let excluded: Vec<String> = options.exclude.iter().filter_map(|e| below(e, bucket)).collect();
    let root = folder_key(root);
    let outside = |key: &str| {
        excluded.iter().all(|folder| folder.len() <= root.len() || !key.starts_with(folder))
    };
    let takes = |name: &str| pattern.accepts(name) && outside(&format!("{root}{name}"));
    let files = remote.list(bucket, &root, &takes)?;
    let mut inputs = Vec::with_capacity(files.len());
    for file in files {
        let name = file.key.strip_prefix(&root).unwrap_or(&file.key).to_owned();
        if let Err(why) = relative::check(&name) {
            let key = file.key.escape_debug();
            let message = format!("use the name of `s3://{bucket}/{key}`: {why}");
            return Err(ObjectsError::invalid(message));
        }
        inputs.push(s3_file(bucket, file, name));
    }
    Ok(inputs)
}

/// `key` as the prefix of what lies in it.
pub(crate) fn folder_key(key: &str) -> String {
    if key.is_empty() || key.ends_with('/') { key.to_owned() } else { format!("{key}/") }
}

/// The prefix of what lies in `location`, if that is in `bucket`.
fn below(location: &Location, bucket: &str) -> Option<String> {
    match location {
        Location::S3 { bucket: other, key } if other == bucket => Some(folder_key(key)),
        _ => None,
    }
}

/// A file as an input that is known by its own name.
pub(super) fn local_file(path: &Path, metadata: &fs::Metadata) -> Result<Input, ObjectsError> {
    let name = path.file_name().and_then(|name| name.to_str());
    let relative = name.ok_or_else(|| {
        ObjectsError::invalid(format!("use the name of `{}`: it is not UTF-8", path.display()))
    })?;
    Ok(Input {
        location: Location::Local(path.to_owned()),
        relative: relative.to_owned(),
        size: metadata.len(),
        version: local_version(metadata),
    })
}

/// Changes when the file does.
pub(crate) fn local_version(metadata: &fs::Metadata) -> String {
    format!("{}-{}.{:09}", metadata.len(), metadata.mtime(), metadata.mtime_nsec())
}

pub(crate) fn s3_file(bucket: &str, file: RemoteFile, relative: String) -> Input {
    let location = Location::S3 { bucket: bucket.to_owned(), key: file.key };
    Input { location, relative, size: file.size, version: file.version }
}

fn no_files_in(text: &str) -> ObjectsError {
    ObjectsError::not_found(format!("find inputs in `{text}`: it holds no files"))
        .with_hint("files and folders whose names begin with `_` or `.` are passed over")
}

fn no_match(text: &str, root: &str) -> ObjectsError {
    let message = format!("find inputs: no file matches `{text}` (looked below `{root}`)");
    ObjectsError::not_found(message)
}
