//! From options to a loaded model.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bessemer_domain::{ExitCode, hex};
use bessemer_models::{
    archive::{self, ModelFound},
    http::{self, HttpModel, HttpOptions, HttpPayloads, OpenError, ServerLog, Target},
    onnx::{OnnxModel, OnnxOptions, open_model},
    python::{HandlerOptions, PythonError, PythonModel, PythonPayloads},
    trees::{TreeModel, TreeOptions},
};
use bessemer_transform::{model::Model, payload::PayloadModel};
use sha2::{Digest, Sha256};

use crate::{
    failure::Failure,
    options::{BatchStrategy, EngineOptions, ModelOptions, OnnxEngine, cores},
};

/// A model that is ready, and what tells it from another.
pub(crate) struct LoadedModel {
    pub(crate) model: Arc<dyn Model>,
    pub(crate) identity: String,
    /// What an archive was unpacked into.
    _unpacked: Option<tempfile::TempDir>,
}

/// How long a server may take to answer its first ping.
const PING_TIMEOUT: Duration = Duration::from_mins(2);

/// Loads the model that the options name.
pub(crate) fn load_model(
    options: &ModelOptions,
    engine: &EngineOptions,
) -> Result<LoadedModel, Failure> {
    let (model, identity, unpacked): (Arc<dyn Model>, String, _) =
        if let Some(path) = &options.model {
            let identity = digest(path)?;
            let (found, unpacked) = find(path)?;
            (open_found(found, options, engine)?, identity, unpacked)
        } else if let Some(script) = &options.handler {
            let identity = digest(script)?;
            let model = open_handler(script, options.model_dir.clone(), options, engine)?;
            (model, identity, None)
        } else if let Some(url) = &options.endpoint {
            let parsed = url.parse().map_err(|error| {
                Failure::usage(format!("`--endpoint {url}` is no URL: {error}"))
                    .with_hint("write it as http://127.0.0.1:8080")
            })?;
            (open_server(Target::Endpoint(parsed), options, engine)?, url.clone(), None)
        } else if let Some(command) = &options.serve {
            let target = Target::Serve { command: command.clone() };
            (open_server(target, options, engine)?, command.clone(), None)
        } else {
            return Err(Failure::usage("no model is named")
                .with_hint("name one with --model, --endpoint, --serve or --handler"));
        };
    Ok(LoadedModel { model, identity, _unpacked: unpacked })
}

/// What `--model` points to; archives are unpacked.
fn find(path: &Path) -> Result<(ModelFound, Option<tempfile::TempDir>), Failure> {
    let scratch = tempfile::Builder::new()
        .prefix("bessemer-model-")
        .tempdir()
        .map_err(|error| Failure::new(ExitCode::Internal, error))?;
    let found = archive::open(path, scratch.path()).map_err(|error| {
        let (code, hint) = (error.exit_code(), error.hint());
        Failure { hint, ..Failure::new(code, error) }
    })?;
    Ok((found, Some(scratch)))
}

fn open_found(
    found: ModelFound,
    options: &ModelOptions,
    engine: &EngineOptions,
) -> Result<Arc<dyn Model>, Failure> {
    match found {
        ModelFound::Onnx(path) => open_onnx(&path, options, engine),
        ModelFound::XgboostJson(path)
        | ModelFound::XgboostUbj(path)
        | ModelFound::LightgbmText(path) => {
            let trees = TreeOptions {
                raw_score: options.raw_score,
                leaf_index: options.leaf_index,
                threads: engine.threads.unwrap_or_else(cores),
            };
            Ok(Arc::new(TreeModel::open(&path, trees).map_err(Failure::configuration)?))
        }
        ModelFound::PythonHandler { script, .. } if options.native_only => {
            let name = script.file_name().unwrap_or(script.as_os_str()).display();
            Err(Failure::configuration(anyhow::anyhow!(
                "the model runs its own code (`{name}`), which is run in a sandbox alone"
            )))
        }
        ModelFound::PythonHandler { script, model_dir, requirements } => {
            let options = ModelOptions {
                requirements: options.requirements.clone().or(requirements),
                ..options.clone()
            };
            open_handler(&script, Some(model_dir), &options, engine)
        }
    }
}

fn open_onnx(
    path: &Path,
    options: &ModelOptions,
    engine: &EngineOptions,
) -> Result<Arc<dyn Model>, Failure> {
    if options.raw_score || options.leaf_index {
        let what = if options.raw_score { "--raw-score" } else { "--leaf-index" };
        return Err(Failure::usage(format!("`{what}` is not for ONNX models"))
            .with_hint("give the model in XGBoost's or LightGBM's own format"));
    }
    let mut onnx = OnnxOptions {
        threads: engine.max_concurrent.unwrap_or_else(cores),
        nulls_as_nan: engine.nulls_as_nan()?,
        library: options.onnxruntime.clone(),
        features: (!engine.features.is_empty()).then(|| engine.features.clone()),
        ..OnnxOptions::default()
    };
    if let Some(python) = &options.python {
        onnx.python.clone_from(python);
    }
    let model = match options.onnx {
        OnnxEngine::Auto => open_model(path, &onnx),
        OnnxEngine::Runtime => {
            OnnxModel::open(path, &onnx).map(|model| Arc::new(model) as Arc<dyn Model>)
        }
    };
    model.map_err(|error| {
        let (code, hint) = (error.exit_code(), error.hint());
        Failure { hint, ..Failure::new(code, error) }
    })
}

fn open_handler(
    script: &Path,
    model_dir: Option<PathBuf>,
    options: &ModelOptions,
    engine: &EngineOptions,
) -> Result<Arc<dyn Model>, Failure> {
    let handler = handler_options(script, model_dir, options, engine)?;
    PythonModel::open(&handler)
        .map(|model| Arc::new(model) as Arc<dyn Model>)
        .map_err(handler_failed)
}

fn handler_options(
    script: &Path,
    model_dir: Option<PathBuf>,
    options: &ModelOptions,
    engine: &EngineOptions,
) -> Result<HandlerOptions, Failure> {
    let mut handler = HandlerOptions::new(script, cache_dir());
    handler.model_dir = options.model_dir.clone().or(model_dir);
    handler.python.clone_from(&options.python);
    handler.requirements.clone_from(&options.requirements);
    handler.copies = engine.copies;
    handler.memory = engine.memory()?.filter(|_| engine.copies.is_none());
    handler.timeout = engine.timeout()?;
    handler.content_type.clone_from(&options.content_type);
    handler.accept.clone_from(&options.accept);
    handler.framework.clone_from(&options.framework);
    Ok(handler)
}

fn handler_failed(error: PythonError) -> Failure {
    let hint = error.hint();
    Failure { hint, ..Failure::configuration(error) }
}

fn open_server(
    target: Target,
    options: &ModelOptions,
    engine: &EngineOptions,
) -> Result<Arc<dyn Model>, Failure> {
    let mut server = server_options(target, options, engine)?;
    if let Some(text) = &options.content_type {
        server.content_type =
            text.parse().map_err(|error| Failure::usage(format!("`--content-type`: {error}")))?;
    }
    Ok(Arc::new(HttpModel::open(&server).map_err(server_failed)?))
}

fn server_options(
    target: Target,
    options: &ModelOptions,
    engine: &EngineOptions,
) -> Result<HttpOptions, Failure> {
    let mut server = HttpOptions::new(target);
    server.accept.clone_from(&options.accept);
    server.batch_strategy = options.batch_strategy.map(|strategy| match strategy {
        BatchStrategy::Multi => http::BatchStrategy::Multi,
        BatchStrategy::Single => http::BatchStrategy::Single,
    });
    server.gzip_bodies = options.gzip_bodies;
    server.timeout = engine.timeout()?;
    server.ping_timeout = PING_TIMEOUT;
    server.copies = engine.copies;
    server.port = options.serve_port;
    server.max_payload = engine.max_payload()?;
    server.max_concurrent = engine.max_concurrent;
    Ok(server)
}

fn server_failed(error: OpenError) -> Failure {
    let code = error.exit_code();
    Failure::new(code, error)
}

/// The handler or server that the options name, for whole payloads. `None`: a model that takes none.
pub(crate) fn load_payload_model(
    options: &ModelOptions,
    engine: &EngineOptions,
) -> Result<Option<Arc<dyn PayloadModel>>, Failure> {
    if let Some(script) = &options.handler {
        let handler = handler_options(script, None, options, engine)?;
        let model = PythonPayloads::open(&handler).map_err(handler_failed)?;
        return Ok(model.map(|model| Arc::new(model) as Arc<dyn PayloadModel>));
    }
    if let Some(command) = &options.serve {
        let target = Target::Serve { command: command.clone() };
        let mut server = server_options(target, options, engine)?;
        server.log = Some(ServerLog::Stderr);
        let model =
            HttpPayloads::open(&server, options.content_type.as_deref()).map_err(server_failed)?;
        return Ok(Some(Arc::new(model)));
    }
    Ok(None)
}

/// Where environments and runtimes are kept.
pub(crate) fn cache_dir() -> PathBuf {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    if let Some(cache) = variable("BESSEMER_CACHE") {
        return cache.into();
    }
    let base = variable("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| variable("HOME").map(|home| PathBuf::from(home).join(".cache")));
    base.unwrap_or_else(std::env::temp_dir).join("bessemer")
}

/// The SHA-256 of a file; of a folder, its path.
fn digest(path: &Path) -> Result<String, Failure> {
    let failed = |error: std::io::Error| {
        let code = ExitCode::of_io(&error, ExitCode::Internal);
        Failure::new(code, anyhow::anyhow!("open the model `{}`: {error}", path.display()))
    };
    if path.is_dir() {
        return Ok(path.to_string_lossy().into_owned());
    }
    let mut file = File::open(path).map_err(failed)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = file.read(&mut buffer).map_err(failed)?;
        if read == 0 {
            break;
        }
        hasher.update(&buffer[..read]);
    }
    Ok(hex(&hasher.finalize()))
}
