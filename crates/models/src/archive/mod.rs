//! What a model's path holds: one model file, a folder, or a `model.tar.gz`.
//!
//! An archive comes from anywhere, so it is unpacked by an allowlist: regular files and folders, under
//! names that stay inside the target. **Nothing else is ever created**: no links, no devices, no modes,
//! and no more bytes than the limits say.

mod error;
mod extract;
mod found;

pub use error::ArchiveError;
pub use extract::{ArchiveLimits, extract, is_archive};
pub use found::{ModelFound, find, identify};

use std::path::Path;

/// Finds the model at `path`: a model file, a folder, or an archive, which is unpacked into `target`
/// (a new, empty folder of the caller's, which must live as long as the model is used).
pub fn open(path: &Path, target: &Path) -> Result<ModelFound, ArchiveError> {
    if path.is_dir() {
        return find(path);
    }
    if !is_archive(path)? {
        return identify(path);
    }
    extract(path, target, &ArchiveLimits::default())?;
    // What is wrong with the content is told of the archive, not of the temporary folder.
    find(target).map_err(|error| error.of(path))
}
