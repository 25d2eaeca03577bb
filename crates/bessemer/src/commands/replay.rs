//! `bessemer rejects replay`: the rejected records again, and only them.

use std::sync::Arc;

use bessemer_domain::ExitCode;
use bessemer_objects::{InputOptions, Location, Objects};
use bessemer_transform::{Folder, Job, Mode, Status, replay};
use clap::Args;
use serde_json::{Value, json};

use super::{
    rejects::{check_run, is_job},
    replay_job::ReplayJob,
    transform::Transform,
};
use crate::{
    failure::Failure,
    options::{EngineOptions, ModelOptions},
    report::{Report, ReportOptions, event, print},
    wiring::{self, data::DataOptions, signals},
};

/// Run the rejected records again; what now succeeds is put into its place in the output
///
/// Model and settings are those of the run; options given here take their place. A transform job of
/// the server is replayed by another job, which is waited for.
#[derive(Debug, Args)]
pub(super) struct Replay {
    /// The output of the run, or the name of a transform job of the server
    output: String,
    /// The model of the server that replays a job [default: the job's]
    #[arg(long, value_name = "MODEL")]
    model_name: Option<String>,
    /// The name of the job that replays a job [default: the job's, with `-replay-` and the time]
    #[arg(long, value_name = "JOB")]
    name: Option<String>,
    #[command(flatten)]
    model: ModelOptions,
    #[command(flatten)]
    engine: EngineOptions,
    #[command(flatten)]
    report: ReportOptions,
}

impl Replay {
    pub(super) fn run(mut self, data: &DataOptions) -> Result<ExitCode, Failure> {
        if is_job(&self.output) {
            if self.model.has_source() {
                return Err(Failure::usage("a job is replayed by a model of the server")
                    .with_hint("name it with `--model-name`"));
            }
            let replay = ReplayJob {
                job: self.output,
                model: self.model_name,
                name: self.name,
                max_rejects: self.engine.max_rejects,
            };
            return replay.run(data, &self.report);
        }
        if self.model_name.is_some() || self.name.is_some() {
            return Err(Failure::usage("`--model-name` and `--name` are for jobs of the server"));
        }
        self.model.make_absolute();
        let objects = Objects::new();
        let output = Location::parse(&self.output)?;
        check_run(&output, &objects)?;
        let folder = Folder::open(&output, Mode::Resume, &objects)?;
        let request = folder.run()?.map(|run| run["request"].clone()).unwrap_or_default();
        let asked = self.merged(request)?;
        let exclude = InputOptions { exclude: vec![output] };
        let inputs = objects.inputs(&asked.inputs, &exclude)?;
        let loaded = wiring::load_model(&asked.model, &asked.engine)?;
        let report = Report::start(
            &ReportOptions { json: false, ..self.report.clone() },
            &inputs,
            &self.output,
        );
        let controls = report.controls();
        signals::stop_on_signal(&controls.stop)?;
        let job = Job {
            inputs,
            folder,
            model: Arc::clone(&loaded.model),
            identity: json!({}),
            request: Value::Null,
            settings: asked.engine.settings()?,
            picked: None,
        };
        let result = replay(job, &objects, &controls);
        report.clear();
        let replayed = result?;
        let left = replayed.before - replayed.mended;
        if self.report.json {
            event(&json!({
                "event": "summary",
                "replayed": replayed.before,
                "mended": replayed.mended,
                "rejected": left,
                "output": self.output,
            }));
        } else if !self.report.quiet {
            print(&format!(
                "{} of {} rejected records are delivered now, {left} are still rejected\n",
                replayed.mended, replayed.before
            ));
        }
        let rows = replayed.summary.rows;
        Ok(match replayed.summary.status {
            Status::Stopped => ExitCode::Stopped,
            _ if left > asked.engine.allowed_rejects(rows)? => ExitCode::Rejected,
            _ => ExitCode::Ok,
        })
    }

    /// What the run was asked, with what is given here in its place.
    fn merged(&self, request: Value) -> Result<Transform, Failure> {
        let mut merged = request;
        if self.model.has_source()
            && let Some(model) = merged["model"].as_object_mut()
        {
            for source in ["model", "endpoint", "serve", "handler", "model_dir"] {
                model.remove(source);
            }
        }
        let to_value = |options: Result<Value, serde_json::Error>| options.unwrap_or_default();
        overlay(&mut merged["model"], to_value(serde_json::to_value(&self.model)));
        overlay(&mut merged["engine"], to_value(serde_json::to_value(&self.engine)));
        serde_json::from_value(merged).map_err(|error| {
            Failure::new(
                ExitCode::Configuration,
                anyhow::anyhow!("read what the run in `{}` was asked: {error}", self.output),
            )
        })
    }
}

/// Puts the members of `new` that say something over those of `old`.
fn overlay(old: &mut Value, new: Value) {
    let Value::Object(new) = new else { return };
    for (name, value) in new {
        let says_nothing = matches!(&value, Value::Null | Value::Bool(false))
            || value.as_array().is_some_and(Vec::is_empty);
        if !says_nothing {
            old[name] = value;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_takes_the_place_of_what_was_asked() {
        let mut old = json!({ "retries": 1, "features": ["a"], "timeout": 5.0 });
        overlay(&mut old, json!({ "retries": 2, "features": [], "timeout": null }));
        assert_eq!(old, json!({ "retries": 2, "features": ["a"], "timeout": 5.0 }));
    }
}
