//! What has to be so for a definition to be run at all.

use std::collections::{BTreeSet, HashMap, HashSet};

use bessemer_domain::nearest_names;

use super::{Definition, Expression, Part, Step, StepKind};

/// All that is wrong with a definition.
pub(super) fn problems(definition: &Definition) -> Vec<String> {
    let mut problems = duplicates(definition);
    for step in &definition.steps {
        let of_step = names(definition, step)
            .into_iter()
            .chain(references(definition, step))
            .chain(property_files(step));
        problems.extend(of_step.map(|problem| format!("step `{}`: {problem}", step.name)));
    }
    problems.extend(experiment(definition));
    if problems.is_empty() {
        problems.extend(cycle(definition));
    }
    problems
}

fn duplicates(definition: &Definition) -> Vec<String> {
    let steps = definition.steps.iter().map(|step| ("step", &step.name));
    let parameters = definition.parameters.iter().map(|parameter| ("parameter", &parameter.name));
    let mut seen = HashSet::new();
    let again = steps.chain(parameters).filter(|one| !seen.insert(*one));
    again.map(|(what, name)| format!("{what} `{name}` is there more than once")).collect()
}

/// The nearest name, as a hint.
fn hint<'n>(wrong: &str, known: impl Iterator<Item = &'n str>) -> String {
    let near = nearest_names(wrong, known, 1);
    near.first().map(|near| format!("; did you mean `{near}`?")).unwrap_or_default()
}

fn names(definition: &Definition, step: &Step) -> Vec<String> {
    let mut problems = Vec::new();
    for name in &step.depends_on {
        if definition.step(name).is_none() {
            let known = definition.steps.iter().map(|step| step.name.as_str());
            problems.push(format!("it depends on `{name}`, which is no step{}", hint(name, known)));
        }
    }
    problems
}

fn references(definition: &Definition, step: &Step) -> Vec<String> {
    let mut problems = Vec::new();
    for expression in step.expressions() {
        match expression {
            Ok(expression) => problems.extend(reference(definition, &expression)),
            Err(problem) => problems.push(problem.to_string()),
        }
    }
    problems
}

fn reference(definition: &Definition, expression: &Expression) -> Option<String> {
    match expression {
        // What its URI refers to is looked at by itself.
        Expression::Variable(_) | Expression::File { .. } => None,
        Expression::Parameter(name) if definition.parameter(name).is_some() => None,
        Expression::Parameter(name) => {
            let known = definition.parameters.iter().map(|parameter| parameter.name.as_str());
            let hint = hint(name, known);
            Some(format!("it refers to parameter `{name}`, which is not there{hint}"))
        }
        Expression::Step { step, path } => match find(definition, step) {
            Ok(found) => property(found, path),
            Err(problem) => Some(problem),
        },
        Expression::PropertyFile { step, file, .. } => match find(definition, step) {
            Ok(found) if found.property_files.iter().any(|known| known.name == *file) => None,
            Ok(found) => {
                let hint = hint(file, found.property_files.iter().map(|file| file.name.as_str()));
                Some(format!("step `{step}` has no property file `{file}`{hint}"))
            }
            Err(problem) => Some(problem),
        },
    }
}

fn find<'d>(definition: &'d Definition, name: &str) -> Result<&'d Step, String> {
    definition.step(name).ok_or_else(|| {
        let known = definition.steps.iter().map(|step| step.name.as_str());
        format!("it refers to step `{name}`, which is not there{}", hint(name, known))
    })
}

/// That a step will have a property, as far as it can be known.
fn property(step: &Step, path: &[Part]) -> Option<String> {
    let key = |index: usize| match path.get(index) {
        Some(Part::Key(key)) => key.as_str(),
        _ => "",
    };
    let missing = |what: &str, name: &str, hint: String| {
        Some(format!("step `{}` has no {what} `{name}`{hint}", step.name))
    };
    match &step.kind {
        StepKind::Lambda(_) | StepKind::Callback(_) => {
            let known = || step.outputs.iter().map(|output| output.name.as_str());
            match (key(0), key(1)) {
                ("OutputParameters", name) if known().any(|known| known == name) => None,
                ("OutputParameters", name) => missing("output", name, hint(name, known())),
                (other, _) => missing("property", other, "; it has OutputParameters".to_owned()),
            }
        }
        StepKind::Condition(_) if key(0) == "Outcome" => None,
        StepKind::Condition(_) | StepKind::Fail => missing("property", key(0), String::new()),
        StepKind::Processing if key(0) == "ProcessingOutputConfig" && key(1) == "Outputs" => {
            let outputs = step.arguments["ProcessingOutputConfig"]["Outputs"].as_array();
            let known = || {
                let outputs = outputs.into_iter().flatten();
                outputs.filter_map(|output| output["OutputName"].as_str())
            };
            let name = key(2);
            let is_known = name.is_empty() || known().any(|known| known == name);
            if is_known { None } else { missing("output", name, hint(name, known())) }
        }
        StepKind::Processing => of_type(step, key(0), "ProcessingJob", &["ProcessingOutputConfig"]),
        StepKind::Training => of_type(step, key(0), "TrainingJob", &["ModelArtifacts"]),
        StepKind::Tuning => of_type(
            step,
            key(0),
            "HyperParameterTuningJob",
            &["BestTrainingJob", "TrainingJobSummaries"],
        ),
        StepKind::Transform => of_type(step, key(0), "TransformJob", &["TransformOutput"]),
        StepKind::Model => of_type(step, key(0), "Model", &["ModelName"]),
        StepKind::RegisterModel => of_type(step, key(0), "ModelPackage", &["ModelPackageArn"]),
    }
}

/// The properties that only steps of one type have.
const TYPICAL: [(&str, &[&str]); 4] = [
    ("ProcessingJob", &["ProcessingJobName", "ProcessingJobArn", "ProcessingOutputConfig"]),
    (
        "TrainingJob",
        &["TrainingJobName", "TrainingJobArn", "ModelArtifacts", "FinalMetricDataList"],
    ),
    (
        "HyperParameterTuningJob",
        &["HyperParameterTuningJobName", "BestTrainingJob", "TrainingJobSummaries"],
    ),
    ("TransformJob", &["TransformJobName", "TransformJobArn", "TransformOutput"]),
];

fn of_type(step: &Step, property: &str, of: &str, such_as: &[&str]) -> Option<String> {
    let other = TYPICAL.iter().find(|(name, known)| *name != of && known.contains(&property));
    other.map(|(other, _)| {
        format!(
            "step `{}` is of type {} and has no `{property}`, which is of a {other}; it has {}",
            step.name,
            step.kind.as_str(),
            such_as.join(", ")
        )
    })
}

fn property_files(step: &Step) -> Vec<String> {
    let outputs = step.arguments["ProcessingOutputConfig"]["Outputs"].as_array();
    let known: Vec<&str> =
        outputs.into_iter().flatten().filter_map(|output| output["OutputName"].as_str()).collect();
    let unknown = step.property_files.iter().filter(|file| !known.contains(&file.output.as_str()));
    let problem = |file: &super::PropertyFile| {
        format!("property file `{}` is in output `{}`, which is not there", file.name, file.output)
    };
    unknown.map(problem).collect()
}

fn experiment(definition: &Definition) -> Vec<String> {
    let mut found = Vec::new();
    if let Some(experiment) = &definition.experiment {
        super::expressions(experiment, &mut found);
    }
    let problems = found.into_iter().filter_map(|expression| match expression {
        Ok(Expression::Step { .. } | Expression::PropertyFile { .. }) => {
            Some("it can't refer to steps".to_owned())
        }
        Ok(expression) => reference(definition, &expression),
        Err(problem) => Some(problem.to_string()),
    });
    problems.map(|problem| format!("PipelineExperimentConfig: {problem}")).collect()
}

/// A circle of steps that wait for each other.
fn cycle(definition: &Definition) -> Option<String> {
    let waits: HashMap<&str, &BTreeSet<String>> =
        definition.steps.iter().map(|step| (step.name.as_str(), &step.waits_for)).collect();
    let mut left: Vec<&str> = definition.steps.iter().map(|step| step.name.as_str()).collect();
    loop {
        let before = left.len();
        let waiting: HashSet<&str> = left.iter().copied().collect();
        left.retain(|name| waits[name].iter().any(|other| waiting.contains(other.as_str())));
        if left.is_empty() {
            return None;
        }
        if left.len() == before {
            break;
        }
    }
    // Each of them waits for another of them: following that leads into the circle.
    let next = |name: &str| waits[name].iter().find(|other| left.contains(&other.as_str()));
    let mut way = vec![left[0]];
    while let Some(other) = next(way[way.len() - 1]) {
        if let Some(begin) = way.iter().position(|name| name == other) {
            let circle: Vec<String> = way[begin..]
                .iter()
                .chain([&other.as_str()])
                .map(|name| format!("`{name}`"))
                .collect();
            return Some(format!("steps wait for each other: {}", circle.join(" waits for ")));
        }
        way.push(other);
    }
    None
}
