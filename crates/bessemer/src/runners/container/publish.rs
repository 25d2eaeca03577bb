//! What programs left, as objects: folders as they are, or as one `tar.gz`. Each object appears whole.

use std::{
    collections::{BTreeMap, HashMap},
    io::{self, Read, Write},
    path::Path,
    sync::Arc,
};

use bessemer_objects::buckets::{BucketDir, Condition, Incoming, Record};
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
    pub(crate) fn put_archive(&self, buckets: &Arc<BucketDir>, uri: &Uri) -> Result<(), Failed> {
        let incoming = buckets.receive().map_err(|error| Failed::from_bucket(&error))?;
        let pack = || -> io::Result<Incoming> {
            let writer = io::BufWriter::with_capacity(256 << 10, Content(incoming));
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
            content.map(|Content(incoming)| incoming).map_err(io::IntoInnerError::into_error)
        };
        let incoming =
            pack().map_err(|error| Failed::from_io(&format!("failed to make `{uri}`"), &error))?;
        put(buckets, uri, incoming)
    }

    /// Makes each file an object below `uri`.
    pub(crate) fn put_each(&self, buckets: &Arc<BucketDir>, uri: &Uri) -> Result<(), Failed> {
        for (path, (tree, _)) in &self.files {
            put_file(buckets, &self.trees[*tree], path, &uri.below(path))?;
        }
        Ok(())
    }

    /// Makes each file that is not as `seen` knows it an object below `uri`. `settled`: only what has
    /// not changed since it was last looked at, since programs may be writing the rest.
    pub(crate) fn put_changed(
        &self,
        buckets: &Arc<BucketDir>,
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
                put_file(buckets, &self.trees[*tree], path, &target)?;
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

fn put_file(buckets: &Arc<BucketDir>, tree: &Tree, path: &str, target: &Uri) -> Result<(), Failed> {
    let failed = |error: io::Error| Failed::internal(format!("read `{path}`: {error}"));
    let Some(file) = tree.file(path).map_err(failed)? else { return Ok(()) };
    let size = file.metadata().map_err(failed)?.len();
    let receive = || {
        let mut incoming = buckets.receive()?;
        incoming.copy(&file, 0, size)?;
        Ok(incoming)
    };
    put(buckets, target, receive().map_err(|error| Failed::from_bucket(&error))?)
}

fn put(buckets: &Arc<BucketDir>, uri: &Uri, incoming: Incoming) -> Result<(), Failed> {
    // Not an MD5, which a dash says; reading everything once more for it would be no use.
    let etag = format!("{:032x}-1", rand::random::<u128>());
    let record = Record { etag, ..Record::default() };
    let done =
        buckets.put(&uri.bucket_name()?, &uri.object_key()?, incoming, record, &Condition::None);
    done.map(drop).map_err(|error| Failed::from_bucket(&error))
}

struct Content(Incoming);

impl Write for Content {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes).map_err(io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
