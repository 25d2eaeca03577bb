//! What arguments refer to: `Get`, `Std:Join` and `Std:JsonGet`.

use serde_json::{Map, Value};

use super::path::{Part, parse_path};

/// A reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expression {
    /// A parameter's value.
    Parameter(String),
    /// Something about the execution.
    Variable(Variable),
    /// A property of a step that has ended.
    Step {
        /// The step's name.
        step: String,
        /// Where the property is.
        path: Vec<Part>,
    },
    /// A value in a property file.
    PropertyFile {
        /// The step that wrote it.
        step: String,
        /// The file's name there.
        file: String,
        /// Where the value is in it.
        path: Vec<Part>,
    },
    /// A value in a file of JSON that a step left, as steps that are functions do.
    File {
        /// Where the file is, which may itself hold references.
        uri: Value,
        /// Where the value is in it.
        path: Vec<Part>,
    },
}

impl Expression {
    /// The step that it refers to. What the URI of a file refers to is an expression by itself.
    pub(crate) fn into_step(self) -> Option<String> {
        match self {
            Self::Step { step, .. } | Self::PropertyFile { step, .. } => Some(step),
            Self::Parameter(_) | Self::Variable(_) | Self::File { .. } => None,
        }
    }
}

/// What can be known of an execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variable {
    /// When it was started.
    StartDateTime,
    /// When the step is started.
    CurrentDateTime,
    /// The pipeline's name.
    PipelineName,
    /// The pipeline's ARN.
    PipelineArn,
    /// The execution's id.
    PipelineExecutionId,
    /// The execution's ARN.
    PipelineExecutionArn,
    /// The name of the training or processing job that the step runs.
    JobName,
}

/// What is wrong with a reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Problem {
    /// It is none of the forms that there are.
    #[error("`{0}` is no reference; there is Parameters.…, Execution.… and Steps.…")]
    Malformed(String),
    /// The function has not the members that it needs.
    #[error("`{function}` needs {needs}")]
    Function {
        /// Its name.
        function: &'static str,
        /// What it needs.
        needs: &'static str,
    },
}

const JOIN: &str = "Std:Join";
const JSON_GET: &str = "Std:JsonGet";

/// A function or reference that an object stands for.
pub(crate) enum Form<'v> {
    /// `Get`.
    Get(Expression),
    /// `Std:Join`.
    Join { on: &'v str, values: &'v [Value] },
}

/// Tells what an object stands for; none if it is just an object.
pub(crate) fn form(members: &Map<String, Value>) -> Option<Result<Form<'_>, Problem>> {
    let (name, value) = members.iter().next().filter(|_| members.len() == 1)?;
    match (name.as_str(), value) {
        ("Get", Value::String(text)) => {
            Some(reference(text).map(Form::Get).ok_or_else(|| Problem::Malformed(text.clone())))
        }
        (JOIN, value) => Some(match (value["On"].as_str(), value["Values"].as_array()) {
            (Some(on), Some(values)) => Ok(Form::Join { on, values }),
            _ => Err(Problem::Function { function: JOIN, needs: "`On` and a list of `Values`" }),
        }),
        (JSON_GET, value) => Some(json_get(value).map(Form::Get).ok_or(Problem::Function {
            function: JSON_GET,
            needs: "a `PropertyFile` such as {\"Get\": \"Steps.Evaluate.PropertyFiles.Report\"}, or an \
                    `S3Uri`, and a `Path` such as `metrics.auc`",
        })),
        _ => None,
    }
}

fn reference(text: &str) -> Option<Expression> {
    let (root, rest) = text.split_once('.')?;
    match root {
        "Parameters" => Some(Expression::Parameter(rest.to_owned())),
        "Execution" => Some(Expression::Variable(match rest {
            "StartDateTime" => Variable::StartDateTime,
            "CurrentDateTime" => Variable::CurrentDateTime,
            "PipelineName" => Variable::PipelineName,
            "PipelineArn" => Variable::PipelineArn,
            "PipelineExecutionId" => Variable::PipelineExecutionId,
            "PipelineExecutionArn" => Variable::PipelineExecutionArn,
            "TrainingJobName" | "ProcessingJobName" => Variable::JobName,
            _ => return None,
        })),
        "Steps" => {
            let (step, path) = rest.split_once('.')?;
            Some(Expression::Step { step: step.to_owned(), path: parse_path(path)? })
        }
        _ => None,
    }
}

fn json_get(value: &Value) -> Option<Expression> {
    let path = parse_path(value["Path"].as_str()?)?;
    if let Some(uri) = value.get("S3Uri") {
        return Some(Expression::File { uri: uri.clone(), path });
    }
    let file = value["PropertyFile"]["Get"].as_str()?;
    let (step, file) = file.strip_prefix("Steps.")?.split_once(".PropertyFiles.")?;
    Some(Expression::PropertyFile { step: step.to_owned(), file: file.to_owned(), path })
}

/// Gathers all that `value` refers to.
pub(crate) fn expressions(value: &Value, found: &mut Vec<Result<Expression, Problem>>) {
    match value {
        Value::Array(entries) => entries.iter().for_each(|entry| expressions(entry, found)),
        Value::Object(members) => match form(members) {
            Some(Ok(Form::Get(expression))) => {
                if let Expression::File { uri, .. } = &expression {
                    expressions(uri, found);
                }
                found.push(Ok(expression));
            }
            Some(Ok(Form::Join { values, .. })) => {
                for value in values {
                    expressions(value, found);
                }
            }
            Some(Err(problem)) => found.push(Err(problem)),
            None => members.values().for_each(|member| expressions(member, found)),
        },
        _ => {}
    }
}
