//! Answers to callbacks.

use serde_json::{Map, Value, json};

use super::{
    event::{Answer, Failure, Outcome, Refused},
    settle::Settling,
    state::{StepState, StopCause},
};
use crate::definition::{Exception, OutputParameter, StepKind, text_of};

impl Settling<'_> {
    /// Somebody answers a callback that waits.
    pub(super) fn answered(&mut self, name: &str, answer: Answer) -> Result<(), Refused> {
        let now = self.now;
        let step = self.definition.step(name).ok_or(Refused::NoCallback)?;
        let run = self.next.steps.get_mut(name).ok_or(Refused::NoCallback)?;
        if !matches!(step.kind, StepKind::Callback(_)) {
            return Err(Refused::NoCallback);
        }
        let is_stopping = matches!(run.state, StepState::Stopping(_, StopCause::Requested));
        let order = run.state.order_mut().ok_or(Refused::NoCallback)?;
        // It can't be answered by whoever has not got the token.
        order.is_taken = true;
        let (target, token) = (order.target.clone(), order.token.clone());
        let outcome = match answer {
            Answer::Heartbeat => {
                order.heard_at = now;
                return Ok(());
            }
            // SageMaker stops when the callback has been answered, whatever the answer.
            Answer::Failure(_) if is_stopping => Outcome::Stopped,
            Answer::Failure(reason) => {
                Outcome::Failed(Failure { exception: Exception::Failure, reason })
            }
            Answer::Success(given) => {
                let outputs = outputs(&step.outputs, &given).map_err(Refused::Outputs)?;
                let metadata = json!({ "Callback": {
                    "CallbackToken": token, "SqsQueueUrl": target, "OutputParameters": listed(&outputs),
                }});
                let properties = json!({ "OutputParameters": outputs });
                Outcome::Succeeded { properties, metadata: Some(metadata) }
            }
        };
        self.ended(name, outcome);
        Ok(())
    }
}

/// The values of the declared outputs among those that are given.
pub fn outputs(
    declared: &[OutputParameter],
    given: &Map<String, Value>,
) -> Result<Map<String, Value>, String> {
    let mut outputs = Map::new();
    for output in declared {
        let (name, of) = (&output.name, output.kind.as_str());
        let Some(value) = given.get(name).filter(|value| !value.is_null()) else {
            return Err(format!("output parameter `{name}` is missing"));
        };
        let text = text_of(value);
        let typed =
            if output.kind.admits(value) { Some(value.clone()) } else { output.kind.read(&text) };
        let typed = typed.ok_or_else(|| {
            format!("output parameter `{name}` must be of type {of}, not `{text}`")
        })?;
        outputs.insert(name.clone(), typed);
    }
    Ok(outputs)
}

/// Outputs as AWS lists them: texts by name.
pub fn listed(outputs: &Map<String, Value>) -> Value {
    let entry = |(name, value): (&String, &Value)| json!({ "Name": name, "Value": text_of(value) });
    outputs.iter().map(entry).collect()
}
