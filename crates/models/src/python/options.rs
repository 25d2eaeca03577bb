//! What a caller says about a handler.

use std::{path::PathBuf, time::Duration};

/// A handler script and how to run it.
#[derive(Debug, Clone)]
pub struct HandlerOptions {
    /// The script.
    pub script: PathBuf,
    /// What `model_fn` and `load` are given. Default: the script's folder.
    pub model_dir: Option<PathBuf>,
    /// The interpreter. Default: `python3`.
    pub python: Option<PathBuf>,
    /// A requirements file to build the interpreter's environment from.
    pub requirements: Option<PathBuf>,
    /// Where environments and the worker's script are kept. Made if it is not there.
    pub cache_dir: PathBuf,
    /// Workers, at most. Default: one a core, as far as memory allows.
    pub copies: Option<usize>,
    /// Bytes of memory for all workers. Default: most of what the machine has free.
    pub memory: Option<u64>,
    /// How long a call may take.
    pub timeout: Duration,
    /// How long a worker may take to load the script and its model.
    pub load_timeout: Duration,
    /// What SageMaker's functions are given. Default: `application/jsonlines`. A `predict` on a list
    /// of dicts takes `application/jsonlines` too: its records then come as JSON text, not by way of
    /// Arrow.
    pub content_type: Option<String>,
    /// What SageMaker's functions are asked for. Default: `application/json`, as in SageMaker.
    pub accept: Option<String>,
    /// Whether SageMaker's functions are given whole payloads ([`super::PythonPayloads`]).
    pub payloads: bool,
    /// Whose container's steps stand in for functions that the script leaves out: `scikit-learn`,
    /// `xgboost`, `pytorch`. Default: those of SageMaker's inference toolkit.
    pub framework: Option<String>,
    /// Variables of the workers' environment, beside our own.
    pub env: Vec<(String, String)>,
    /// Where goes what the handler prints.
    pub log: HandlerLog,
}

impl HandlerOptions {
    /// `script` with the defaults of the command line.
    pub fn new(script: impl Into<PathBuf>, cache_dir: impl Into<PathBuf>) -> Self {
        Self {
            script: script.into(),
            model_dir: None,
            python: None,
            requirements: None,
            cache_dir: cache_dir.into(),
            copies: None,
            memory: None,
            timeout: Duration::from_mins(1),
            load_timeout: Duration::from_mins(10),
            content_type: None,
            accept: None,
            payloads: false,
            framework: None,
            env: Vec::new(),
            log: HandlerLog::Stderr,
        }
    }
}

/// Where goes what a handler prints.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum HandlerLog {
    /// To our stderr, each line with its worker's number; after many lines it falls silent.
    #[default]
    Stderr,
    /// To the end of this file, each line with its worker's number.
    File(PathBuf),
    /// Nowhere, but the last lines are kept for error messages.
    Nowhere,
}
