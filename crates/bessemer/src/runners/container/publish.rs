//! What programs left, as objects: folders as they are, or as one `tar.gz`. Each object appears whole.

use std::{
    collections::{BTreeMap, HashMap},
    io::{self, Read},
    path::Path,
};

use bessemer_objects::storage::{Content, Storage, StorageError};
use flate2::{Compression, GzBuilder};

use super::{
    Failed, Uri,
    tree::{self, Tree, TreeFile},
};

/// The same folder of several hosts as one: a file that more than one has is the first one's.
#[derive(Debug)]
pub(crate) struct Merged {
    trees: Vec<Tree>,
    files: BTreeMap<String, (usize, TreeFile)>,
}

impl Merged {
    /// `/opt/ml/<path>` of the hosts with these folders.
    pub(crate) fn of(hosts: &[impl AsRef<Path>], path: &str) -> Result<Self, Failed> {
        let mut merged = Self { trees: Vec::new(), files: BTreeMap::new() };
        for host in hosts {
            let tree = tree::of_host(host.as_ref(), path).map_err(Failed::internal)?;
            let Some(tree) = tree else { continue };
            let index = merged.trees.len();
            for file in tree.files().map_err(Failed::internal)? {
                merged.files.entry(file.path.clone()).or_insert((index, file));
            }
            merged.trees.push(tree);
        }
        Ok(merged)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Makes all files one object, an archive that depends on nothing but names and contents.
    pub(crate) fn put_archive(&self, storage: &Storage, uri: &Uri) -> Result<(), Failed> {
        let content = storage.begin().map_err(|error| Failed::from_storage(&error))?;
        let pack = || -> io::Result<Content> {
            let writer = io::BufWriter::with_capacity(256 << 10, content);
            let gzip = GzBuilder::new().mtime(0).write(writer, Compression::fast());
            let mut archive = tar::Builder::new(gzip);
            for (path, (tree, file)) in &self.files {
                let Some(content) = self.trees[*tree].file(path)? else { continue };
                let size = content.metadata()?.len();
                let mut header = tar::Header::new_gnu();
                header.set_size(size);
                header.set_mode(if file.is_executable { 0o755 } else { 0o644 });
                header.set_mtime(0);
                archive.append_data(&mut header, path, content.take(size))?;
            }
            let content = archive.into_inner()?.finish()?.into_inner();
            content.map_err(io::IntoInnerError::into_error)
        };
        let content =
            pack().map_err(|error| Failed::from_io(&format!("failed to make `{uri}`"), &error))?;
        done(content.put(&uri.bucket, &uri.key))
    }

    /// Makes each file an object below `uri`.
    pub(crate) fn put_each(&self, storage: &Storage, uri: &Uri) -> Result<(), Failed> {
        for (path, (tree, _)) in &self.files {
            put_file(storage, &self.trees[*tree], path, &uri.below(path))?;
        }
        Ok(())
    }

    /// Makes each file that is not as `seen` knows it an object below `uri`. `settled`: only what has
    /// not changed since it was last looked at, since programs may be writing the rest.
    pub(crate) fn put_changed(
        &self,
        storage: &Storage,
        uri: &Uri,
        seen: &mut Seen,
        settled: bool,
    ) -> Result<(), Failed> {
        for (path, (tree, file)) in &self.files {
            let target = uri.below(path);
            let version = (file.changed, file.size);
            let before = seen.0.get(&target.to_string()).copied();
            let mut put = before.and_then(|before| before.put);
            let is_settled = !settled || before.is_some_and(|before| before.looked_at == version);
            if put != Some(version) && is_settled {
                put_file(storage, &self.trees[*tree], path, &target)?;
                put = Some(version);
            }
            seen.0.insert(target.to_string(), Version { looked_at: version, put });
        }
        Ok(())
    }
}

/// What is known of files that are put again when they change.
#[derive(Debug, Default)]
pub(crate) struct Seen(HashMap<String, Version>);

/// Versions of a file: time of change and size.
#[derive(Debug, Clone, Copy)]
struct Version {
    /// When it was last looked at.
    looked_at: (i128, u64),
    /// When it was last put.
    put: Option<(i128, u64)>,
}

fn put_file(storage: &Storage, tree: &Tree, path: &str, target: &Uri) -> Result<(), Failed> {
    let failed = |error: io::Error| Failed::internal(format!("read `{path}`: {error}"));
    let Some(file) = tree.file(path).map_err(failed)? else { return Ok(()) };
    done(storage.put_file(&target.bucket, &target.key, &file))
}

fn done(put: Result<(), StorageError>) -> Result<(), Failed> {
    put.map_err(|error| Failed::from_storage(&error))
}
