//! One folder of a bucket as a listing sees it: names in the order of the keys that they stand for.

use std::os::fd::{AsFd, OwnedFd};

use rustix::{
    fs::{Dir, FileType},
    io::Errno,
};

use super::{
    BucketError, beneath,
    key::{Name, SELF, decode},
    place::file_type,
};

/// A name in a folder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Item {
    /// What it adds to the key: a part, with a slash if it is a folder. Items are in its order.
    pub(super) text: String,
    /// The names that lead to it from the folder: its own, and for an object that has moved into a
    /// folder of the same path two.
    pub(super) names: Vec<String>,
    pub(super) is_folder: bool,
}

/// The items of the folder `names` in `bucket` in order; none if it is gone.
pub(super) fn read(bucket: &OwnedFd, names: &[String]) -> Result<Vec<Item>, BucketError> {
    let failed = |error| BucketError::io("list a folder", error);
    let folder = match beneath::open_folder(bucket, names) {
        Ok(folder) => folder,
        Err(error) if beneath::is_absent(error) => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut items = Vec::new();
    for entry in Dir::read_from(&folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let Ok(name) = entry.file_name().to_str() else { continue };
        let Some(decoded) = decode(name) else { continue };
        let kind = kind(&folder, name, entry.file_type()).map_err(failed)?;
        add(&folder, name, decoded, kind, &mut items).map_err(failed)?;
    }
    items.sort_unstable();
    Ok(items)
}

fn add(
    folder: &OwnedFd,
    name: &str,
    decoded: Name,
    kind: Option<FileType>,
    items: &mut Vec<Item>,
) -> Result<(), Errno> {
    let is_folder = match kind {
        Some(FileType::Directory) => true,
        Some(FileType::RegularFile) => false,
        _ => return Ok(()),
    };
    let own = vec![name.to_owned()];
    let text = match (decoded, is_folder) {
        (Name::Part(text), _) => text,
        (Name::Empty, true) | (Name::Folder, false) => String::new(),
        _ => return Ok(()),
    };
    if is_folder {
        let inner = format!("{name}/{SELF}");
        if !text.is_empty() && file_type(folder, &inner)? == Some(FileType::RegularFile) {
            let names = vec![name.to_owned(), SELF.to_owned()];
            items.push(Item { text: text.clone(), names, is_folder: false });
        }
        items.push(Item { text: text + "/", names: own, is_folder: true });
    } else {
        items.push(Item { text, names: own, is_folder: false });
    }
    Ok(())
}

/// Whether there is an object in the folder `names` of `bucket`, at any depth.
pub(super) fn holds_object(bucket: &OwnedFd, names: &[String]) -> Result<bool, BucketError> {
    let items = read(bucket, names)?;
    if items.iter().any(|item| !item.is_folder) {
        return Ok(true);
    }
    for item in items {
        let inner: Vec<String> = names.iter().cloned().chain(item.names).collect();
        if holds_object(bucket, &inner)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// What `name` is; not all file systems tell while listing.
fn kind(folder: impl AsFd, name: &str, told: FileType) -> Result<Option<FileType>, Errno> {
    if told == FileType::Unknown { file_type(folder, name) } else { Ok(Some(told)) }
}
