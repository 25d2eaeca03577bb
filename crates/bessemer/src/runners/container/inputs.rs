//! Which objects an input is.

use std::io::{self, Read};

use bessemer_objects::storage::{Storage, StorageError, Stored};
use serde_json::Value;

use super::{Failed, Uri};

/// Where an input comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Source {
    pub(crate) uri: Uri,
    /// The URI is of a list of objects, and not a prefix of them.
    pub(crate) is_manifest: bool,
    /// Each instance gets a part of the objects.
    pub(crate) is_sharded: bool,
    /// The objects are gzipped, and to be unpacked.
    pub(crate) is_gzip: bool,
}

/// An object of an input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Input {
    pub(crate) uri: Uri,
    /// Its name below the input's folder.
    pub(crate) relative: String,
}

impl Input {
    /// Whether its name can be a file's.
    pub(crate) fn has_file_name(&self) -> bool {
        let is_plain = |part: &str| !matches!(part, "" | "." | "..") && !part.contains('\0');
        self.relative.split('/').all(is_plain)
    }
}

/// Inputs that are opened together.
pub(crate) const AT_ONCE: usize = 16;
/// The longest manifest that is read, in bytes.
pub(crate) const LONGEST_MANIFEST: u64 = 64 << 20;

impl Source {
    /// What a request says of an input: `source` names the objects.
    pub(crate) fn of(source: &Value, compression: &Value) -> Result<Self, Failed> {
        let is_manifest = match source["S3DataType"].as_str().unwrap_or("S3Prefix") {
            "S3Prefix" => false,
            "ManifestFile" => true,
            other => {
                return Err(Failed::client(format!(
                    "S3DataType `{other}` is not supported by Bessemer; S3Prefix and ManifestFile are"
                )));
            }
        };
        let is_sharded = source["S3DataDistributionType"] == "ShardedByS3Key";
        let uri = Uri::parse(source["S3Uri"].as_str().unwrap_or_default())?;
        Ok(Self { uri, is_manifest, is_sharded, is_gzip: *compression == "Gzip" })
    }

    /// The objects for instance `index` of `count`.
    pub(crate) fn objects(
        &self,
        storage: &Storage,
        index: usize,
        count: usize,
    ) -> Result<Vec<Input>, Failed> {
        let all = if self.is_manifest { self.listed(storage)? } else { self.found(storage)? };
        if all.is_empty() {
            return Err(Failed::client(format!(
                "Data download failed: No S3 objects found under S3 URL `{}` given in input data \
                 source. Please ensure that the bucket exists and that objects exist under that S3 \
                 prefix.",
                self.uri
            )));
        }
        let is_ours = |at: usize| !self.is_sharded || at % count.max(1) == index;
        Ok(all.into_iter().enumerate().filter(|(at, _)| is_ours(*at)).map(|(_, one)| one).collect())
    }

    /// The objects whose keys begin with the prefix.
    fn found(&self, storage: &Storage) -> Result<Vec<Input>, Failed> {
        inputs_below(storage, &self.uri)?.into_iter().map(checked).collect()
    }

    /// The objects that the manifest names: `[{"prefix": "s3://…"}, "name", …]`.
    fn listed(&self, storage: &Storage) -> Result<Vec<Input>, Failed> {
        let malformed = || {
            Failed::client(format!(
                "the manifest `{}` is malformed: it must be [{{\"prefix\": \"s3://…\"}}, \"name\", …]",
                self.uri
            ))
        };
        let object = open(storage, &self.uri)?;
        if object.size > LONGEST_MANIFEST {
            return Err(Failed::client(format!("the manifest `{}` is too large", self.uri)));
        }
        let mut text = String::new();
        io::BufReader::new(object.file).read_to_string(&mut text).map_err(|_| malformed())?;
        let names = names_of_manifest(&text).ok_or_else(malformed)?;
        let input =
            |(uri, relative): (String, String)| checked(Input { uri: Uri::parse(&uri)?, relative });
        names.into_iter().map(input).collect()
    }
}

/// The objects whose keys begin with the key of `uri`, as inputs that are not checked.
pub(crate) fn inputs_below(storage: &Storage, uri: &Uri) -> Result<Vec<Input>, Failed> {
    let keys = keys_below(storage, uri)?;
    let base = base_of(&uri.key, &keys);
    let input = |key: String| {
        let relative = key[base..].to_owned();
        Input { uri: Uri { bucket: uri.bucket.clone(), key }, relative }
    };
    Ok(keys.into_iter().map(input).collect())
}

/// The URI and the name of each object in a manifest, `[{"prefix": "s3://…"}, "name", …]`; none if it
/// is malformed.
pub(crate) fn names_of_manifest(text: &str) -> Option<Vec<(String, String)>> {
    let items: Vec<Value> = serde_json::from_str(text).ok()?;
    let (first, names) = items.split_first()?;
    let prefix = first["prefix"].as_str()?;
    // As SageMaker does: put together with nothing between them.
    let named =
        |name: &Value| name.as_str().map(|name| (format!("{prefix}{name}"), name.to_owned()));
    names.iter().map(named).collect()
}

/// Opens an object.
pub(crate) fn open(storage: &Storage, uri: &Uri) -> Result<Stored, Failed> {
    storage.open(&uri.bucket, &uri.key).map_err(|error| not_opened(&error))
}

/// Opens the objects of some inputs.
pub(crate) fn open_all(storage: &Storage, inputs: &[Input]) -> Result<Vec<Stored>, Failed> {
    let objects: Vec<_> =
        inputs.iter().map(|Input { uri, .. }| (uri.bucket.as_str(), uri.key.as_str())).collect();
    storage.open_all(&objects).map_err(|error| not_opened(&error))
}

fn not_opened(error: &StorageError) -> Failed {
    match error {
        StorageError::Missing { bucket, key } => {
            let uri = Uri { bucket: bucket.clone(), key: key.clone() };
            Failed::client(format!("Data download failed: there is no object `{uri}`"))
        }
        error => Failed::from_storage(error),
    }
}

/// The keys that begin with the key of `uri`, but for those that stand for folders.
pub(crate) fn keys_below(storage: &Storage, uri: &Uri) -> Result<Vec<String>, Failed> {
    storage.keys(&uri.bucket, &uri.key).map_err(|error| Failed::from_storage(&error))
}

/// How much of each key is not told in names: the prefix as a folder if it is one for all keys, else
/// the folder that it is in.
fn base_of(prefix: &str, keys: &[String]) -> usize {
    let is_folder = |key: &String| key[prefix.len()..].starts_with('/');
    if !prefix.is_empty() && !prefix.ends_with('/') && keys.iter().all(is_folder) {
        return prefix.len() + 1;
    }
    prefix.rfind('/').map_or(0, |slash| slash + 1)
}

/// Refuses an input whose name can't be a file's.
fn checked(input: Input) -> Result<Input, Failed> {
    if input.has_file_name() {
        return Ok(input);
    }
    Err(Failed::client(format!("the key of `{}` can't be the name of a file", input.uri)))
}

#[cfg(test)]
mod tests {
    use std::{io::Write, sync::Arc};

    use bessemer_objects::buckets::{BucketDir, BucketName};
    use serde_json::json;

    use super::*;

    fn storage(folder: &std::path::Path, objects: &[(&str, &str)]) -> Storage {
        let buckets = Arc::new(BucketDir::open(folder).unwrap());
        buckets.create_bucket(&BucketName::parse("data").unwrap()).unwrap();
        let storage = Storage::Folder(buckets);
        for (key, text) in objects {
            let mut content = storage.begin().unwrap();
            content.write_all(text.as_bytes()).unwrap();
            content.put("data", key).unwrap();
        }
        storage
    }

    fn names(source: &Source, storage: &Storage, index: usize, count: usize) -> Vec<String> {
        let inputs = source.objects(storage, index, count).unwrap();
        inputs.into_iter().map(|input| input.relative).collect()
    }

    #[test]
    fn objects_are_found_by_prefix_and_dealt_out_to_instances() {
        let folder = tempfile::tempdir().unwrap();
        let storage = storage(
            folder.path(),
            &[("in/a", ""), ("in/b/c", ""), ("in/d", ""), ("in/e/", ""), ("other", "")],
        );
        let source = |uri: &str, distribution: &str| {
            let source = json!({ "S3Uri": uri, "S3DataDistributionType": distribution });
            Source::of(&source, &Value::Null).unwrap()
        };
        let all = source("s3://data/in", "FullyReplicated");
        assert_eq!(names(&all, &storage, 1, 2), ["a", "b/c", "d"]);
        let shards = source("s3://data/in/", "ShardedByS3Key");
        assert_eq!(names(&shards, &storage, 0, 2), ["a", "d"]);
        assert_eq!(names(&shards, &storage, 1, 2), ["b/c"]);
        assert_eq!(names(&source("s3://data/in/d", ""), &storage, 0, 1), ["d"]);
        let none = source("s3://data/none", "").objects(&storage, 0, 1).unwrap_err();
        assert!(none.message.contains("`s3://data/none`"), "{}", none.message);
    }

    #[test]
    fn names_begin_below_the_prefix() {
        let keys = |keys: &[&str]| keys.iter().map(|&key| key.to_owned()).collect::<Vec<_>>();
        assert_eq!(base_of("in/", &keys(&["in/a", "in/b/c"])), 3);
        assert_eq!(base_of("in", &keys(&["in/a", "in/b/c"])), 3);
        assert_eq!(base_of("in", &keys(&["in/a", "input"])), 0);
        assert_eq!(base_of("data/part-", &keys(&["data/part-1"])), 5);
        assert_eq!(base_of("data/one.csv", &keys(&["data/one.csv"])), 5);
        assert_eq!(base_of("", &keys(&["a", "b/c"])), 0);
    }

    #[test]
    fn a_manifest_names_objects_that_stay_inside() {
        let folder = tempfile::tempdir().unwrap();
        let of = |text: &str| {
            let path = tempfile::tempdir_in(folder.path()).unwrap();
            let storage = storage(path.path(), &[("list", text), ("x/y", "")]);
            let source = json!({ "S3Uri": "s3://data/list", "S3DataType": "ManifestFile" });
            let inputs = Source::of(&source, &Value::Null).unwrap().objects(&storage, 0, 1);
            inputs.map_err(|failed| failed.message)
        };
        let inputs = of(r#"[{"prefix": "s3://data/x/"}, "y"]"#).unwrap();
        assert_eq!(inputs[0].uri.to_string(), "s3://data/x/y");
        for (text, why) in [
            (r#"[{"prefix": "s3://data/x/"}, "../y"]"#, "name of a file"),
            (r#"["y"]"#, "malformed"),
            ("{}", "malformed"),
        ] {
            let refused = of(text).unwrap_err();
            assert!(refused.contains(why), "{refused}");
        }
    }

    #[test]
    fn what_is_not_supported_is_said() {
        let source = json!({ "S3Uri": "s3://b/k", "S3DataType": "AugmentedManifestFile" });
        let refused = Source::of(&source, &Value::Null).unwrap_err().message;
        assert!(refused.contains("`AugmentedManifestFile`"), "{refused}");
    }
}
