//! `cargo xtask aws-models`: derives the compact models of `bessemer-aws-wire` from botocore's
//! `service-2.json` files: the operations that are listed here, the shapes they reach, and the
//! names of all other operations.

mod wanted;

use std::{
    collections::BTreeSet,
    fs,
    io::Read,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value, json};
use wanted::{Query, WANTED, Wanted};

use crate::{environment::Environment, workspace};

const METADATA: &[&str] = &[
    "apiVersion",
    "protocol",
    "jsonVersion",
    "targetPrefix",
    "xmlNamespace",
    "signingName",
    "endpointPrefix",
    "awsQueryCompatible",
];

const SHAPE: &[&str] = &[
    "type",
    "required",
    "enum",
    "min",
    "max",
    "pattern",
    "sensitive",
    "document",
    "flattened",
    "payload",
    "timestampFormat",
    "error",
    "exception",
    "fault",
];

const MEMBER: &[&str] = &["shape", "location", "locationName", "flattened", "timestampFormat"];

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let only_check = arguments.iter().any(|argument| argument == "--check");
    let folder = match arguments.iter().find(|argument| !argument.starts_with("--")) {
        Some(folder) => PathBuf::from(folder),
        None => Environment::prepare()?.package("botocore")?,
    };
    derive(&folder, only_check)
}

/// That the models are the ones of the environment's botocore.
pub(crate) fn check(environment: &Environment) -> Result<()> {
    derive(&environment.package("botocore")?, true)
}

fn derive(folder: &Path, only_check: bool) -> Result<()> {
    for wanted in WANTED {
        let model = compact(&read_model(folder, wanted.name)?, wanted)
            .with_context(|| format!("failed to derive the model of `{}`", wanted.name))?;
        let target = workspace::root().join(wanted.target);
        if !only_check {
            fs::create_dir_all(target.parent().context("a target has a folder")?)?;
            fs::write(&target, model)
                .with_context(|| format!("failed to write `{}`", target.display()))?;
            println!("{}", wanted.target);
        } else if fs::read_to_string(&target).ok().as_deref() != Some(model.as_str()) {
            bail!("`{}` is not what botocore says: run `cargo xtask aws-models`", wanted.target);
        }
    }
    Ok(())
}

/// The newest model of a service, unpacked if it is gzipped.
fn read_model(botocore: &Path, service: &str) -> Result<Value> {
    let folder = botocore.join("data").join(service);
    let entries = fs::read_dir(&folder)
        .with_context(|| format!("failed to read the folder `{}`", folder.display()))?;
    let mut versions: Vec<PathBuf> =
        entries.filter_map(Result::ok).map(|entry| entry.path()).collect();
    versions.sort();
    let newest = versions.pop().with_context(|| format!("`{}` is empty", folder.display()))?;
    let plain = newest.join("service-2.json");
    let text = if plain.is_file() {
        fs::read_to_string(&plain)?
    } else {
        let packed = newest.join("service-2.json.gz");
        let bytes =
            fs::read(&packed).with_context(|| format!("failed to read `{}`", packed.display()))?;
        let mut text = String::new();
        flate2::read::GzDecoder::new(bytes.as_slice()).read_to_string(&mut text)?;
        text
    };
    serde_json::from_str(&text).with_context(|| format!("`{service}` is not JSON"))
}

fn compact(full: &Value, wanted: &Wanted) -> Result<String> {
    let all = full["operations"].as_object().context("no operations")?;
    let mut metadata = picked(&full["metadata"], METADATA);
    metadata.insert("validationError".to_owned(), json!(wanted.validation_error));
    let mut operations = Map::new();
    let mut reached = BTreeSet::new();
    for name in wanted.operations {
        let operation = all.get(*name).with_context(|| format!("no operation `{name}`"))?;
        let (compact, roots) = compact_operation(operation);
        operations.insert((*name).to_owned(), compact);
        for root in roots {
            reach(full, &root, &mut reached)?;
        }
    }
    let rest = metadata["protocol"].as_str().is_some_and(|protocol| protocol.starts_with("rest"));
    let others = all.iter().filter(|(name, _)| !wanted.operations.contains(&name.as_str()));
    let unsupported: Vec<String> = others
        .map(|(name, operation)| {
            let text = |key: &str| operation["http"][key].as_str().unwrap_or_default();
            let place = || format!("{name} {} {}", text("method"), text("requestUri"));
            if rest { place() } else { name.clone() }
        })
        .collect();
    let mut shapes: Map<String, Value> = reached
        .into_iter()
        .map(|name| {
            let mut shape = compact_shape(&full["shapes"][&name]);
            if wanted.may_be_empty.contains(&name.as_str()) {
                shape["min"] = json!(0);
            }
            if let Some(shape) = shape.as_object_mut()
                && wanted.open.contains(&name.as_str())
            {
                shape.remove("enum");
            }
            (name, shape)
        })
        .collect();
    if let Some(query) = wanted.query {
        add_query(query, &mut metadata, &mut operations, &mut shapes)?;
    }
    Ok(render(&metadata, &operations, &unsupported, &shapes))
}

/// Adds what the query protocol needs.
fn add_query(
    query: &Query,
    metadata: &mut Map<String, Value>,
    operations: &mut Map<String, Value>,
    shapes: &mut Map<String, Value>,
) -> Result<()> {
    metadata.insert("xmlNamespace".to_owned(), json!(query.namespace));
    for (name, operation) in operations.iter_mut().filter(|(_, row)| !row["output"].is_null()) {
        operation["wrapper"] = json!(format!("{name}Result"));
    }
    for (shape, names) in query.parts {
        let shape = shapes.get_mut(*shape).with_context(|| format!("no shape `{shape}`"))?;
        let parts: &[&str] = if names.len() == 1 { &["member"] } else { &["key", "value"] };
        for (part, name) in parts.iter().zip(*names) {
            shape[part]["locationName"] = json!(name);
        }
    }
    for (shape, member, name) in query.members {
        let shape = shapes.get_mut(*shape).with_context(|| format!("no shape `{shape}`"))?;
        shape["members"][member]["queryName"] = json!(name);
    }
    Ok(())
}

/// An operation without its prose, and the names of its shapes.
fn compact_operation(operation: &Value) -> (Value, Vec<String>) {
    let mut compact = Map::new();
    let mut roots = Vec::new();
    compact.insert("method".to_owned(), operation["http"]["method"].clone());
    compact.insert("uri".to_owned(), operation["http"]["requestUri"].clone());
    if let Some(status) = operation["http"].get("responseCode") {
        compact.insert("status".to_owned(), status.clone());
    }
    for side in ["input", "output"] {
        if let Some(name) = operation[side]["shape"].as_str() {
            compact.insert(side.to_owned(), json!(name));
            roots.push(name.to_owned());
        }
    }
    if let Some(wrapper) = operation["output"].get("resultWrapper") {
        compact.insert("wrapper".to_owned(), wrapper.clone());
    }
    let errors = operation["errors"].as_array().into_iter().flatten();
    let errors: Vec<&str> = errors.filter_map(|error| error["shape"].as_str()).collect();
    roots.extend(errors.iter().map(|&name| name.to_owned()));
    compact.insert("errors".to_owned(), json!(errors));
    (Value::Object(compact), roots)
}

/// Adds `name` and all that it refers to.
fn reach(full: &Value, name: &str, reached: &mut BTreeSet<String>) -> Result<()> {
    if !reached.insert(name.to_owned()) {
        return Ok(());
    }
    let shape = full["shapes"].get(name).with_context(|| format!("no shape `{name}`"))?;
    let members = shape["members"].as_object().into_iter().flatten().map(|(_, member)| member);
    let parts = ["member", "key", "value"].into_iter().filter_map(|part| shape.get(part));
    for part in members.chain(parts) {
        let next =
            part["shape"].as_str().with_context(|| format!("a nameless part of `{name}`"))?;
        reach(full, next, reached)?;
    }
    Ok(())
}

fn compact_shape(shape: &Value) -> Value {
    let mut compact = picked(shape, SHAPE);
    for part in ["member", "key", "value"] {
        if let Some(part_shape) = shape.get(part) {
            compact.insert(part.to_owned(), Value::Object(picked(part_shape, MEMBER)));
        }
    }
    if let Some(members) = shape["members"].as_object() {
        let members: Map<String, Value> = members
            .iter()
            .map(|(name, member)| (name.clone(), Value::Object(picked(member, MEMBER))))
            .collect();
        compact.insert("members".to_owned(), Value::Object(members));
    }
    Value::Object(compact)
}

fn picked(from: &Value, keys: &[&str]) -> Map<String, Value> {
    let found = keys.iter().filter_map(|key| Some(((*key).to_owned(), from.get(key)?.clone())));
    found.collect()
}

/// JSON with a line an operation and a shape, so that a change of AWS's reads well in a diff.
fn render(
    metadata: &Map<String, Value>,
    operations: &Map<String, Value>,
    unsupported: &[String],
    shapes: &Map<String, Value>,
) -> String {
    let lines = |map: &Map<String, Value>| {
        let lines = map.iter().map(|(name, value)| format!("{}:{value}", json!(name)));
        lines.collect::<Vec<_>>().join(",\n")
    };
    let metadata = Value::Object(metadata.clone());
    format!(
        "{{\"metadata\":{metadata},\n\"operations\":{{\n{}\n}},\n\"unsupported\":{},\n\"shapes\":{{\n{}\n}}}}\n",
        lines(operations),
        json!(unsupported),
        lines(shapes)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_reached_is_kept() {
        let full = json!({
            "metadata": {"protocol": "json", "serviceFullName": "prose"},
            "operations": {
                "A": {"http": {"method": "POST", "requestUri": "/"}, "input": {"shape": "In"}},
                "B": {"http": {"method": "POST", "requestUri": "/"}}
            },
            "shapes": {
                "In": {"type": "structure", "members": {"Self": {"shape": "In", "documentation": "d"},
                    "L": {"shape": "List"}}},
                "List": {"type": "list", "member": {"shape": "Name"}},
                "Name": {"type": "string", "documentation": "d", "max": 3},
                "Other": {"type": "string"}
            }
        });
        let wanted = Wanted {
            name: "x",
            target: "x",
            validation_error: "V",
            operations: &["A"],
            may_be_empty: &[],
            open: &[],
            query: None,
        };
        let compact: Value = serde_json::from_str(&compact(&full, &wanted).unwrap()).unwrap();
        assert_eq!(
            compact,
            json!({
                "metadata": {"protocol": "json", "validationError": "V"},
                "operations": {"A": {"method": "POST", "uri": "/", "input": "In", "errors": []}},
                "unsupported": ["B"],
                "shapes": {
                    "In": {"type": "structure", "members": {"Self": {"shape": "In"}, "L": {"shape": "List"}}},
                    "List": {"type": "list", "member": {"shape": "Name"}},
                    "Name": {"type": "string", "max": 3}
                }
            })
        );
    }
}
