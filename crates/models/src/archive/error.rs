//! Why no model was found at a path.

use std::{
    io,
    path::{Path, PathBuf},
};

use bessemer_domain::{ByteSize, ExitCode};

/// Why no model was found at a path. Messages follow "failed to".
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// A file or folder can't be read.
    #[error("read the model `{path}`")]
    Read {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The archive is damaged.
    #[error("unpack `{archive}`: it is damaged or cut off")]
    Damaged {
        /// The archive.
        archive: PathBuf,
        /// Where reading it ended.
        source: io::Error,
    },
    /// An entry is not allowed.
    #[error("unpack `{archive}`: the entry `{entry}` {reason}")]
    Refused {
        /// The archive.
        archive: PathBuf,
        /// The entry's name.
        entry: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The archive has too many entries.
    #[error("unpack `{archive}`: it has more than {most} entries")]
    TooMany {
        /// The archive.
        archive: PathBuf,
        /// The limit.
        most: u64,
    },
    /// The archive's content is too large.
    #[error("unpack `{archive}`: its content is larger than {most}")]
    TooLarge {
        /// The archive.
        archive: PathBuf,
        /// The limit.
        most: ByteSize,
    },
    /// The archive's content is suspiciously larger than the archive.
    #[error("unpack `{archive}`: its content is more than {most} times as large as the archive")]
    TooDense {
        /// The archive.
        archive: PathBuf,
        /// The limit.
        most: u64,
    },
    /// An entry can't be written.
    #[error("unpack `{entry}` of `{archive}`")]
    Write {
        /// The archive.
        archive: PathBuf,
        /// The entry's name.
        entry: String,
        /// What the system said.
        source: io::Error,
    },
    /// No model is there.
    #[error("find a model in `{path}`; it holds {}", first_few(held))]
    NoModel {
        /// A file, folder or archive.
        path: PathBuf,
        /// What is there instead.
        held: Vec<String>,
    },
    /// Several models are there.
    #[error("choose a model in `{path}`; it holds {}", first_few(models))]
    Several {
        /// A folder or archive.
        path: PathBuf,
        /// The models.
        models: Vec<String>,
    },
    /// The file is no model that we know.
    #[error("tell what kind of model `{path}` is")]
    Unknown {
        /// The file.
        path: PathBuf,
    },
}

impl ArchiveError {
    /// The same, told of the archive that was unpacked.
    #[must_use]
    pub fn of(self, archive: &Path) -> Self {
        match self {
            Self::NoModel { held, .. } => Self::NoModel { path: archive.to_owned(), held },
            Self::Several { models, .. } => Self::Several { path: archive.to_owned(), models },
            other => other,
        }
    }

    /// What the user can do about it, if there is one thing to do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoModel { .. } | Self::Unknown { .. } => Some(
                "a model is .onnx, XGBoost .json or .ubj, LightGBM .txt, or code/inference.py with \
                 whatever it loads; a model in another format needs --handler FILE.py"
                    .to_owned(),
            ),
            Self::Several { .. } => Some("name one of them with --model".to_owned()),
            _ => None,
        }
    }

    /// The exit code of a command that fails of it.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Read { source, .. } => ExitCode::of_io(source, ExitCode::Configuration),
            Self::Write { .. } => ExitCode::Internal,
            _ => ExitCode::Configuration,
        }
    }
}

/// The first few names.
fn first_few(names: &[String]) -> String {
    const SHOWN: usize = 8;
    if names.is_empty() {
        return "no files".to_owned();
    }
    let shown: Vec<String> = names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect();
    let more = names.len().saturating_sub(SHOWN);
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{rest}", shown.join(", "))
}
