//! Container properties: what is supported of them, and what a job makes of its definition's. Pure.

use bessemer_jobs::Resources;
use serde_json::{Map, Value, json};

use super::error::Error;

/// Members that would change what a container sees or may do, and that nothing here does.
const REFUSED: [&str; 3] = ["secrets", "volumes", "mountPoints"];

/// That everything that a definition asks for is there.
pub(super) fn check(container: &Map<String, Value>) -> Result<(), Error> {
    let member = |name: &str| container.get(name).unwrap_or(&Value::Null);
    if member("image").as_str().is_none_or(str::is_empty) {
        return Err(Error::client("Container properties image is required"));
    }
    for name in REFUSED {
        if member(name).as_array().is_some_and(|given| !given.is_empty()) {
            return Err(Error::unsupported(&format!("The container property `{name}`")));
        }
    }
    if *member("privileged") == true {
        return Err(Error::unsupported("A `privileged` container"));
    }
    for name in ["devices", "tmpfs"] {
        if member("linuxParameters")[name].as_array().is_some_and(|given| !given.is_empty()) {
            return Err(Error::unsupported(&format!("The container property `{name}`")));
        }
    }
    if let Some(driver) =
        member("logConfiguration")["logDriver"].as_str().filter(|driver| *driver != "awslogs")
    {
        return Err(Error::unsupported(&format!("The log driver `{driver}`")));
    }
    check_environment(member("environment"))?;
    resources(container).map(drop)
}

/// That a list of variables leaves Batch's own alone.
pub(super) fn check_environment(variables: &Value) -> Result<(), Error> {
    for variable in variables.as_array().into_iter().flatten() {
        let name = variable["name"].as_str().unwrap_or_default();
        if name.is_empty() || name.contains(['=', '\0']) {
            return Err(Error::Client(format!("Environment variable name `{name}` is invalid")));
        }
        if name.starts_with("AWS_BATCH") {
            return Err(Error::Client(format!(
                "Environment variable name `{name}` is invalid: names that begin with AWS_BATCH are \
                 reserved"
            )));
        }
    }
    Ok(())
}

/// Cores and memory that a container asks for, by its requirements or their older forms.
pub(super) fn resources(container: &Map<String, Value>) -> Result<Resources, Error> {
    let requirements = container.get("resourceRequirements").and_then(Value::as_array);
    let required = |kind: &str| {
        let mut all = requirements.into_iter().flatten();
        all.find(|one| one["type"] == kind).and_then(|one| one["value"].as_str())
    };
    if required("GPU").is_some() {
        return Err(Error::unsupported("The resource requirement `GPU`"));
    }
    let number = |kind: &str, old: &str| match required(kind) {
        Some(text) => {
            let number = text.trim().parse::<f64>().ok().filter(|number| *number > 0.0);
            number.ok_or_else(|| {
                Error::Client(format!("The value `{text}` of the requirement {kind} is no amount"))
            })
        }
        None => container
            .get(old)
            .and_then(Value::as_f64)
            .filter(|number| *number > 0.0)
            .ok_or_else(|| {
                Error::Client(format!("Container properties resourceRequirements must have {kind}"))
            }),
    };
    let (cores, mebibytes) = (number("VCPU", "vcpus")?, number("MEMORY", "memory")?);
    Ok(Resources { cores: cores.ceil() as u32, memory: (mebibytes * f64::from(1 << 20)) as u64 })
}

/// A definition's container with what a job overrides: lists of variables and requirements by name,
/// all else whole.
pub(super) fn merged(
    definition: &Map<String, Value>,
    overrides: &Map<String, Value>,
) -> Map<String, Value> {
    let mut merged = definition.clone();
    for (name, value) in overrides {
        match name.as_str() {
            "environment" => merge_list(&mut merged, "environment", "name", value),
            "resourceRequirements" => merge_list(&mut merged, name, "type", value),
            // The older forms stand for requirements.
            "vcpus" => require(&mut merged, "VCPU", value),
            "memory" => require(&mut merged, "MEMORY", value),
            _ => {
                merged.insert(name.clone(), value.clone());
            }
        }
    }
    merged
}

fn require(container: &mut Map<String, Value>, kind: &str, value: &Value) {
    let requirement = json!([{ "type": kind, "value": value.to_string() }]);
    merge_list(container, "resourceRequirements", "type", &requirement);
}

/// Puts `new` elements in the place of those with the same `key`, or at the end.
fn merge_list(container: &mut Map<String, Value>, member: &str, key: &str, new: &Value) {
    let known = container.entry(member).or_insert(json!([]));
    let Some(known) = known.as_array_mut() else { return };
    for one in new.as_array().into_iter().flatten() {
        match known.iter_mut().find(|other| other[key] == one[key]) {
            Some(other) => *other = one.clone(),
            None => known.push(one.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(value: &Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn overrides_go_before_the_definition() {
        let definition = map(&json!({
            "image": "python:3.11", "command": ["a"], "vcpus": 2, "memory": 512,
            "environment": [{ "name": "A", "value": "1" }, { "name": "B", "value": "2" }],
        }));
        let overrides = map(&json!({
            "command": ["b"], "memory": 1024,
            "environment": [{ "name": "B", "value": "3" }, { "name": "C", "value": "4" }],
        }));
        let merged = merged(&definition, &overrides);
        assert_eq!(merged["command"], json!(["b"]));
        let values: Vec<&Value> =
            merged["environment"].as_array().unwrap().iter().map(|one| &one["value"]).collect();
        assert_eq!(values, ["1", "3", "4"]);
        let resources = resources(&merged).unwrap();
        assert_eq!(resources, Resources { cores: 2, memory: 1 << 30 });
    }

    #[test]
    fn requirements_go_before_their_older_forms() {
        let of = |requirements: Value| {
            resources(&map(&json!({ "vcpus": 4, "resourceRequirements": requirements })))
        };
        let both = json!([{"type": "VCPU", "value": "0.25"}, {"type": "MEMORY", "value": "512"}]);
        assert_eq!(of(both).unwrap(), Resources { cores: 1, memory: 512 << 20 });
        assert!(of(json!([])).unwrap_err().to_string().contains("MEMORY"));
        let gpu = json!([{"type": "GPU", "value": "1"}, {"type": "MEMORY", "value": "512"}]);
        assert!(of(gpu).unwrap_err().to_string().contains("GPU"));
    }

    #[test]
    fn what_is_not_there_is_refused() {
        let with = |name: &str, value: Value| {
            let mut container = map(&json!({ "image": "python:3", "vcpus": 1, "memory": 10 }));
            container.insert(name.to_owned(), value);
            check(&container)
        };
        assert!(with("user", json!("me")).is_ok());
        for (name, value) in [
            ("image", json!("")),
            ("privileged", json!(true)),
            ("volumes", json!([{ "name": "v" }])),
            ("logConfiguration", json!({ "logDriver": "splunk" })),
            ("environment", json!([{ "name": "AWS_BATCH_JOB_ID", "value": "1" }])),
        ] {
            assert!(with(name, value).is_err(), "{name}");
        }
    }
}
