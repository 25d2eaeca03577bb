//! What the child process is told: a file, `order.json`.

use std::path::{Path, PathBuf};

use bessemer_jobs::Resources;
use serde::{Deserialize, Serialize};

use super::{plan::Plan, stage::Staged, streams::Streams};
use crate::options::{EngineOptions, ModelOptions};

/// A child process's work.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    /// The manifest of the inputs.
    pub(crate) manifest: PathBuf,
    pub(crate) model: ModelOptions,
    pub(crate) engine: EngineOptions,
    /// Where it writes what happens.
    pub(crate) streams: Streams,
    /// What the data log says of the settings.
    pub(crate) settings: String,
}

/// Memory that the engine takes of what the job has, at most.
const ENGINE_MEMORY: u64 = 1 << 30;
/// Memory that it takes at least.
const LEAST_MEMORY: u64 = 64 << 20;

impl Order {
    pub(super) fn new(
        plan: &Plan,
        staged: &Staged,
        streams: &Streams,
        resources: Resources,
    ) -> Self {
        let mut engine = plan.engine.clone();
        engine.threads.get_or_insert(resources.cores as usize);
        let memory = (resources.memory / 4).clamp(LEAST_MEMORY, ENGINE_MEMORY);
        engine.memory.get_or_insert(memory.to_string());
        let model = ModelOptions {
            model: Some(staged.model.clone()),
            native_only: true,
            onnxruntime: std::env::var_os("BESSEMER_ONNXRUNTIME").map(PathBuf::from),
            ..ModelOptions::default()
        };
        let settings = format!(
            "MaxConcurrentTransforms={}, MaxPayloadInMB={}, BatchStrategy=MULTI_RECORD",
            engine.max_concurrent.unwrap_or(1),
            engine.max_payload.as_deref().map_or("6", |size| size.trim_end_matches("MiB")),
        );
        let (manifest, streams) = (staged.manifest.clone(), streams.clone());
        Self { manifest, model, engine, streams, settings }
    }

    /// The order in a job's folder.
    pub(crate) fn read(folder: &Path) -> std::io::Result<Self> {
        let text = std::fs::read(folder.join("order.json"))?;
        Ok(serde_json::from_slice(&text)?)
    }

    pub(super) fn write(&self, folder: &Path) -> std::io::Result<()> {
        std::fs::write(folder.join("order.json"), serde_json::to_vec(self)?)
    }
}
