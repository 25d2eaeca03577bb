//! Which model, and how to talk to it.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

/// Options that choose the model.
#[derive(Debug, Clone, Default, Args, Serialize, Deserialize)]
#[command(next_help_heading = "Model (one of --model, --endpoint, --serve, --handler)")]
#[group(id = "model_options")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(crate) struct ModelOptions {
    /// A model file: ONNX, XGBoost (JSON or UBJSON), LightGBM (text), or a model.tar.gz or folder
    /// that holds one of them or a Python handler; told by its content
    #[arg(long, value_name = "PATH", group = "source")]
    pub(crate) model: Option<PathBuf>,
    /// The URL of a server that speaks the SageMaker container contract
    #[arg(long, value_name = "URL", group = "source")]
    pub(crate) endpoint: Option<String>,
    /// A command that starts such a server on the loopback port in $PORT (or `{port}`); as many
    /// copies are run as cores and memory allow
    #[arg(long, value_name = "COMMAND", group = "source")]
    pub(crate) serve: Option<String>,
    /// The port of the only copy
    #[arg(skip)]
    #[serde(default)]
    pub(crate) serve_port: Option<u16>,
    /// A Python file with `predict(batch)`, or with SageMaker's `model_fn`, `input_fn`, `predict_fn`,
    /// `output_fn`
    #[arg(long, value_name = "FILE.py", group = "source")]
    pub(crate) handler: Option<PathBuf>,
    /// The folder given to the handler's `model_fn` [default: the handler's]
    #[arg(long, value_name = "DIR")]
    pub(crate) model_dir: Option<PathBuf>,
    /// The handler's requirements: an environment is built once, with uv
    #[arg(long, value_name = "FILE")]
    pub(crate) requirements: Option<PathBuf>,
    /// The handler's Python [default: python3]
    #[arg(long, value_name = "PATH")]
    pub(crate) python: Option<PathBuf>,
    /// The ONNX Runtime library to use [default: found, see `bessemer runtime ls`]
    #[arg(long, value_name = "PATH", env = "BESSEMER_ONNXRUNTIME")]
    pub(crate) onnxruntime: Option<PathBuf>,
    /// What scores ONNX models: Bessemer itself those of trees and ONNX Runtime the others, or ONNX
    /// Runtime all
    #[arg(long, value_name = "ENGINE", env = "BESSEMER_ONNX", default_value = "auto")]
    #[serde(default)]
    pub(crate) onnx: OnnxEngine,
    /// What a server or SageMaker handler is sent: application/jsonlines (default), text/csv,
    /// application/json, application/x-parquet, application/vnd.apache.arrow.stream or text/plain
    #[arg(long, value_name = "TYPE")]
    pub(crate) content_type: Option<String>,
    /// What it is asked to answer [default: the content type]
    #[arg(long, value_name = "TYPE")]
    pub(crate) accept: Option<String>,
    /// Records of a call to a server [default: the server's choice, else multi]
    #[arg(long, value_name = "STRATEGY")]
    pub(crate) batch_strategy: Option<BatchStrategy>,
    /// Send gzip bodies to a server
    #[arg(long)]
    pub(crate) gzip_bodies: bool,
    /// Refuse models that run code of their own
    #[arg(skip)]
    #[serde(default)]
    pub(crate) native_only: bool,
    /// Whose container's steps stand in for functions that a SageMaker handler leaves out
    #[arg(skip)]
    #[serde(default)]
    pub(crate) framework: Option<String>,
    /// XGBoost and LightGBM: margins in place of probabilities and values
    #[arg(long)]
    pub(crate) raw_score: bool,
    /// XGBoost and LightGBM: the index of the leaf that each tree ends in
    #[arg(long, conflicts_with = "raw_score")]
    pub(crate) leaf_index: bool,
}

/// How many records a server takes in a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum BatchStrategy {
    Multi,
    Single,
}

/// What scores ONNX models.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum OnnxEngine {
    #[default]
    Auto,
    Runtime,
}

impl ModelOptions {
    /// Whether a model is named.
    pub(crate) fn has_source(&self) -> bool {
        self.model.is_some()
            || self.endpoint.is_some()
            || self.serve.is_some()
            || self.handler.is_some()
    }

    /// Makes paths independent of the working folder.
    pub(crate) fn make_absolute(&mut self) {
        for path in [
            &mut self.model,
            &mut self.handler,
            &mut self.model_dir,
            &mut self.requirements,
            &mut self.onnxruntime,
        ]
        .into_iter()
        .flatten()
        {
            *path = absolute(path);
        }
        // A bare name is looked up on the PATH.
        if let Some(python) = &mut self.python
            && python.components().count() > 1
        {
            *python = absolute(python);
        }
    }
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
