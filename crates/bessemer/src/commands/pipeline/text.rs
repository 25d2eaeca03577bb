//! Executions and steps as lines for people.

use serde_json::Value;

fn text<'v>(value: &'v Value, member: &str) -> &'v str {
    value[member].as_str().unwrap_or_default()
}

/// An execution's name: its pipeline and its id.
fn name(arn: &str) -> String {
    let place = arn.split_once(":pipeline/").map_or(arn, |(_, place)| place);
    place.replace("/execution/", "/")
}

/// A pipeline or an execution in one line.
pub(super) fn line(entry: &Value) -> String {
    match entry["PipelineExecutionArn"].as_str() {
        None => format!("{}\n", text(entry, "PipelineName")),
        Some(arn) => {
            let reason =
                [entry["FailureReason"].as_str(), entry["PipelineExecutionFailureReason"].as_str()];
            let reason = reason.into_iter().flatten().next();
            let reason = reason.map(|reason| format!("  {reason}")).unwrap_or_default();
            format!("{:<10} {}{reason}\n", text(entry, "PipelineExecutionStatus"), name(arn))
        }
    }
}

/// A step in one line.
pub(super) fn step(step: &Value) -> String {
    let mut line = format!("{:<10} {}", text(step, "StepStatus"), text(step, "StepName"));
    if let (Some(start), Some(end)) = (step["StartTime"].as_f64(), step["EndTime"].as_f64()) {
        line.push_str(&format!("  {:.1} s", end - start));
    }
    if let Some(attempts) = step["AttemptCount"].as_u64().filter(|attempts| *attempts > 1) {
        line.push_str(&format!("  attempt {attempts}"));
    }
    for (member, what) in
        [("CacheHitResult", "cached from"), ("SelectiveExecutionResult", "taken from")]
    {
        if let Some(arn) = step[member]["SourcePipelineExecutionArn"].as_str() {
            line.push_str(&format!("  {what} {}", name(arn)));
        }
    }
    if let Some(outcome) = step["Metadata"]["Condition"]["Outcome"].as_str() {
        line.push_str(&format!("  {}", outcome.to_lowercase()));
    }
    if let Some(reason) = step["FailureReason"].as_str() {
        line.push_str(&format!("  {reason}"));
    }
    line.push('\n');
    line
}

/// An execution with its steps.
pub(super) fn whole(execution: &Value, steps: &[Value]) -> String {
    let steps = steps.iter().map(|one| format!("  {}", step(one)));
    line(execution) + &steps.collect::<String>()
}

/// What an execution would do, a line a step.
pub(super) fn plan(plan: &Value) -> String {
    let line = |step: &Value| {
        let word = match (text(step, "Prospect"), text(step, "Outcome")) {
            ("Runs" | "RunsUnlessCached", _) => "run",
            ("Decides", outcome) => &outcome.to_lowercase(),
            (other, _) => &other.to_lowercase(),
        };
        let mut line = format!("{word:<10} {}", text(step, "StepName"));
        if let Some(arn) = step["SourcePipelineExecutionArn"].as_str() {
            line.push_str(&format!("  from {}", name(arn)));
        }
        if let Some(reason) = step["Reason"].as_str() {
            line.push_str(&format!("  {reason}"));
        }
        line + "\n"
    };
    plan["Steps"].as_array().into_iter().flatten().map(line).collect()
}

/// Why an execution is where it is.
pub(super) fn why(execution: &Value, steps: &[Value]) -> String {
    let of = |statuses: &[&str]| -> Vec<String> {
        let found = steps.iter().filter(|step| statuses.contains(&text(step, "StepStatus")));
        found.map(|step| format!("`{}`", text(step, "StepName"))).collect()
    };
    let status = text(execution, "PipelineExecutionStatus");
    let mut said = match status {
        "Succeeded" => "It succeeded: all steps that belong to it are done.".to_owned(),
        "Failed" => format!("It failed. {}", text(execution, "FailureReason")),
        "Stopped" => "It was stopped.".to_owned(),
        "Stopping" => "It is being stopped.".to_owned(),
        _ => "It runs.".to_owned(),
    };
    for (statuses, words) in [
        (&["Starting", "Executing"][..], "under way"),
        (&["Stopping"][..], "told to stop"),
        (&["Stopped"][..], "stopped"),
    ] {
        let names = of(statuses);
        if !names.is_empty() {
            said.push_str(&format!("\n{}: {}", words, names.join(", ")));
        }
    }
    for waiting in steps.iter().filter(|step| text(step, "StepStatus") == "Starting") {
        if let Some(reason) = waiting["FailureReason"].as_str() {
            said.push_str(&format!(
                "\n`{}` is tried again after: {reason}",
                text(waiting, "StepName")
            ));
        }
    }
    for step in steps {
        let callback = &step["Metadata"]["Callback"];
        if text(step, "StepStatus") == "Executing" && callback.is_object() {
            let (name, queue) = (text(step, "StepName"), text(callback, "SqsQueueUrl"));
            said.push_str(&format!("\n`{name}` waits for an answer; its message went to {queue}"));
        }
    }
    if matches!(status, "Failed" | "Stopped") {
        said.push_str(&format!(
            "\nRun the rest by `bessemer pipeline retry {}`",
            name(text(execution, "PipelineExecutionArn"))
        ));
    }
    said + "\n"
}
