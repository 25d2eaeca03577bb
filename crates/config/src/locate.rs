//! Which file of settings is the one.

use std::{
    fs,
    path::{Path, PathBuf},
};

use toml::de::DeTable;

/// What the file is called where it is looked for.
pub const FILE_NAME: &str = "bessemer.toml";

/// The file of settings that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Located {
    /// It was named, or lies in the working folder: it may say where the data directory is.
    Free(PathBuf),
    /// It lies in the data directory.
    InDataDir(PathBuf),
    /// There is none.
    Nowhere,
}

/// The file: `named`, or the one of `data_dir`, or the one of the working folder.
#[must_use]
pub fn locate(named: Option<&Path>, data_dir: &Path) -> Located {
    if let Some(named) = named {
        return Located::Free(named.to_owned());
    }
    let of_data = data_dir.join(FILE_NAME);
    let here = PathBuf::from(FILE_NAME);
    if of_data.exists() {
        Located::InDataDir(of_data)
    } else if here.exists() {
        Located::Free(here)
    } else {
        Located::Nowhere
    }
}

/// The data directory that `file` names, if it can be read and does. Whether the rest of the file is
/// in order is not looked at.
#[must_use]
pub fn data_dir_of(file: &Path) -> Option<PathBuf> {
    let text = fs::read_to_string(file).ok()?;
    let table = DeTable::parse(&text).ok()?;
    let named = table.get_ref().get("server")?.get_ref().get("data_dir")?;
    let named = named.get_ref().as_str().filter(|path| !path.is_empty())?;
    Some(file.parent().unwrap_or(Path::new("")).join(named))
}
