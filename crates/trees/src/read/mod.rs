//! Readers of model files. What they let through is checked: every tree is a tree, every index in
//! range, every threshold a number.

mod layout;
mod lightgbm;
mod xgboost;

use crate::{
    Ensemble,
    document::{SyntaxError, parse_json, parse_ubjson},
    protobuf::ProtobufError,
};

/// In which format a model is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// XGBoost's JSON.
    XgBoostJson,
    /// XGBoost's UBJSON.
    XgBoostUbjson,
    /// LightGBM's text.
    LightGbmText,
}

/// A model file that can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// It is in none of the formats.
    #[error(
        "the file is no tree model: it is neither JSON nor UBJSON as XGBoost writes them, nor \
         LightGBM's text"
    )]
    UnknownFormat,
    /// It is not well formed.
    #[error("the model is not well formed")]
    Syntax(#[from] SyntaxError),
    /// It is no well-formed ONNX model.
    #[error("the model is not well formed")]
    Protobuf(#[from] ProtobufError),
    /// It lacks a member.
    #[error("the model lacks `{path}`")]
    Absent {
        /// Where, from the root.
        path: String,
    },
    /// A part of it makes no sense.
    #[error("`{path}` is invalid: {message}")]
    Invalid {
        /// Where, from the root.
        path: String,
        /// What is wrong there.
        message: String,
    },
    /// It is a model of a kind that has no predictor here.
    #[error("{0} are not supported")]
    Unsupported(String),
}

/// A model that claims to read more features than this is taken for broken.
pub(crate) const MOST_FEATURES: usize = 1 << 20;

/// A model that claims to answer more values than this is taken for broken.
pub(crate) const MOST_GROUPS: usize = 1 << 14;

/// Whether a count is believable; if not, what to say.
pub(crate) fn within(count: usize, most: usize) -> Result<(), String> {
    if count <= most {
        Ok(())
    } else {
        Err(format!("a count of {count}, where {most} is the most"))
    }
}

impl Format {
    /// The format that `bytes` are in, told by how they begin.
    #[must_use]
    pub fn detect(bytes: &[u8]) -> Option<Self> {
        let start = bytes.trim_ascii_start();
        if start.starts_with(b"tree\n") || start.starts_with(b"tree\r\n") {
            return Some(Self::LightGbmText);
        }
        let rest = start.strip_prefix(b"{")?;
        match rest.first()? {
            b'L' | b'l' | b'I' | b'i' | b'U' | b'#' | b'$' => Some(Self::XgBoostUbjson),
            _ => Some(Self::XgBoostJson),
        }
    }
}

impl Ensemble {
    /// Reads a model in whichever format it is.
    pub fn read(bytes: &[u8]) -> Result<Self, ReadError> {
        match Format::detect(bytes) {
            Some(Format::XgBoostJson) => Self::from_xgboost_json(bytes),
            Some(Format::XgBoostUbjson) => Self::from_xgboost_ubjson(bytes),
            Some(Format::LightGbmText) => Self::from_lightgbm_text(bytes),
            None => Err(ReadError::UnknownFormat),
        }
    }

    /// Reads a model that XGBoost saved as JSON.
    pub fn from_xgboost_json(bytes: &[u8]) -> Result<Self, ReadError> {
        xgboost::ensemble(&parse_json(bytes, xgboost::UNUSED)?)
    }

    /// Reads a model that XGBoost saved as UBJSON.
    pub fn from_xgboost_ubjson(bytes: &[u8]) -> Result<Self, ReadError> {
        xgboost::ensemble(&parse_ubjson(bytes, xgboost::UNUSED)?)
    }

    /// Reads a model that LightGBM saved as text.
    pub fn from_lightgbm_text(bytes: &[u8]) -> Result<Self, ReadError> {
        let text = str::from_utf8(bytes).map_err(|error| SyntaxError {
            offset: error.valid_up_to(),
            message: "the text is not UTF-8".to_owned(),
        })?;
        lightgbm::ensemble(text)
    }
}
