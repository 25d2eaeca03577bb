//! A host's folder before its program runs: `/opt/ml` with its inputs.
//!
//! **No program can change an object.** What it may write are copies of its own. A large object is a
//! copy only where the file system makes one at once (a clone); else it is the object's own file,
//! mounted read-only over its place in `/opt/ml`.

use std::{
    fs::{self, File},
    io,
    os::{fd::AsRawFd, unix::fs::PermissionsExt},
    path::{Path, PathBuf},
};

use bessemer_compute::Bind;
use bessemer_objects::storage::{Storage, Stored};
use flate2::bufread::MultiGzDecoder;
use rustix::fs::{AtFlags, CWD, ioctl_ficlone, linkat};

use super::{Failed, Input, Source, Uri, inputs};

/// Where a program finds all that is its own.
pub(crate) const ML: &str = "/opt/ml";
/// Objects up to this many bytes are copied, so that programs may change them.
const COPIED: u64 = 1 << 20;
/// Objects that are mounted, at most. The rest is copied.
const MOUNTS: usize = 512;

/// The folder of an instance that is being filled.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) storage: Storage,
    /// `algo-<n>` of the attempt's folder.
    pub(crate) folder: PathBuf,
    /// Counts instances from 0.
    pub(crate) index: usize,
    /// How many instances there are.
    pub(crate) count: usize,
    /// The objects that are mounted.
    pub(crate) mounts: Vec<Bind>,
}

impl Stage {
    /// The host's name.
    pub(crate) fn host(&self) -> String {
        host_name(self.index)
    }

    /// Makes a folder of `/opt/ml`.
    pub(crate) fn folder(&self, inside: &str) -> Result<PathBuf, Failed> {
        let folder = self.outside(Path::new(inside))?;
        fs::create_dir_all(&folder).map_err(Failed::internal)?;
        Ok(folder)
    }

    /// Writes a file of `/opt/ml`.
    pub(crate) fn write(&self, inside: &str, text: &str) -> Result<(), Failed> {
        let path = self.outside(Path::new(inside))?;
        let write = || {
            fs::create_dir_all(path.parent().unwrap_or(Path::new("/")))?;
            fs::write(&path, text)
        };
        write().map_err(Failed::internal)
    }

    /// Puts this instance's part of `source` below the folder `inside`. `may_change`: the program
    /// may want to write what it finds, so everything is copied.
    pub(crate) fn input(
        &mut self,
        source: &Source,
        inside: &str,
        may_change: bool,
    ) -> Result<(), Failed> {
        self.folder(inside)?;
        let inputs = source.objects(&self.storage, self.index, self.count)?;
        self.each(&inputs, |stage, input, object| {
            let target = Path::new(inside).join(&input.relative);
            if source.is_gzip {
                stage.unpack(&input.uri, object, &target)
            } else {
                stage.put(&input.uri, &object, &target, may_change)
            }
        })
    }

    /// Puts all objects below the prefix `uri` into the folder `inside`, if there are any.
    pub(crate) fn copies(&mut self, uri: &Uri, inside: &str) -> Result<(), Failed> {
        self.folder(inside)?;
        let inputs = inputs::inputs_below(&self.storage, uri)?;
        self.each(&inputs, |stage, input, object| {
            stage.put(&input.uri, &object, &Path::new(inside).join(&input.relative), true)
        })
    }

    /// Opens inputs, a few at a time, and does with each what is to be done.
    fn each(
        &mut self,
        inputs: &[Input],
        mut take: impl FnMut(&mut Self, &Input, Stored) -> Result<(), Failed>,
    ) -> Result<(), Failed> {
        for some in inputs.chunks(inputs::AT_ONCE) {
            let opened = inputs::open_all(&self.storage, some)?;
            for (input, object) in some.iter().zip(opened) {
                take(self, input, object)?;
            }
        }
        Ok(())
    }

    fn put(
        &mut self,
        uri: &Uri,
        object: &Stored,
        inside: &Path,
        may_change: bool,
    ) -> Result<(), Failed> {
        let target = self.target(inside)?;
        // Nobody else has a copy's file: it may be the program's.
        if object.is_copy && give_name(&object.file, &target) {
            return Ok(());
        }
        let failed = |error: io::Error| Failed::internal(format!("copy `{uri}`: {error}"));
        let copy = File::create(&target).map_err(failed)?;
        let (file, size) = (&object.file, object.size);
        if size > COPIED && ioctl_ficlone(&copy, file).is_ok() {
            return Ok(());
        }
        let is_mounted = size > COPIED && !may_change && self.mounts.len() < MOUNTS;
        if is_mounted && self.mount(file, inside).map_err(failed)? {
            return Ok(());
        }
        io::copy(&mut &*file, &mut &copy).map(drop).map_err(failed)
    }

    fn unpack(&self, uri: &Uri, object: Stored, inside: &Path) -> Result<(), Failed> {
        let inside = match inside.extension() {
            Some(extension) if extension == "gz" => inside.with_extension(""),
            _ => inside.to_owned(),
        };
        let target = self.target(&inside)?;
        let mut copy = File::create(&target).map_err(Failed::internal)?;
        let mut content = MultiGzDecoder::new(io::BufReader::new(object.file));
        io::copy(&mut content, &mut copy)
            .map(drop)
            .map_err(|error| Failed::client(format!("unpack `{uri}`: {error}")))
    }

    /// Has an object's own file mounted at `inside`. False if others can't read it, or the file system
    /// has no links.
    fn mount(&mut self, file: &File, inside: &Path) -> io::Result<bool> {
        let is_open = file.metadata()?.permissions().mode() & 0o004 != 0;
        let link = self.folder.join("objects").join(self.mounts.len().to_string());
        fs::create_dir_all(self.folder.join("objects"))?;
        if !is_open || !give_name(file, &link) {
            return Ok(false);
        }
        self.mounts.push(Bind::read_only(link, inside));
        Ok(true)
    }

    /// The path outside of a file that is to be made, with its folder.
    fn target(&self, inside: &Path) -> Result<PathBuf, Failed> {
        let target = self.outside(inside)?;
        fs::create_dir_all(target.parent().unwrap_or(Path::new("/"))).map_err(Failed::internal)?;
        Ok(target)
    }

    /// The path outside of a path inside, which has to be below `/opt/ml`.
    pub(crate) fn outside(&self, inside: &Path) -> Result<PathBuf, Failed> {
        let refuse =
            || Failed::client(format!("the path `{}` is not below `{ML}`", inside.display()));
        let below = inside.strip_prefix(ML).map_err(|_| refuse())?;
        let is_plain = |part| matches!(part, std::path::Component::Normal(_));
        if below.components().all(is_plain) {
            Ok(self.folder.join("ml").join(below))
        } else {
            Err(refuse())
        }
    }
}

/// Gives an open file another name, or its first. False if that can't be.
pub(crate) fn give_name(file: &File, target: &Path) -> bool {
    let open = format!("/proc/self/fd/{}", file.as_raw_fd());
    linkat(CWD, open.as_str(), CWD, target, AtFlags::SYMLINK_FOLLOW).is_ok()
}

/// The name of instance `index`, which counts from 0.
pub(crate) fn host_name(index: usize) -> String {
    format!("algo-{}", index + 1)
}
