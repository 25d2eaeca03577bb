//! Lambda steps: functions, called with the step's arguments.

use bessemer_functions::{Functions, FunctionsError, Invoke};
use bessemer_pipelines::{Exception, Failure, Outcome, Task, listed, outputs};
use serde_json::{Map, Value, json};

/// Characters of a function's error that are kept.
const MESSAGE: usize = 1_000;

/// Calls the function, and says what came of it. A function ends with its server: the next one calls it
/// again, with the same request id.
pub(super) async fn run(functions: &Functions, task: &Task) -> Outcome {
    let arn = task.order.target.clone().unwrap_or_default();
    let (function, qualifier) = named(&arn);
    let invoke = Invoke {
        function,
        qualifier,
        payload: task.order.arguments.to_string().into(),
        client_context: None,
        request_id: task.order.name.clone(),
    };
    let failed = |exception: Exception, why: &str| {
        Outcome::Failed(Failure { exception, reason: format!("ClientError: {why}") })
    };
    let invoked = match functions.invoke(invoke).await {
        Ok(invoked) => invoked,
        Err(error) => {
            return failed(exception(&error), &format!("Failed to invoke {arn}: {error}"));
        }
    };
    let payload: Value = serde_json::from_slice(&invoked.payload).unwrap_or_default();
    if invoked.is_error {
        let text = |member: &str| payload[member].as_str().unwrap_or_default();
        let message: String = text("errorMessage").chars().take(MESSAGE).collect();
        let kind = text("errorType");
        let exception = match kind {
            "Sandbox.Timedout" => Exception::Timeout,
            _ => Exception::Failure,
        };
        return failed(exception, &format!("The function {arn} failed: {kind}: {message}"));
    }
    let given = payload.as_object().cloned().unwrap_or_else(Map::new);
    match outputs(&task.step.outputs, &given) {
        Err(why) => {
            failed(Exception::Failure, &format!("What the function {arn} returned is wrong: {why}"))
        }
        Ok(outputs) => {
            let metadata = Some(metadata(task, &listed(&outputs)));
            Outcome::Succeeded { properties: json!({ "OutputParameters": outputs }), metadata }
        }
    }
}

/// What a step is known by while its function runs.
pub(super) fn known(task: &Task) -> Value {
    metadata(task, &json!([]))
}

fn metadata(task: &Task, outputs: &Value) -> Value {
    json!({ "Lambda": { "Arn": task.order.target, "OutputParameters": outputs } })
}

/// What it is for retries that a function could not be called.
fn exception(error: &FunctionsError) -> Exception {
    match error {
        FunctionsError::Throttled(_) => Exception::Throttling,
        FunctionsError::Store(_)
        | FunctionsError::Internal(_)
        | FunctionsError::InvalidRuntime(_) => Exception::ServiceFault,
        _ => Exception::Failure,
    }
}

/// The name and the version or alias in an ARN, of whatever region and account, or in a bare name.
fn named(arn: &str) -> (String, Option<String>) {
    let name = arn.split_once(":function:").map_or(arn, |(_, name)| name);
    match name.split_once(':') {
        Some((name, qualifier)) => (name.to_owned(), Some(qualifier.to_owned())),
        None => (name.to_owned(), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_is_known_by_its_name() {
        for (arn, expected) in [
            ("arn:aws:lambda:us-east-1:123456789012:function:submit", ("submit", None)),
            (
                "arn:aws:lambda:us-east-1:123456789012:function:submit:live",
                ("submit", Some("live")),
            ),
            ("submit:3", ("submit", Some("3"))),
        ] {
            let (name, qualifier) = named(arn);
            assert_eq!((name.as_str(), qualifier.as_deref()), expected);
        }
    }
}
