//! What the child process is told: a file, `order.json`.

use std::path::{Path, PathBuf};

use bessemer_jobs::Resources;
use bessemer_transform::payload::PayloadSettings;
use serde::{Deserialize, Serialize};

use super::{kept::Kept, plan::Plan, sandbox, streams::Streams};
use crate::options::{EngineOptions, ModelOptions};

/// A child process's work.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    /// The folder of the inputs.
    pub(crate) inputs: PathBuf,
    /// Their names below it.
    pub(crate) names: Vec<String>,
    pub(crate) model: ModelOptions,
    pub(crate) engine: EngineOptions,
    /// How the inputs become payloads; none if records are to be scored.
    pub(crate) payloads: Option<PayloadSettings>,
    /// The job whose rejected records are to be replayed, if that is the work.
    pub(crate) replay: Option<Kept>,
    /// Where it writes what happens; none if what it prints is written there.
    pub(crate) streams: Option<Streams>,
}

/// The folder of the order, which a sandbox can't change, and of what the process writes.
pub(crate) const ORDER: &str = "order";
pub(crate) const LEFT: &str = "left";
const NAME: &str = "order.json";

/// Memory that the engine takes of what the job has, at most.
const ENGINE_MEMORY: u64 = 1 << 30;
/// Memory that it takes at least.
const LEAST_MEMORY: u64 = 64 << 20;

impl Order {
    /// To score records with a model that Bessemer runs itself.
    pub(super) fn native(
        plan: &Plan,
        names: Vec<String>,
        (folder, model): (&Path, &Path),
        streams: &Streams,
        resources: Resources,
    ) -> Result<Self, String> {
        let model = ModelOptions {
            model: Some(model.to_owned()),
            native_only: true,
            onnxruntime: std::env::var_os("BESSEMER_ONNXRUNTIME").map(PathBuf::from),
            ..ModelOptions::default()
        };
        Ok(Self {
            inputs: folder.join("inputs"),
            names,
            model,
            engine: engine(plan.engine.clone()?, resources),
            payloads: None,
            replay: None,
            streams: Some(streams.clone()),
        })
    }

    /// To score with code of the model's own, in a sandbox.
    pub(super) fn sandboxed(
        plan: &Plan,
        names: Vec<String>,
        model: &ModelOptions,
        resources: Resources,
    ) -> Result<Self, String> {
        let model = ModelOptions {
            content_type: plan.container.content_type.clone(),
            accept: plan.container.accept.clone(),
            ..model.clone()
        };
        let options = match &plan.payloads {
            Some(_) => plan.calls.clone(),
            None => plan.engine.clone()?,
        };
        Ok(Self {
            inputs: sandbox::INPUTS.into(),
            names,
            model,
            engine: engine(options, resources),
            payloads: plan.payloads.clone(),
            replay: None,
            streams: None,
        })
    }

    /// The order in an instance's folder.
    pub(crate) fn read(folder: &Path) -> std::io::Result<Self> {
        let text = std::fs::read(folder.join(ORDER).join(NAME))?;
        Ok(serde_json::from_slice(&text)?)
    }

    /// The same to replay rejected records, if there are any to be replayed.
    pub(super) fn replaying(self, replay: Option<&Kept>) -> Self {
        Self { replay: replay.cloned(), ..self }
    }

    pub(super) fn write(&self, folder: &Path) -> std::io::Result<()> {
        let folder = folder.join(ORDER);
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join(NAME), serde_json::to_vec(self)?)
    }

    /// Writes the inputs as the manifest that the engine reads; returns its path.
    pub(crate) fn write_manifest(&self, folder: &Path) -> std::io::Result<PathBuf> {
        let prefix = format!("{}/", self.inputs.display());
        let head = serde_json::json!({ "prefix": prefix });
        let names = self.names.iter().map(|name| serde_json::json!(name));
        let list: Vec<serde_json::Value> = std::iter::once(head).chain(names).collect();
        let path = folder.join("inputs.manifest");
        std::fs::write(&path, serde_json::Value::from(list).to_string())?;
        Ok(path)
    }
}

/// The engine within what the job has.
fn engine(mut engine: EngineOptions, resources: Resources) -> EngineOptions {
    engine.threads.get_or_insert(resources.cores as usize);
    let memory = (resources.memory / 4).clamp(LEAST_MEMORY, ENGINE_MEMORY);
    engine.memory.get_or_insert(memory.to_string());
    engine
}
