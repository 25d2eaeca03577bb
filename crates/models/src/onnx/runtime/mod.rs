//! The ONNX Runtime library: where it is, how it gets there, loading it.
//!
//! It is looked for in this order:
//! 1. the path that the caller gives (`--onnxruntime`), `BESSEMER_ONNXRUNTIME`, `ORT_DYLIB_PATH`: a
//!    library, or a folder that holds one;
//! 2. the cache, `$BESSEMER_CACHE/onnxruntime/<version>/` (`~/.cache/bessemer/…`), where [`install`] puts
//!    it;
//! 3. the `onnxruntime` package of the given Python, whose wheels hold the library since 1.20.
//!
//! **A process loads one library, once**, and keeps it until it ends. The environment is never
//! released: at the exit its threads would have to be waited for, and nothing is gained by it.

mod find;
mod install;
mod python;

use std::{
    error::Error,
    io,
    path::{Path, PathBuf},
    sync::{Mutex, OnceLock, PoisonError},
};

use bessemer_domain::ExitCode;
use ort::{environment::Environment, logging::LogLevel};

pub use find::{Found, Origin, find, list};
pub use install::{PINNED_VERSION, install};

/// The oldest ONNX Runtime that will do: 1.17 (see the `api-17` feature of `ort`).
pub const OLDEST_MINOR: u32 = ort::MINOR_VERSION;

/// Why there is no ONNX Runtime. Messages follow "failed to".
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// It is nowhere.
    #[error("find ONNX Runtime; looked at {}", looked.join(", "))]
    NotFound {
        /// The places, in words.
        looked: Vec<String>,
    },
    /// It is not where it was said to be.
    #[error("find ONNX Runtime at `{path}`, which {named_by} names")]
    NotThere {
        /// The path that was given.
        path: PathBuf,
        /// Who gave it.
        named_by: &'static str,
    },
    /// The library is too old.
    #[error(
        "load ONNX Runtime from `{path}`: it is version {version}, at least 1.{OLDEST_MINOR} is needed"
    )]
    TooOld {
        /// The library.
        path: PathBuf,
        /// Its version.
        version: String,
    },
    /// The file can't be loaded.
    #[error("load ONNX Runtime from `{path}`: {message}")]
    Load {
        /// The library.
        path: PathBuf,
        /// What the loader said.
        message: String,
    },
    /// It could not be installed.
    #[error("install ONNX Runtime {PINNED_VERSION}: {message}")]
    Install {
        /// What went wrong.
        message: String,
        /// The system's error, if it was one.
        source: Option<io::Error>,
    },
}

impl RuntimeError {
    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NotFound { .. } | Self::TooOld { .. } => {
                "`bessemer runtime install` gets ONNX Runtime from its Python wheel"
            }
            Self::NotThere { .. } | Self::Load { .. } => {
                "name a libonnxruntime.so, or let `bessemer runtime install` get one"
            }
            Self::Install { .. } => {
                "on a machine that reaches PyPI run `pip download onnxruntime`, unpack the wheel and name \
                 its libonnxruntime.so with --onnxruntime or BESSEMER_ONNXRUNTIME"
            }
        };
        Some(hint.to_owned())
    }

    /// The exit code of a command that fails of it.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::NotFound { .. } | Self::NotThere { .. } => ExitCode::NotFound,
            Self::TooOld { .. } | Self::Load { .. } => ExitCode::Configuration,
            Self::Install { .. } => ExitCode::Unreachable,
        }
    }
}

/// Finds and loads ONNX Runtime. Later calls answer what the first that succeeded loaded.
pub fn load(library: Option<&Path>, python: &Path) -> Result<&'static Environment, RuntimeError> {
    static LOADED: OnceLock<Environment> = OnceLock::new();
    static LOADING: Mutex<()> = Mutex::new(());

    let _one_at_a_time = LOADING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(environment) = LOADED.get() {
        return Ok(environment);
    }
    let found = find(library, python)?;
    let environment = load_from(&found.path)?;
    Ok(LOADED.get_or_init(|| environment))
}

fn load_from(path: &Path) -> Result<Environment, RuntimeError> {
    let failed = |message: String| RuntimeError::Load { path: path.to_owned(), message };
    // `ort` takes a relative path from the folder of the executable.
    let path = std::path::absolute(path).map_err(|error| failed(error.to_string()))?;
    let builder = ort::init_from(&path).map_err(|error| match error {
        ort::LoadDynamicError::BadVersion { version_str, path } => {
            RuntimeError::TooOld { path, version: version_str }
        }
        ort::LoadDynamicError::Dlopen { error, .. } => {
            let reason = error.source().map_or_else(|| error.to_string(), ToString::to_string);
            failed(loader_message(&reason, &path))
        }
        ort::LoadDynamicError::MissingApi { .. } => failed("it is another library".to_owned()),
        error @ ort::LoadDynamicError::InvalidVersionString => failed(error.to_string()),
    })?;
    let environment = builder
        .with_name("bessemer")
        .with_telemetry(false)
        .build()
        .map_err(|error| failed(error.message().to_owned()))?;
    // What fails is in the answers; ONNX Runtime need not write it to stderr too.
    environment.set_log_level(LogLevel::Fatal);
    Ok(environment)
}

/// The loader's message without the path, which it begins with.
fn loader_message(message: &str, path: &Path) -> String {
    let prefix = format!("{}: ", path.display());
    message.strip_prefix(&prefix).unwrap_or(message).to_owned()
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::{fs, process::Command};

    use super::*;

    #[test]
    fn a_library_that_does_not_fit_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("old.c");
        // The two functions of `OrtApiBase`: of an ONNX Runtime that is too old.
        let program = r#"
            static const void *api(unsigned version) { return 0; }
            static const char *version(void) { return "1.16.3"; }
            static const struct { const void *(*api)(unsigned); const char *(*version)(void); }
                base = { api, version };
            const void *OrtGetApiBase(void) { return &base; }"#;
        fs::write(&source, program).unwrap();
        let old = folder.path().join("libonnxruntime.so");
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-o"]).arg(&old).arg(&source);
        assert!(compiler.status().unwrap().success());

        let error = load_from(&old).err().unwrap();
        assert!(matches!(&error, RuntimeError::TooOld { version, .. } if version == "1.16.3"));
        assert!(error.to_string().ends_with("it is version 1.16.3, at least 1.17 is needed"));
        assert!(error.hint().unwrap().contains("bessemer runtime install"));

        fs::write(&source, "int nothing;").unwrap();
        let other = folder.path().join("libother.so");
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-o"]).arg(&other).arg(&source);
        assert!(compiler.status().unwrap().success());
        let error = load_from(&other).err().unwrap();
        assert!(error.to_string().ends_with("it is another library"), "{error}");

        let error = load_from(&source).err().unwrap();
        assert!(error.to_string().ends_with("`: file too short"), "{error}");
    }
}
