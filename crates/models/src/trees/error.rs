//! Why a tree model can't be used.

use std::{io, path::PathBuf};

use bessemer_trees::ReadError;

/// A tree model that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum TreesError {
    /// The file can't be read.
    #[error("read model `{path}`")]
    Io {
        /// The model's file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is no model, a broken one or one of a kind that is not supported.
    #[error("load tree model `{path}`")]
    Read {
        /// The model's file.
        path: PathBuf,
        /// What is wrong with it.
        source: ReadError,
    },
}
