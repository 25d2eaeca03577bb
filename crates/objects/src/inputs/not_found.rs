//! Errors for names that are not there: they show the names that are.

use std::{fs, io, path::Path};

use bessemer_domain::nearest_names;

use crate::{durable::parent_of, error::ObjectsError, s3::Remote};

/// At most as many names are shown.
const SHOWN: usize = 5;

/// Whether `error` says that a path is not there.
pub(super) fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// `path`, needed for the argument `text`, is not on this machine.
pub(super) fn local(text: &str, path: &Path) -> ObjectsError {
    let missing = path.ancestors().take_while(|a| !a.as_os_str().is_empty() && !a.exists()).last();
    let Some(missing) = missing else {
        return ObjectsError::not_found(format!("find input `{text}`: nothing is there"));
    };
    let name = missing.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let folder = parent_of(missing);
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> =
        entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    let mut what = format!("find input `{text}`");
    if missing != Path::new(text) {
        what = format!("{what}: there is no `{}`", missing.display());
    }
    explain(&what, &name, &format!("`{}`", folder.display()), &names)
}

/// Nothing is at `key` of a bucket that is there.
pub(super) fn s3(remote: &Remote, text: &str, bucket: &str, key: &str) -> ObjectsError {
    let key = key.trim_end_matches('/');
    let (folder, name) = key.rsplit_once('/').unwrap_or(("", key));
    // The names are a courtesy: that they can't be listed is no news to the user.
    let names = remote.names_in(bucket, folder).unwrap_or_default();
    let slash = if folder.is_empty() { "" } else { "/" };
    let folder = format!("`s3://{bucket}/{folder}{slash}`");
    explain(&format!("find input `{text}`"), name, &folder, &names)
}

fn explain(what: &str, name: &str, folder: &str, names: &[String]) -> ObjectsError {
    let nearest = nearest_names(name, names.iter().map(String::as_str), SHOWN);
    let quoted = |names: &[&str]| {
        names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
    };
    let message = if !nearest.is_empty() {
        format!("{what}: in {folder} the nearest names are {}", quoted(&nearest))
    } else if names.is_empty() {
        format!("{what}: {folder} is empty")
    } else {
        let first: Vec<&str> = names.iter().take(SHOWN).map(String::as_str).collect();
        let more = match names.len() - first.len() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        format!("{what}: {folder} holds {}{more}", quoted(&first))
    };
    ObjectsError::not_found(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_missing_folder_is_named_with_its_neighbours() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("flights")).unwrap();
        let path = dir.path().join("flihgts/jan/x.parquet");
        let text = local(path.to_str().unwrap(), &path).to_string();
        assert!(text.contains("there is no `"), "{text}");
        assert!(text.contains("the nearest names are `flights`"), "{text}");
    }

    #[test]
    fn without_a_near_name_the_first_ones_are_shown() {
        let names: Vec<String> = (0..7).map(|n| format!("part-{n}.parquet")).collect();
        let text = explain("find input `x`", "x", "`d`", &names).to_string();
        assert!(text.ends_with("`part-4.parquet` and 2 more"), "{text}");
        assert_eq!(
            explain("find input `x`", "x", "`d`", &[]).to_string(),
            "find input `x`: `d` is empty"
        );
    }
}
