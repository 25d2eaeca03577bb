//! What AWS's definitions have no place for: a step's `BESSEMER_STEP_*`, among the arguments of
//! functions and callbacks, or in the environment of jobs.

use serde_json::{Map, Value};

use super::state::Order;

const TIMEOUT: &str = "BESSEMER_STEP_TIMEOUT";
const HEARTBEAT: &str = "BESSEMER_STEP_HEARTBEAT";
const RETRIES: &str = "BESSEMER_STEP_RETRIES";

/// Takes the settings out of an order's arguments.
pub(super) fn take(order: &mut Order) -> Result<(), String> {
    let is_job = order.target.is_none();
    let Some(arguments) = order.arguments.as_object_mut() else { return Ok(()) };
    let members = if is_job {
        match arguments.get_mut("Environment").and_then(Value::as_object_mut) {
            Some(environment) => environment,
            None => return Ok(()),
        }
    } else {
        arguments
    };
    order.timeout_millis = seconds(members, TIMEOUT)?;
    order.heartbeat_millis = seconds(members, HEARTBEAT)?;
    order.retries = number(members, RETRIES)?.map(|count| count as u32);
    Ok(())
}

fn seconds(members: &mut Map<String, Value>, name: &str) -> Result<Option<u64>, String> {
    Ok(number(members, name)?.map(|seconds| (seconds * 1_000.0) as u64))
}

fn number(members: &mut Map<String, Value>, name: &str) -> Result<Option<f64>, String> {
    let Some(value) = members.shift_remove(name) else { return Ok(None) };
    let number = match &value {
        Value::String(text) => text.parse().ok(),
        other => other.as_f64(),
    };
    match number.filter(|number: &f64| *number >= 0.0) {
        Some(number) => Ok(Some(number)),
        None => Err(format!("`{name}` must be a number, not `{value}`")),
    }
}
