//! What a command is about: a pipeline of the server, or a definition in a file, or one that a Python
//! file builds.

use std::{fs, path::Path, process::Stdio};

use bessemer_domain::ExitCode;
use clap::Args;
use serde_json::Value;
use tokio::process::Command;

use super::which;
use crate::{commands::exec, failure::Failure, remote::Remote, wiring::data::DataOptions};

/// Runs a Python file and writes down its `pipeline`.
const DEFINE: &str = include_str!("define.py");

/// Names a pipeline, or a file that defines one.
#[derive(Debug, Args)]
pub(super) struct Source {
    /// A pipeline's name, a file with a definition (`*.json`), or a Python file with a `pipeline`
    /// (`*.py`)
    pipeline: String,
    /// The name of a file's pipeline [default: its own, or the file's]
    #[arg(long)]
    name: Option<String>,
    /// The Python that runs a Python file
    #[arg(long, value_name = "PATH", default_value = "python3")]
    python: String,
}

/// A definition.
pub(super) struct Defined {
    /// Of the pipeline of this name.
    pub(super) name: String,
    /// As JSON.
    pub(super) definition: String,
}

/// Where a command's definition comes from.
pub(super) enum Found {
    /// The server has it, under this name.
    Known(String),
    /// A file has it.
    File(Defined),
}

impl Source {
    /// Reads a file, or leaves it at the name.
    pub(super) fn find(&self, data: &DataOptions) -> Result<Found, Failure> {
        let file = Path::new(&self.pipeline);
        let end = file.extension().and_then(|end| end.to_str());
        let (own, definition) = match end {
            Some("json") => (None, read(file)?),
            Some("py") => self.built(file, data)?,
            _ => return Ok(Found::Known(self.pipeline.clone())),
        };
        let stem = || file.file_stem().map(|stem| stem.to_string_lossy().replace('_', "-"));
        let name = self.name.clone().or(own).or_else(stem).unwrap_or_default();
        Ok(Found::File(Defined { name, definition }))
    }

    /// The same, with the server's definition if it is of a pipeline there.
    pub(super) fn definition(
        &self,
        remote: &Remote,
        data: &DataOptions,
    ) -> Result<String, Failure> {
        match self.find(data)? {
            Found::File(defined) => Ok(defined.definition),
            Found::Known(name) => {
                let known = which::pipeline(remote, &name, None)?;
                Ok(known["PipelineDefinition"].as_str().unwrap_or_default().to_owned())
            }
        }
    }

    /// The name and the definition of a Python file's `pipeline`. What the file prints goes to stderr.
    fn built(&self, file: &Path, data: &DataOptions) -> Result<(Option<String>, String), Failure> {
        read(file)?;
        let internal = |error: anyhow::Error| Failure::new(ExitCode::Internal, error);
        let folder = tempfile::tempdir().map_err(|error| internal(error.into()))?;
        let answer = folder.path().join("pipeline.json");
        let mut command = Command::new(&self.python);
        command.args(["-c", DEFINE]).arg(file).arg(&answer).stdout(Stdio::from(std::io::stderr()));
        let status = exec::run_for_clients(data, command)?;
        if !status.success() {
            let error = anyhow::anyhow!("`{}` ended with {status}", file.display());
            return Err(Failure::configuration(error)
                .with_hint("`--python PATH` names the Python that has its packages"));
        }
        let told = fs::read(&answer).map_err(|error| internal(error.into()))?;
        let told: Value = serde_json::from_slice(&told).map_err(|error| internal(error.into()))?;
        let text = |member: &str| told[member].as_str().map(str::to_owned);
        let definition = text("definition").ok_or_else(|| {
            let error = anyhow::anyhow!("`{}` has no `pipeline`", file.display());
            Failure::configuration(error).with_hint(
                "name the SDK's pipeline, or a definition as a dict, `pipeline` at the top level, \
                 not under `if __name__ == \"__main__\"`",
            )
        })?;
        Ok((text("name"), definition))
    }
}

fn read(file: &Path) -> Result<String, Failure> {
    fs::read_to_string(file).map_err(|error| {
        let text = anyhow::anyhow!("read `{}`: {error}", file.display());
        Failure::new(ExitCode::of_io(&error, ExitCode::NotFound), text)
    })
}

/// Values of parameters, as SageMaker's calls have them.
pub(super) fn parameters(pairs: &[String]) -> Result<Vec<Value>, Failure> {
    let read = |pair: &String| {
        let (name, value) = pair.split_once('=').ok_or_else(|| {
            Failure::usage(format!("`{pair}` is no parameter"))
                .with_hint("give one as `--parameter NAME=VALUE`")
        })?;
        Ok(serde_json::json!({ "Name": name, "Value": value }))
    };
    pairs.iter().map(read).collect()
}
