//! Tells what kind of model a file or folder is.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

use super::ArchiveError;
use crate::onnx::looks_like_onnx;

/// A model, by its kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelFound {
    /// ONNX.
    Onnx(PathBuf),
    /// XGBoost, saved as JSON.
    XgboostJson(PathBuf),
    /// XGBoost, saved as UBJSON.
    XgboostUbj(PathBuf),
    /// LightGBM, saved as text.
    LightgbmText(PathBuf),
    /// Python code that loads whatever stands beside it (the layout of SageMaker's containers).
    PythonHandler {
        /// `code/inference.py`.
        script: PathBuf,
        /// What `model_fn` is given.
        model_dir: PathBuf,
        /// `code/requirements.txt`, if it is there.
        requirements: Option<PathBuf>,
    },
}

/// Folders below each other that are searched, at most.
const DEEPEST: usize = 16;

/// Finds the one model in a folder: `code/inference.py`, else the only file that is a model by its
/// content (or ends in `.onnx`). A lone folder around it all is stepped into.
pub fn find(folder: &Path) -> Result<ModelFound, ArchiveError> {
    let mut root = folder.to_owned();
    for _ in 0..DEEPEST {
        if let Some(handler) = handler_in(&root) {
            return Ok(handler);
        }
        match entries(&root)?.as_slice() {
            [only] if only.is_dir() => root.clone_from(only),
            _ => break,
        }
    }
    let mut files = Vec::new();
    collect_files(&root, DEEPEST, &mut files)?;
    let mut models = Vec::new();
    for file in &files {
        let kind = kind_by_content(&start_of(file)?).or_else(|| {
            let is_onnx = file.extension().is_some_and(|extension| extension == "onnx");
            is_onnx.then_some(Kind::Onnx)
        });
        models.extend(kind.map(|kind| (file, kind)));
    }
    let relative = |file: &PathBuf| file.strip_prefix(folder).unwrap_or(file).display().to_string();
    match models.as_slice() {
        [(file, kind)] => Ok(kind.of((*file).clone())),
        [] => Err(ArchiveError::NoModel {
            path: folder.to_owned(),
            held: files.iter().map(relative).collect(),
        }),
        several => Err(ArchiveError::Several {
            path: folder.to_owned(),
            models: several.iter().map(|(file, _)| relative(file)).collect(),
        }),
    }
}

/// Tells what kind of model a file is: by its content, else by its name.
pub fn identify(path: &Path) -> Result<ModelFound, ArchiveError> {
    let kind = kind_by_content(&start_of(path)?).or_else(|| kind_by_name(path));
    kind.map(|kind| kind.of(path.to_owned()))
        .ok_or_else(|| ArchiveError::Unknown { path: path.to_owned() })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Onnx,
    XgboostJson,
    XgboostUbj,
    LightgbmText,
}

impl Kind {
    fn of(self, path: PathBuf) -> ModelFound {
        match self {
            Self::Onnx => ModelFound::Onnx(path),
            Self::XgboostJson => ModelFound::XgboostJson(path),
            Self::XgboostUbj => ModelFound::XgboostUbj(path),
            Self::LightgbmText => ModelFound::LightgbmText(path),
        }
    }
}

fn kind_by_content(start: &[u8]) -> Option<Kind> {
    let holds = |part: &[u8], within: usize| {
        start[..start.len().min(within)].windows(part.len()).any(|window| window == part)
    };
    let text = start.trim_ascii_start();
    // UBJSON: an object whose first key is preceded by its length, a 64-bit (`L`) or 8-bit integer.
    if matches!(start, [b'{', b'L' | b'i' | b'U', ..]) && holds(b"learner", 64) {
        return Some(Kind::XgboostUbj);
    }
    if text.starts_with(b"{") && holds(b"\"learner\"", START) {
        return Some(Kind::XgboostJson);
    }
    if text.starts_with(b"tree\n") || text.starts_with(b"tree\r\n") {
        return holds(b"\nversion=", 64).then_some(Kind::LightgbmText);
    }
    looks_like_onnx(start).then_some(Kind::Onnx)
}

fn kind_by_name(path: &Path) -> Option<Kind> {
    match path.extension()?.to_str()? {
        "onnx" => Some(Kind::Onnx),
        "json" => Some(Kind::XgboostJson),
        "ubj" => Some(Kind::XgboostUbj),
        "txt" => Some(Kind::LightgbmText),
        _ => None,
    }
}

fn handler_in(folder: &Path) -> Option<ModelFound> {
    let code = folder.join("code");
    let script = Some(code.join("inference.py")).filter(|script| script.is_file())?;
    let requirements = Some(code.join("requirements.txt")).filter(|file| file.is_file());
    Some(ModelFound::PythonHandler { script, model_dir: folder.to_owned(), requirements })
}

/// Bytes that tell a file's kind.
const START: usize = 4096;

fn start_of(path: &Path) -> Result<Vec<u8>, ArchiveError> {
    let mut start = Vec::with_capacity(START);
    File::open(path)
        .and_then(|file| file.take(START as u64).read_to_end(&mut start))
        .map_err(|source| ArchiveError::Read { path: path.to_owned(), source })?;
    Ok(start)
}

/// The folder's entries in order, without hidden ones (and what macOS adds to archives).
fn entries(folder: &Path) -> Result<Vec<PathBuf>, ArchiveError> {
    let read = || {
        let mut paths = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if !name.starts_with('.') && name != "__MACOSX" {
                paths.push(entry.path());
            }
        }
        paths.sort();
        io::Result::Ok(paths)
    };
    read().map_err(|source| ArchiveError::Read { path: folder.to_owned(), source })
}

/// All files below `folder`, down to `depth` folders; links to folders are not followed.
fn collect_files(
    folder: &Path,
    depth: usize,
    files: &mut Vec<PathBuf>,
) -> Result<(), ArchiveError> {
    for path in entries(folder)? {
        if path.is_file() {
            files.push(path);
        } else if depth > 0 && path.is_dir() && !path.is_symlink() {
            collect_files(&path, depth - 1, files)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONNX: &[u8] = b"\x08\x08\x12\x04test:\x02\x12\x00";
    const XGBOOST: &[u8] = b"{\"learner\":{\"attributes\":{}}}";

    fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        folder
    }

    #[test]
    fn files_are_told_by_content_then_by_name() {
        type Case = (&'static str, &'static [u8], fn(PathBuf) -> ModelFound);
        let cases: [Case; 9] = [
            ("a.bin", ONNX, ModelFound::Onnx),
            ("cut.onnx", b"", ModelFound::Onnx),
            ("b.txt", XGBOOST, ModelFound::XgboostJson),
            ("c.json", b" \n{ \"learner\" : {", ModelFound::XgboostJson),
            ("other.json", b"{}", ModelFound::XgboostJson),
            ("d.model", b"{L\0\0\0\0\0\0\0\x07learner{L", ModelFound::XgboostUbj),
            ("e", b"tree\nversion=v4\nnum_class=1\n", ModelFound::LightgbmText),
            ("f", b"tree\r\nversion=v4\r\n", ModelFound::LightgbmText),
            ("g.ubj", b"", ModelFound::XgboostUbj),
        ];
        for (name, content, kind) in cases {
            let folder = folder(&[(name, content)]);
            let path = folder.path().join(name);
            assert_eq!(identify(&path).unwrap(), kind(path), "{name}");
        }
        let pickle = folder(&[("model.pkl", b"\x80\x04\x95")]);
        let error = identify(&pickle.path().join("model.pkl")).unwrap_err();
        assert!(matches!(error, ArchiveError::Unknown { .. }));
        assert!(error.hint().unwrap().contains("--handler"));
    }

    #[test]
    fn a_folder_has_one_model() {
        let one = folder(&[
            ("model.onnx", ONNX),
            ("weights.bin", b"1234"),
            ("config.json", b"{}"),
            (".hidden.onnx", ONNX),
            ("__MACOSX/model.onnx", ONNX),
        ]);
        assert_eq!(find(one.path()).unwrap(), ModelFound::Onnx(one.path().join("model.onnx")));

        let inner = folder(&[("export/1/xgboost-model", XGBOOST)]);
        let path = inner.path().join("export/1/xgboost-model");
        assert_eq!(find(inner.path()).unwrap(), ModelFound::XgboostJson(path));

        let several = folder(&[("a.onnx", ONNX), ("old/b.json", XGBOOST)]);
        let error = find(several.path()).unwrap_err().to_string();
        assert!(error.ends_with("it holds `a.onnx`, `old/b.json`"), "{error}");

        let none = folder(&[("readme.md", b"")]);
        let error = find(none.path()).unwrap_err().to_string();
        assert!(error.ends_with("it holds `readme.md`"), "{error}");
    }

    #[test]
    fn code_beside_models_is_a_handler() {
        let layout = folder(&[
            ("model/code/inference.py", b"def model_fn(model_dir): ..."),
            ("model/code/requirements.txt", b""),
            ("model/a.onnx", ONNX),
            ("model/b.onnx", ONNX),
        ]);
        let model_dir = layout.path().join("model");
        assert_eq!(
            find(layout.path()).unwrap(),
            ModelFound::PythonHandler {
                script: model_dir.join("code/inference.py"),
                requirements: Some(model_dir.join("code/requirements.txt")),
                model_dir,
            }
        );
    }
}
