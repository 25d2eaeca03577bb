//! Functions: made, shown, listed, changed and deleted.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use bessemer_functions::{
    CodeSource, CodeUpdate, CreateFunction, Functions, FunctionsError, Runtime, SettingsChange,
};
use bessemer_store::Tag;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    configuration::{architecture, configuration as render},
    error::Error,
    names::FunctionName,
    pages::{Paging, key_of},
};
use crate::{caller::Caller, platform::Platform};

/// What is asked for and can't be had, if it is more than nothing.
const UNSUPPORTED: [&str; 12] = [
    "AcceleratorConfig",
    "CapacityProviderConfig",
    "CodeSigningConfigArn",
    "DurableConfig",
    "FileSystemConfigs",
    "ImageConfig",
    "KMSKeyArn",
    "PublishTo",
    "RuntimeConfig",
    "SourceKMSKeyArn",
    "TenancyConfig",
    "VpcConfig",
];

/// What can be set on a function.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Wanted {
    runtime: Option<String>,
    role: Option<String>,
    handler: Option<String>,
    description: Option<String>,
    timeout: Option<u32>,
    memory_size: Option<u32>,
    environment: Option<Environment>,
    layers: Option<Vec<String>>,
    ephemeral_storage: Option<EphemeralStorage>,
    dead_letter_config: Option<DeadLetterConfig>,
    tracing_config: Option<TracingConfig>,
    logging_config: Option<LoggingConfig>,
    snap_start: Option<SnapStart>,
    architectures: Option<Vec<String>>,
    package_type: Option<String>,
    revision_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Environment {
    variables: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct EphemeralStorage {
    size: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DeadLetterConfig {
    target_arn: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TracingConfig {
    mode: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct LoggingConfig {
    log_format: Option<String>,
    log_group: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SnapStart {
    apply_on: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Qualified {
    function_name: String,
    qualifier: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListFunctions {
    function_version: Option<String>,
    #[serde(flatten)]
    paging: Paging,
}

/// Where code comes from.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct WireCode {
    zip_file: Option<String>,
    s3_bucket: Option<String>,
    s3_key: Option<String>,
    s3_object_version: Option<String>,
    image_uri: Option<String>,
}

impl Qualified {
    pub(super) fn name(self, caller: &Caller) -> Result<FunctionName, Error> {
        FunctionName::parse(caller, &self.function_name, self.qualifier)
    }
}

impl WireCode {
    pub(super) fn source(self) -> Result<CodeSource, Error> {
        if self.image_uri.is_some() {
            return Err(unsupported("ImageUri"));
        }
        if self.s3_object_version.is_some() {
            return Err(unsupported("S3ObjectVersion"));
        }
        match (self.zip_file, self.s3_bucket, self.s3_key) {
            (Some(zip), None, None) => {
                let bytes = STANDARD.decode(zip);
                let broken = |_| Error::invalid("ZipFile is no base64");
                Ok(CodeSource::Zip(bytes.map_err(broken)?))
            }
            (None, Some(bucket), Some(key)) => Ok(CodeSource::Object { bucket, key }),
            (None, None, None) => Err(Error::invalid("Please provide a source for function code.")),
            _ => Err(Error::invalid(
                "Please do not provide other FunctionCode parameters when providing a ZipFile.",
            )),
        }
    }
}

impl Wanted {
    fn change(self) -> Result<SettingsChange, Error> {
        if self.package_type.is_some_and(|kind| kind != "Zip") {
            return Err(Error::invalid(
                "PackageType has to be Zip: images are not supported by Bessemer",
            ));
        }
        check_architectures(self.architectures.as_deref())?;
        if self.snap_start.and_then(|start| start.apply_on).is_some_and(|on| on != "None") {
            return Err(unsupported("SnapStart"));
        }
        let logging = self.logging_config;
        if logging.as_ref().and_then(|logging| logging.log_format.as_deref()) == Some("JSON") {
            return Err(unsupported("LogFormat JSON"));
        }
        let runtime = self.runtime.as_deref().map(Runtime::parse);
        Ok(SettingsChange {
            runtime: runtime.transpose()?,
            role: self.role,
            handler: self.handler,
            description: self.description,
            timeout: self.timeout,
            memory: self.memory_size,
            tmp: self.ephemeral_storage.map(|storage| storage.size),
            variables: self.environment.map(|given| given.variables.unwrap_or_default()),
            layers: None,
            dead_letter: self.dead_letter_config.map(|c| c.target_arn.unwrap_or_default()),
            tracing: self.tracing_config.and_then(|tracing| tracing.mode),
            log_group: logging.and_then(|logging| logging.log_group),
        })
    }
}

fn check_architectures(architectures: Option<&[String]>) -> Result<(), Error> {
    match architectures {
        // Nobody who doesn't care says which: then it is the machine's own.
        Some(asked) if !asked.is_empty() && !asked.iter().any(|one| one == architecture()) => {
            let (asked, own) = (asked.join(", "), architecture());
            Err(Error::invalid(format!("Architectures {asked}: this machine runs {own}")))
        }
        _ => Ok(()),
    }
}

fn unsupported(what: &str) -> Error {
    Error::invalid(format!("{what} is not supported by Bessemer"))
}

/// Refuses what would have to be done and is not.
fn check_supported(input: &Value) -> Result<(), Error> {
    let is_nothing = |value: &Value| match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(values) => values.is_empty(),
        Value::Object(members) => members.values().all(|value| match value {
            Value::Array(values) => values.is_empty(),
            Value::Bool(truth) => !truth,
            other => other.is_null(),
        }),
        _ => false,
    };
    match UNSUPPORTED.into_iter().find(|name| !is_nothing(&input[*name])) {
        Some(name) => Err(unsupported(name)),
        None => Ok(()),
    }
}

fn read<'v, T: Deserialize<'v>>(input: &'v Value) -> Result<T, Error> {
    T::deserialize(input).map_err(|error| FunctionsError::Internal(error.into()).into())
}

pub(super) async fn create(
    platform: &Platform,
    caller: &Caller,
    input: &Value,
) -> Result<Value, Error> {
    check_supported(input)?;
    let wanted: Wanted = read(input)?;
    let name: String = read(&input["FunctionName"])?;
    let name = FunctionName::whole(caller, &name)?;
    if name.name.len() > 64 {
        return Err(Error::invalid(format!(
            "1 validation error detected: Value '{}' at 'functionName' failed to satisfy \
             constraint: Member must have length less than or equal to 64",
            name.name
        )));
    }
    let code: WireCode = read(&input["Code"])?;
    let tags: BTreeMap<String, String> = read::<Option<_>>(&input["Tags"])?.unwrap_or_default();
    let layers = wanted.layers.clone().unwrap_or_default();
    let publish = input["Publish"].as_bool().unwrap_or_default();
    let create = CreateFunction {
        name: name.name,
        arn: name.arn,
        source: code.source()?,
        settings: wanted.change()?,
        layers,
        tags: tags.into_iter().map(|(key, value)| Tag::new(key, value)).collect(),
        publish,
    };
    let function = platform.functions.create(create).await?;
    let (version, qualifier) = match function.versions.first_key_value() {
        Some((number, version)) => (version, Some(number.to_string())),
        None => (&function.latest, None),
    };
    Ok(Value::Object(render(&platform.functions, &function, version, qualifier.as_deref())))
}

pub(super) async fn get(
    platform: &Platform,
    caller: &Caller,
    asked: Qualified,
) -> Result<Value, Error> {
    let functions = &platform.functions;
    let name = asked.name(caller)?;
    let function = functions.get(&name.name, &name.arn)?;
    let qualifier = name.qualifier.as_deref();
    let version = function.resolve(qualifier, 1.0)?;
    let tags = platform.store.tags().list(&function.arn).await?;
    let tags: Map<String, Value> =
        tags.into_iter().map(|tag| (tag.key, Value::from(tag.value))).collect();
    let mut answer = json!({
        "Configuration": render(functions, &function, version, qualifier),
        "Code": { "RepositoryType": "S3" },
    });
    if !tags.is_empty() {
        answer["Tags"] = Value::Object(tags);
    }
    if let Some(reserved) = function.reserved {
        answer["Concurrency"] = json!({ "ReservedConcurrentExecutions": reserved });
    }
    Ok(answer)
}

pub(super) fn configuration(
    functions: &Functions,
    caller: &Caller,
    asked: Qualified,
) -> Result<Value, Error> {
    let name = asked.name(caller)?;
    let function = functions.get(&name.name, &name.arn)?;
    let qualifier = name.qualifier.as_deref();
    let version = function.resolve(qualifier, 1.0)?;
    Ok(Value::Object(render(functions, &function, version, qualifier)))
}

pub(super) fn list(functions: &Functions, input: ListFunctions) -> Value {
    let is_all = input.function_version.is_some();
    let mut items = Vec::new();
    for function in functions.list() {
        let versions = function.all_versions().filter(|v| is_all || v.number.is_none());
        for version in versions {
            let key = format!("{} {}", function.name, key_of(version.number.unwrap_or_default()));
            let qualifier = is_all.then(|| version.name());
            items.push((key, render(functions, &function, version, qualifier.as_deref())));
        }
    }
    items.sort_by(|one, other| one.0.cmp(&other.0));
    let (page, next) = input.paging.page(items);
    json!({ "Functions": page, "NextMarker": next })
}

pub(super) async fn update_code(
    functions: &Functions,
    caller: &Caller,
    input: &Value,
) -> Result<Value, Error> {
    check_supported(input)?;
    let asked: Qualified = read(input)?;
    let name = FunctionName::whole(caller, &asked.function_name)?;
    let wanted: Wanted = read(input)?;
    check_architectures(wanted.architectures.as_deref())?;
    let code: WireCode = read(input)?;
    let is = |flag: &str| input[flag].as_bool().unwrap_or_default();
    let update = CodeUpdate {
        source: code.source()?,
        publish: is("Publish"),
        dry_run: is("DryRun"),
        revision: wanted.revision_id,
    };
    let (function, version) = functions.update_code(&name.name, &name.arn, update).await?;
    let qualifier = version.number.map(|number| number.to_string());
    Ok(Value::Object(render(functions, &function, &version, qualifier.as_deref())))
}

pub(super) async fn update(
    functions: &Functions,
    caller: &Caller,
    input: &Value,
) -> Result<Value, Error> {
    check_supported(input)?;
    let asked: Qualified = read(input)?;
    let name = FunctionName::whole(caller, &asked.function_name)?;
    let mut wanted: Wanted = read(input)?;
    let (layers, revision) = (wanted.layers.take(), wanted.revision_id.take());
    let change = wanted.change()?;
    let updated = functions.update_settings(&name.name, &name.arn, change, (layers, revision));
    let function = updated.await?;
    Ok(Value::Object(render(functions, &function, &function.latest, None)))
}

pub(super) async fn delete(
    functions: &Functions,
    caller: &Caller,
    asked: Qualified,
) -> Result<Value, Error> {
    let name = asked.name(caller)?;
    functions.delete(&name.name, &name.arn, name.qualifier.as_deref()).await?;
    Ok(json!({ "StatusCode": 204 }))
}
