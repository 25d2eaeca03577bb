//! References, replaced by what they stand for.

use chrono::DateTime;
use serde_json::{Map, Value, json};

use super::state::{Execution, StepState};
use crate::definition::{Definition, Expression, Form, Part, Variable, find, form, text_of};

/// Why a value can't be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Missing {
    /// A file has to be read first.
    File(String),
    /// It can't be had at all.
    Never(String),
}

impl From<String> for Missing {
    fn from(reason: String) -> Self {
        Self::Never(reason)
    }
}

/// What references of a step can stand for.
pub(super) struct Scope<'e> {
    pub(super) definition: &'e Definition,
    pub(super) execution: &'e Execution,
    pub(super) now: u64,
    pub(super) job_name: &'e str,
}

impl Scope<'_> {
    /// `value` with nothing to be replaced in it.
    pub(super) fn resolve(&self, value: &Value) -> Result<Value, Missing> {
        match value {
            Value::Array(entries) => entries.iter().map(|entry| self.resolve(entry)).collect(),
            Value::Object(members) => match form(members) {
                Some(Ok(Form::Get(expression))) => self.get(&expression),
                Some(Ok(Form::Join { on, values })) => {
                    let parts: Result<Vec<String>, Missing> =
                        values.iter().map(|value| Ok(text_of(&self.resolve(value)?))).collect();
                    Ok(Value::String(parts?.join(on)))
                }
                // Definitions are checked; this is for those of earlier releases.
                Some(Err(problem)) => Err(Missing::Never(problem.to_string())),
                None => {
                    let resolved: Result<Map<String, Value>, Missing> = members
                        .iter()
                        .map(|(name, member)| Ok((name.clone(), self.resolve(member)?)))
                        .collect();
                    resolved.map(Value::Object)
                }
            },
            other => Ok(other.clone()),
        }
    }

    fn get(&self, expression: &Expression) -> Result<Value, Missing> {
        match expression {
            Expression::Parameter(name) => {
                let value = self.execution.facts.parameters.get(name).cloned();
                value.ok_or_else(|| Missing::Never(format!("parameter `{name}` has no value")))
            }
            Expression::Variable(variable) => Ok(self.variable(*variable)),
            Expression::Step { step, path } => {
                let found = find(self.properties(step)?, path).cloned();
                found.ok_or_else(|| {
                    Missing::Never(format!("step `{step}` has no property `{}`", shown(path)))
                })
            }
            Expression::PropertyFile { step, file, path } => {
                let uri = self.uri(step, file)?;
                self.value_in(uri, path, &format!("property file `{file}` of step `{step}`"))
            }
            Expression::File { uri, path } => {
                let uri = text_of(&self.resolve(uri)?);
                let what = format!("file `{uri}`");
                self.value_in(uri, path, &what)
            }
        }
    }

    /// The value at `path` of the file at `uri`, which is called `what`.
    fn value_in(&self, uri: String, path: &[Part], what: &str) -> Result<Value, Missing> {
        match self.execution.documents.get(&uri) {
            None => Err(Missing::File(uri)),
            Some(Err(why)) => Err(Missing::Never(format!("{what} can't be read: {why}"))),
            Some(Ok(content)) => find(content, path)
                .cloned()
                .ok_or_else(|| Missing::Never(format!("{what} has no value at `{}`", shown(path)))),
        }
    }

    fn properties(&self, step: &str) -> Result<&Value, Missing> {
        match self.execution.steps.get(step).map(|run| &run.state) {
            Some(StepState::Succeeded { properties, .. }) => Ok(properties),
            _ => Err(Missing::Never(format!("step `{step}` has not been run"))),
        }
    }

    /// Where a property file is.
    fn uri(&self, step: &str, file: &str) -> Result<String, Missing> {
        let files = self.definition.step(step).into_iter().flat_map(|step| &step.property_files);
        let never = |what: String| Missing::Never(what);
        let found = files.into_iter().find(|known| known.name == file);
        let found =
            found.ok_or_else(|| never(format!("step `{step}` has no property file `{file}`")))?;
        let outputs = &self.properties(step)?["ProcessingOutputConfig"]["Outputs"];
        let output = find(outputs, &[Part::Key(found.output.clone())]);
        let uri = output.and_then(|output| output["S3Output"]["S3Uri"].as_str());
        let uri =
            uri.ok_or_else(|| never(format!("step `{step}` has no output `{}`", found.output)))?;
        Ok(format!("{}/{}", uri.trim_end_matches('/'), found.path.trim_start_matches('/')))
    }

    fn variable(&self, variable: Variable) -> Value {
        let facts = &self.execution.facts;
        match variable {
            Variable::StartDateTime => json!(date_time(facts.started_at)),
            Variable::CurrentDateTime => json!(date_time(self.now)),
            Variable::PipelineName => json!(facts.pipeline),
            Variable::PipelineArn => json!(facts.pipeline_arn),
            Variable::PipelineExecutionId => json!(facts.id),
            Variable::PipelineExecutionArn => json!(facts.arn),
            Variable::JobName => json!(self.job_name),
        }
    }
}

impl Execution {
    /// The experiment and trial that the execution belongs to.
    pub fn experiment(&self, definition: &Definition) -> Option<Value> {
        let now = self.facts.started_at;
        let scope = Scope { definition, execution: self, now, job_name: "" };
        definition.experiment.as_ref().and_then(|experiment| scope.resolve(experiment).ok())
    }
}

/// An instant as ISO 8601 has it.
fn date_time(millis: u64) -> String {
    let instant = DateTime::from_timestamp_millis(i64::try_from(millis).unwrap_or(i64::MAX));
    instant.map(|instant| instant.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()).unwrap_or_default()
}

fn shown(path: &[Part]) -> String {
    let mut text = String::new();
    for part in path {
        match part {
            Part::Key(key) if text.is_empty() => text.push_str(key),
            Part::Key(key) => text.push_str(&format!("['{key}']")),
            Part::Index(index) => text.push_str(&format!("[{index}]")),
        }
    }
    text
}
