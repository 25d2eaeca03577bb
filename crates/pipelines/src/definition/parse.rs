//! From JSON to a [`Definition`]. What is malformed is noted, and reading goes on.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    Branch, Condition, Definition, DefinitionError, OutputParameter, Parameter, ParameterType,
    PropertyFile, RetryRule, Step, StepKind, duration,
};

const VERSION: &str = "2020-12-01";

/// Types of steps that SageMaker has and that can't be run here.
const UNSUPPORTED: [&str; 15] = [
    "AutoML",
    "Athena",
    "BedrockCustomModel",
    "BedrockCustomModelDeployment",
    "BedrockModelImport",
    "BedrockProvisionedModelThroughput",
    "ClarifyCheck",
    "EMR",
    "EMRServerless",
    "Endpoint",
    "EndpointConfig",
    "ForEach",
    "InferenceComponent",
    "Lineage",
    "QualityCheck",
];

/// Reads a definition; what is wrong with it comes beside it.
pub(super) fn parse(text: &str) -> Result<(Definition, Vec<String>), DefinitionError> {
    let fatal = |problem: String| DefinitionError(vec![problem]);
    let document: Value = serde_json::from_str(text)
        .map_err(|error| fatal(format!("the definition is no valid JSON: {error}")))?;
    if !document.is_object() {
        return Err(fatal("the definition must be a JSON object".to_owned()));
    }
    let mut reader = Reader::default();
    if document["Version"] != VERSION {
        reader.note(format!("`Version` must be `{VERSION}`, not `{}`", document["Version"]));
    }
    let parameters = list(&document["Parameters"]);
    let parameters = parameters.iter().filter_map(|value| reader.parameter(value)).collect();
    match document["Steps"].as_array() {
        Some(steps) if !steps.is_empty() => reader.steps(steps, None),
        _ => reader.note("there must be at least one step".to_owned()),
    }
    let experiment = document.get("PipelineExperimentConfig").filter(|value| value.is_object());
    let Reader { steps, problems } = reader;
    Ok((Definition { parameters, experiment: experiment.cloned(), steps }, problems))
}

#[derive(Default)]
struct Reader {
    steps: Vec<Step>,
    problems: Vec<String>,
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

impl Reader {
    fn note(&mut self, problem: String) {
        self.problems.push(problem);
    }

    fn parameter(&mut self, value: &Value) -> Option<Parameter> {
        let Some(name) = text(&value["Name"]) else {
            self.note("a parameter has no `Name`".to_owned());
            return None;
        };
        let of = value["Type"].as_str().unwrap_or_default();
        let Some(kind) = ParameterType::named(of) else {
            let known: Vec<&str> = ParameterType::ALL.iter().map(|kind| kind.as_str()).collect();
            let known = known.join(", ");
            self.note(format!("parameter `{name}`: type `{of}` must be one of {known}"));
            return None;
        };
        let default = value.get("DefaultValue").filter(|value| !value.is_null()).cloned();
        let choices = value.get("EnumValues").and_then(Value::as_array).cloned();
        for wrong in default.iter().chain(choices.iter().flatten()).filter(|one| !kind.admits(one))
        {
            self.note(format!("parameter `{name}`: `{wrong}` is not of type {}", kind.as_str()));
        }
        if let (Some(default), Some(choices)) = (&default, &choices)
            && !choices.contains(default)
        {
            self.note(format!("parameter `{name}`: its default {default} is not in `EnumValues`"));
        }
        Some(Parameter { name, kind, default, choices })
    }

    fn steps(&mut self, values: &[Value], branch: Option<&Branch>) {
        for value in values {
            self.step(value, branch);
        }
    }

    fn step(&mut self, value: &Value, branch: Option<&Branch>) {
        let Some(name) = text(&value["Name"]).filter(|name| is_name(name)) else {
            let shown = &value["Name"];
            self.note(format!(
                "a step's `Name` must have 1 to 64 letters, digits, - and _, it is `{shown}`"
            ));
            return;
        };
        let kind = match kind(value) {
            Ok(kind) => kind,
            Err(problem) => {
                self.note(format!("step `{name}`: {problem}"));
                return;
            }
        };
        let mut own = Vec::new();
        let mut step = Step {
            display_name: text(&value["DisplayName"]),
            description: text(&value["Description"]),
            kind,
            arguments: match &value["Type"] {
                of if of == "Condition" => Value::Null,
                _ => value["Arguments"].clone(),
            },
            depends_on: list(&value["DependsOn"]).iter().filter_map(text).collect(),
            branch: branch.cloned(),
            cache: cache(&value["CacheConfig"]).unwrap_or_else(|problem| {
                own.push(problem);
                None
            }),
            retries: each(&value["RetryPolicies"], RetryRule::parse, &mut own),
            property_files: each(&value["PropertyFiles"], property_file, &mut own),
            outputs: each(&value["OutputParameters"], output, &mut own),
            waits_for: BTreeSet::new(),
            name: name.clone(),
        };
        step.waits_for = step.dependencies();
        self.problems.extend(own.into_iter().map(|problem| format!("step `{name}`: {problem}")));
        let nested = matches!(step.kind, StepKind::Condition(_));
        self.steps.push(step);
        if nested {
            for (member, if_true) in [("IfSteps", true), ("ElseSteps", false)] {
                let branch = Branch { condition: name.clone(), if_true };
                self.steps(list(&value["Arguments"][member]), Some(&branch));
            }
        }
    }
}

/// Reads the entries of a list; those that are malformed are noted and left out.
fn each<T>(
    value: &Value,
    read: impl Fn(&Value) -> Result<T, String>,
    problems: &mut Vec<String>,
) -> Vec<T> {
    let entries = list(value).iter().filter_map(|entry| match read(entry) {
        Ok(read) => Some(read),
        Err(problem) => {
            problems.push(problem);
            None
        }
    });
    entries.collect()
}

fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=64).contains(&name.len()) && name.bytes().all(allowed)
}

fn kind(value: &Value) -> Result<StepKind, String> {
    let needed = |member: &str| match &value[member] {
        Value::Null => Err(format!("it needs `{member}`")),
        found => Ok(found.clone()),
    };
    let of = value["Type"].as_str().unwrap_or_default();
    let kind = match of {
        "Processing" => StepKind::Processing,
        "Training" => StepKind::Training,
        "Tuning" => StepKind::Tuning,
        "Transform" => StepKind::Transform,
        "Model" => StepKind::Model,
        "RegisterModel" => StepKind::RegisterModel,
        "Lambda" => StepKind::Lambda(needed("FunctionArn")?),
        "Callback" => StepKind::Callback(needed("SqsQueueUrl")?),
        "Fail" => StepKind::Fail,
        "Condition" => {
            let conditions = list(&value["Arguments"]["Conditions"]);
            if conditions.is_empty() {
                return Err("it needs `Conditions`".to_owned());
            }
            StepKind::Condition(conditions.iter().map(Condition::parse).collect::<Result<_, _>>()?)
        }
        "" => return Err("it needs a `Type`".to_owned()),
        of if UNSUPPORTED.contains(&of) => {
            return Err(format!("steps of type {of} are not supported by Bessemer"));
        }
        of => return Err(format!("there are no steps of type `{of}`")),
    };
    match (&kind, &value["Arguments"]) {
        (StepKind::Callback(_) | StepKind::Lambda(_), Value::Null) | (_, Value::Object(_)) => {
            Ok(kind)
        }
        _ => Err("its `Arguments` must be an object".to_owned()),
    }
}

/// For how long earlier results are as good.
fn cache(value: &Value) -> Result<Option<u64>, String> {
    if value["Enabled"] != true {
        return Ok(None);
    }
    match value.get("ExpireAfter").filter(|value| !value.is_null()) {
        None => Ok(Some(u64::MAX)),
        Some(text) => match text.as_str().and_then(duration::parse) {
            Some(millis) => Ok(Some(millis)),
            None => Err(format!("`ExpireAfter` must be a duration such as `P30D`, not `{text}`")),
        },
    }
}

fn property_file(value: &Value) -> Result<PropertyFile, String> {
    let member =
        |name: &str| text(&value[name]).ok_or_else(|| format!("a property file has no `{name}`"));
    Ok(PropertyFile {
        name: member("PropertyFileName")?,
        output: member("OutputName")?,
        path: member("FilePath")?,
    })
}

fn output(value: &Value) -> Result<OutputParameter, String> {
    let name = text(&value["OutputName"]).ok_or("an output parameter has no `OutputName`")?;
    let of = value["OutputType"].as_str().unwrap_or("String");
    let kind = ParameterType::named(of)
        .ok_or_else(|| format!("output parameter `{name}` has no type `{of}`"))?;
    Ok(OutputParameter { name, kind })
}
