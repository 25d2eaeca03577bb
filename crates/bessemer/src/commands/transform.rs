//! `bessemer transform`: batch inference in the foreground, with no server.

use std::sync::Arc;

use bessemer_domain::ExitCode;
use bessemer_objects::{Input, InputOptions, Location, Objects};
use bessemer_transform::{
    Controls, Folder, Job, Mode, Settings, Status, Summary, model::Model, run,
};
use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    failure::Failure,
    options::{EngineOptions, ModelOptions},
    report::{self, Report, ReportOptions},
    wiring::{self, LoadedModel, signals},
};

/// Run a model over files: Parquet to Parquet, JSON Lines, CSV
///
/// Every input file becomes one output file of the same name; row i of an output is row i of its
/// input. Bad records are isolated and listed in OUTPUT/_rejects, all others are delivered.
#[derive(Debug, Clone, Args, Serialize, Deserialize)]
pub(crate) struct Transform {
    /// Files, folders, globs, s3:// locations, or a SageMaker manifest
    #[arg(required = true, value_name = "INPUT")]
    pub(crate) inputs: Vec<String>,
    /// The output folder or s3:// prefix
    #[arg(short, long, value_name = "OUTPUT")]
    pub(crate) output: String,
    #[command(flatten)]
    #[serde(default)]
    pub(crate) model: ModelOptions,
    #[command(flatten)]
    #[serde(default)]
    pub(crate) engine: EngineOptions,
    /// Go on with the run that the output holds
    #[arg(long, conflicts_with = "overwrite", help_heading = "Output")]
    #[serde(skip)]
    pub(crate) resume: bool,
    /// Replace the run that the output holds; the old output stays readable until the new is whole
    #[arg(long, help_heading = "Output")]
    #[serde(skip)]
    pub(crate) overwrite: bool,
    #[command(flatten)]
    #[serde(skip)]
    pub(crate) report: ReportOptions,
}

impl Transform {
    pub(super) fn run(mut self) -> Result<ExitCode, Failure> {
        let prepared = self.prepare()?;
        let report = Report::start(&self.report, &prepared.inputs, &self.output);
        let controls = report.controls();
        signals::stop_on_signal(&controls.stop)?;
        match prepared.run(&self, &controls) {
            Ok((summary, model)) => {
                report.finish(&summary, model.as_ref())?;
                Ok(report::exit_code(summary.status))
            }
            Err(error) => {
                report.clear();
                Err(error)
            }
        }
    }

    /// Checks everything, loads the model and takes the output.
    pub(super) fn prepare(&mut self) -> Result<Prepared, Failure> {
        self.make_absolute();
        // What is wrong with the command line is said before anything is touched.
        self.engine.settings()?;
        self.engine.allowed_rejects(0)?;
        let objects = Objects::new();
        let output = Location::parse(&self.output)?;
        let exclude = InputOptions { exclude: vec![output.clone()] };
        let inputs = objects.inputs(&self.inputs, &exclude)?;
        let settings = self.engine.settings()?;
        let loaded = wiring::load_model(&self.model, &self.engine)?;
        let mode = match (self.resume, self.overwrite) {
            (true, _) => Mode::Resume,
            (_, true) => Mode::Overwrite,
            _ => Mode::New,
        };
        let folder = Folder::open(&output, mode, &objects)?;
        Ok(Prepared { objects, inputs, settings, loaded, folder })
    }

    /// Makes every path independent of the working folder, for a later replay.
    pub(crate) fn make_absolute(&mut self) {
        self.model.make_absolute();
        for place in self.inputs.iter_mut().chain([&mut self.output]) {
            if !place.starts_with("s3://")
                && let Ok(path) = std::path::absolute(place.as_str())
            {
                let folder = place.ends_with('/');
                *place = path.to_string_lossy().into_owned();
                if folder && !place.ends_with('/') {
                    place.push('/');
                }
            }
        }
    }

    /// What makes the outputs what they are; tuning is no part of it.
    pub(crate) fn identity(&self, model: &str) -> serde_json::Value {
        let (engine, options) = (&self.engine, &self.model);
        json!({
            "model": model,
            "content_type": options.content_type,
            "accept": options.accept,
            "raw_score": options.raw_score,
            "leaf_index": options.leaf_index,
            "input_format": engine.input_format,
            "csv_header": engine.csv_header,
            "compression": engine.compression,
            "features": engine.features,
            "nulls": engine.nulls,
            "input_filter": engine.input_filter,
            "output_filter": engine.output_filter,
            "output_format": engine.output_format,
            "join": engine.join,
            "rejected": engine.rejected,
            "output_prefix": engine.output_prefix,
            "output_schema": engine.output_schema,
        })
    }
}

/// A run that can begin.
pub(super) struct Prepared {
    objects: Objects,
    inputs: Vec<Input>,
    settings: Settings,
    loaded: LoadedModel,
    folder: Folder,
}

impl Prepared {
    /// Runs to the end. The summary's status says, too, whether more was rejected than is allowed.
    pub(super) fn run(
        self,
        transform: &Transform,
        controls: &Controls,
    ) -> Result<(Summary, Arc<dyn Model>), Failure> {
        let job = Job {
            inputs: self.inputs,
            folder: self.folder,
            model: Arc::clone(&self.loaded.model),
            identity: transform.identity(&self.loaded.identity),
            request: serde_json::to_value(transform).unwrap_or_default(),
            settings: self.settings,
            picked: None,
        };
        let mut summary = run(job, &self.objects, controls)?;
        let allowed = transform.engine.allowed_rejects(summary.rows)?;
        if summary.status == Status::Succeeded
            && (summary.rejected > allowed || !summary.failed.is_empty())
        {
            summary.status = Status::Rejected;
        }
        Ok((summary, self.loaded.model))
    }
}
