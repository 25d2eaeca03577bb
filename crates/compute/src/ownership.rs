//! Gives files to the user that a sandbox runs as.

use std::{
    fs, io,
    os::unix::fs::{PermissionsExt, lchown},
    path::Path,
};

/// Makes `uid` (user and group) the owner of `folder` and all below it, and closes `folder` itself to
/// everybody else. Links are not followed. To be called before the process runs, by root.
pub fn hand_over(folder: &Path, uid: u32) -> io::Result<()> {
    let mut waiting = vec![folder.to_owned()];
    while let Some(folder) = waiting.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            lchown(entry.path(), Some(uid), Some(uid))?;
            if entry.file_type()?.is_dir() {
                waiting.push(entry.path());
            }
        }
    }
    lchown(folder, Some(uid), Some(uid))?;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700))
}
