//! Finds the ONNX Runtime library.

use std::{
    env,
    ffi::OsString,
    fmt, fs,
    path::{Path, PathBuf},
};

use super::{OLDEST_MINOR, RuntimeError, python};

/// A library that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The library.
    pub path: PathBuf,
    /// Its version, if its name tells.
    pub version: Option<String>,
    /// How it was found.
    pub origin: Origin,
}

/// How a library was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The caller named it.
    Option,
    /// An environment variable names it.
    Variable(&'static str),
    /// It is in the cache.
    Cache,
    /// It is part of a Python package.
    Python,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Option => "--onnxruntime",
            Self::Variable(name) => name,
            Self::Cache => "the cache",
            Self::Python => "the Python package",
        })
    }
}

const VARIABLES: [&str; 2] = ["BESSEMER_ONNXRUNTIME", "ORT_DYLIB_PATH"];

/// Finds a library: the one that `library` or the environment names, else the newest in the cache, else
/// that of `python`'s `onnxruntime` package. Nothing is loaded.
pub fn find(library: Option<&Path>, python: &Path) -> Result<Found, RuntimeError> {
    if let Some(named) = named(library) {
        return named;
    }
    let cache = cache_folder();
    if let Some(found) = cache.as_deref().and_then(|cache| in_cache(cache).into_iter().next()) {
        return Ok(found);
    }
    let of_python = in_python(python, cache.as_deref());
    match of_python {
        Some(found) if found.is_new_enough() => Ok(found),
        Some(Found { path, version, .. }) => {
            Err(RuntimeError::TooOld { path, version: version.unwrap_or_default() })
        }
        None => Err(RuntimeError::NotFound {
            looked: vec![
                VARIABLES.join(", "),
                cache.map_or_else(
                    || "the cache (no HOME)".to_owned(),
                    |cache| format!("`{}`", cache.display()),
                ),
                format!("the onnxruntime package of `{}`", python.display()),
            ],
        }),
    }
}

/// All libraries that there are, in the order in which they are preferred.
#[must_use]
pub fn list(library: Option<&Path>, python: &Path) -> Vec<Found> {
    let cache = cache_folder();
    let mut found: Vec<Found> = named(library).and_then(Result::ok).into_iter().collect();
    found.extend(cache.as_deref().map(in_cache).unwrap_or_default());
    found.extend(in_python(python, cache.as_deref()));
    found
}

/// The folder of the cached libraries. `None` without a home.
pub(super) fn cache_folder() -> Option<PathBuf> {
    let variable = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
    let cache = variable("BESSEMER_CACHE")
        .map(PathBuf::from)
        .or_else(|| variable("XDG_CACHE_HOME").map(|cache| Path::new(&cache).join("bessemer")))
        .or_else(|| variable("HOME").map(|home| Path::new(&home).join(".cache/bessemer")))?;
    Some(cache.join("onnxruntime"))
}

/// The library in `folder`, if it holds one.
pub(super) fn library_in(folder: &Path) -> Option<PathBuf> {
    let mut libraries: Vec<PathBuf> = fs::read_dir(folder)
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| is_library_name(path.file_name().and_then(|name| name.to_str())))
        .collect();
    libraries.sort();
    libraries.pop()
}

impl Found {
    fn at(path: PathBuf, origin: Origin) -> Self {
        let version = path.file_name().and_then(|name| version_in(name.to_str()?));
        Self { path, version, origin }
    }

    /// Whether it is, as far as its name tells.
    fn is_new_enough(&self) -> bool {
        let minor = |version: &str| version_numbers(version).get(1).copied().unwrap_or(0);
        self.version.as_deref().is_none_or(|version| minor(version) >= u64::from(OLDEST_MINOR))
    }
}

fn named(library: Option<&Path>) -> Option<Result<Found, RuntimeError>> {
    let variable = |name: &'static str| {
        let value: OsString = env::var_os(name).filter(|value| !value.is_empty())?;
        Some((PathBuf::from(value), Origin::Variable(name), name))
    };
    let option = library.map(|path| (path.to_owned(), Origin::Option, "--onnxruntime"));
    let (path, origin, named_by) = option.or_else(|| VARIABLES.into_iter().find_map(variable))?;
    let found = if path.is_dir() { library_in(&path) } else { Some(path.clone()) };
    Some(match found.filter(|path| path.is_file()) {
        Some(path) => Ok(Found::at(path, origin)),
        None => Err(RuntimeError::NotThere { path, named_by }),
    })
}

/// The libraries in the cache, newest first.
fn in_cache(cache: &Path) -> Vec<Found> {
    let Ok(entries) = fs::read_dir(cache) else { return Vec::new() };
    let folders = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let mut found: Vec<Found> = folders
        .filter_map(|folder| Some(Found::at(library_in(&folder)?, Origin::Cache)))
        .filter(Found::is_new_enough)
        .collect();
    found.sort_by_key(|found| version_numbers(found.version.as_deref().unwrap_or_default()));
    found.reverse();
    found
}

fn in_python(python: &Path, cache: Option<&Path>) -> Option<Found> {
    let folder = python::package_folder(python, cache)?;
    Some(Found::at(library_in(&folder.join("capi"))?, Origin::Python))
}

/// `libonnxruntime.so`, `libonnxruntime.so.1.20.1`, `libonnxruntime.1.20.1.dylib`; not
/// `libonnxruntime_providers_shared.so`.
fn is_library_name(name: Option<&str>) -> bool {
    name.and_then(|name| name.strip_prefix("libonnxruntime."))
        .is_some_and(|rest| rest.split('.').any(|part| matches!(part, "so" | "dylib")))
}

/// "1.20.1" in "libonnxruntime.so.1.20.1".
fn version_in(name: &str) -> Option<String> {
    let numbers: Vec<&str> = name
        .split('.')
        .filter(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
        .collect();
    (numbers.len() >= 2).then(|| numbers.join("."))
}

fn version_numbers(version: &str) -> Vec<u64> {
    version.split('.').map_while(|number| number.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_known_by_their_names() {
        for name in ["libonnxruntime.so", "libonnxruntime.so.1.20.1", "libonnxruntime.1.20.1.dylib"]
        {
            assert!(is_library_name(Some(name)), "{name}");
        }
        for name in ["libonnxruntime_providers_shared.so", "libonnx.so", "libonnxruntime.txt"] {
            assert!(!is_library_name(Some(name)), "{name}");
        }
        assert_eq!(version_in("libonnxruntime.so.1.20.1").as_deref(), Some("1.20.1"));
        assert_eq!(version_in("libonnxruntime.so"), None);
    }

    #[test]
    fn the_newest_in_the_cache_comes_first() {
        let cache = tempfile::tempdir().unwrap();
        for version in ["1.9.0", "1.16.3", "1.20.1", "1.31.1"] {
            let folder = cache.path().join(version);
            fs::create_dir(&folder).unwrap();
            fs::write(folder.join(format!("libonnxruntime.so.{version}")), "").unwrap();
        }
        fs::create_dir(cache.path().join("empty")).unwrap();
        let found = in_cache(cache.path());
        let versions: Vec<_> =
            found.iter().map(|found| found.version.as_deref().unwrap()).collect();
        assert_eq!(versions, ["1.31.1", "1.20.1"]);
    }

    #[test]
    fn a_named_library_must_be_there() {
        let missing = find(Some(Path::new("/nowhere/libonnxruntime.so")), Path::new("python3"));
        let error = missing.unwrap_err();
        assert_eq!(
            error.to_string(),
            "find ONNX Runtime at `/nowhere/libonnxruntime.so`, which --onnxruntime names"
        );
        let folder = tempfile::tempdir().unwrap();
        let library = folder.path().join("libonnxruntime.so.1.30.0");
        fs::write(&library, "").unwrap();
        let found = find(Some(folder.path()), Path::new("python3")).unwrap();
        assert_eq!((found.path, found.origin), (library, Origin::Option));
    }
}
