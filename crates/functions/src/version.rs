//! [`Version`]: code with its settings. What a name stands for now is one, too: `$LATEST`.

use std::collections::BTreeMap;

use rand::RngExt;
use serde::{Deserialize, Serialize};

use crate::{FunctionsError, Runtime};

/// The version that changes.
pub(crate) const LATEST: &str = "$LATEST";
/// Bytes of all variables together.
const VARIABLES: usize = 4096;
/// Variables that Lambda sets itself.
const RESERVED: [&str; 15] = [
    "_HANDLER",
    "_X_AMZN_TRACE_ID",
    "AWS_DEFAULT_REGION",
    "AWS_REGION",
    "AWS_EXECUTION_ENV",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_INITIALIZATION_TYPE",
    "AWS_LAMBDA_LOG_GROUP_NAME",
    "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_LAMBDA_RUNTIME_API",
    "LAMBDA_TASK_ROOT",
];

/// A version of a function.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Version {
    /// Its number; none: `$LATEST`.
    pub number: Option<u64>,
    /// What is set.
    pub settings: Settings,
    /// The code.
    pub code: Code,
    /// Another one after each change.
    pub revision: String,
    /// When it was last changed, in milliseconds since 1970.
    pub modified_at: u64,
}

/// A code archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Code {
    /// The hash of its bytes in hexadecimal: its name.
    pub sha256: String,
    /// Its bytes.
    pub size: u64,
    /// The bytes of what it holds.
    pub unpacked: u64,
}

/// A version of a layer, as a function has it. It stays so when the layer goes away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerUse {
    /// The ARN of the version.
    pub arn: String,
    /// What it holds.
    pub code: Code,
}

/// What can be set on a function.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Which Python.
    pub runtime: Runtime,
    /// The role's ARN, which is kept and shown.
    pub role: String,
    /// `module.function`.
    pub handler: String,
    /// For people.
    pub description: String,
    /// Seconds that an invocation may take.
    pub timeout: u32,
    /// Memory in MiB.
    pub memory: u32,
    /// Room in `/tmp` in MiB.
    pub tmp: u32,
    /// Environment variables.
    pub variables: BTreeMap<String, String>,
    /// What is laid under `/opt`, in this order.
    pub layers: Vec<LayerUse>,
    /// The queue that gets events whose invocations failed.
    pub dead_letter: Option<String>,
    /// `Active` or `PassThrough`, which is kept and shown.
    pub tracing: String,
    /// Where logs go, if not to `/aws/lambda/<name>`.
    pub log_group: Option<String>,
}

/// Settings to change; what is none stays as it is.
#[derive(Debug, Clone, Default, PartialEq)]
#[expect(missing_docs, reason = "they are those of `Settings`")]
pub struct SettingsChange {
    pub runtime: Option<Runtime>,
    pub role: Option<String>,
    pub handler: Option<String>,
    pub description: Option<String>,
    pub timeout: Option<u32>,
    pub memory: Option<u32>,
    pub tmp: Option<u32>,
    pub variables: Option<BTreeMap<String, String>>,
    pub layers: Option<Vec<LayerUse>>,
    /// An empty one takes it away.
    pub dead_letter: Option<String>,
    pub tracing: Option<String>,
    pub log_group: Option<String>,
}

impl Version {
    /// Its number, or `$LATEST`.
    #[must_use]
    pub fn name(&self) -> String {
        self.number.map_or_else(|| LATEST.to_owned(), |number| number.to_string())
    }

    /// Whether `other` does the same.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let settings =
            Settings { description: self.settings.description.clone(), ..other.settings.clone() };
        self.code == other.code && self.settings == settings
    }
}

impl Settings {
    /// What a new function has.
    pub(crate) fn of_new(change: SettingsChange) -> Result<Self, FunctionsError> {
        let missing = |what: &str| FunctionsError::invalid(format!("{what} must be given"));
        let mut settings = Self {
            runtime: change.runtime.clone().ok_or_else(|| missing("Runtime"))?,
            role: change.role.clone().ok_or_else(|| missing("Role"))?,
            handler: change.handler.clone().ok_or_else(|| missing("Handler"))?,
            description: String::new(),
            timeout: 3,
            memory: 128,
            tmp: 512,
            variables: BTreeMap::new(),
            layers: Vec::new(),
            dead_letter: None,
            tracing: "PassThrough".to_owned(),
            log_group: None,
        };
        settings.apply(change)?;
        Ok(settings)
    }

    /// Changes what `change` says.
    pub(crate) fn apply(&mut self, change: SettingsChange) -> Result<(), FunctionsError> {
        if let Some(variables) = &change.variables {
            check_variables(variables)?;
        }
        set(&mut self.runtime, change.runtime);
        set(&mut self.role, change.role);
        set(&mut self.handler, change.handler);
        set(&mut self.description, change.description);
        set(&mut self.timeout, change.timeout);
        set(&mut self.memory, change.memory);
        set(&mut self.tmp, change.tmp);
        set(&mut self.variables, change.variables);
        set(&mut self.layers, change.layers);
        set(&mut self.tracing, change.tracing);
        if let Some(queue) = change.dead_letter {
            self.dead_letter = (!queue.is_empty()).then_some(queue);
        }
        if change.log_group.is_some() {
            self.log_group = change.log_group;
        }
        Ok(())
    }
}

fn set<T>(value: &mut T, new: Option<T>) {
    if let Some(new) = new {
        *value = new;
    }
}

fn check_variables(variables: &BTreeMap<String, String>) -> Result<(), FunctionsError> {
    let reserved: Vec<&str> =
        variables.keys().map(String::as_str).filter(|name| RESERVED.contains(name)).collect();
    if !reserved.is_empty() {
        return Err(FunctionsError::invalid(format!(
            "Lambda was unable to configure your environment variables because the environment \
             variables you have provided contains reserved keys that are currently not supported for \
             modification. Reserved keys used in this request: {}",
            reserved.join(", ")
        )));
    }
    let size: usize = variables.iter().map(|(name, value)| name.len() + value.len()).sum();
    if size > VARIABLES {
        return Err(FunctionsError::invalid(format!(
            "Lambda was unable to configure your environment variables because the environment \
             variables you have provided exceeded the {VARIABLES} bytes limit"
        )));
    }
    Ok(())
}

/// A new id, in the form of AWS's.
pub(crate) fn new_id() -> String {
    let bits: u128 = rand::rng().random();
    let hex = format!("{bits:032x}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(name: &str, bytes: usize) -> BTreeMap<String, String> {
        BTreeMap::from([(name.to_owned(), "x".repeat(bytes))])
    }

    #[test]
    fn settings_change_only_where_they_are_told_to() {
        let change = SettingsChange {
            runtime: Some(Runtime::parse("python3.11").unwrap()),
            role: Some("role".to_owned()),
            handler: Some("a.b".to_owned()),
            ..SettingsChange::default()
        };
        let mut settings = Settings::of_new(change).unwrap();
        assert_eq!((settings.timeout, settings.memory, settings.tmp), (3, 128, 512));
        let before = settings.clone();
        settings.apply(SettingsChange::default()).unwrap();
        assert_eq!(settings, before);
        let queue = SettingsChange { dead_letter: Some("q".into()), ..SettingsChange::default() };
        settings.apply(queue).unwrap();
        assert_eq!(settings.dead_letter.as_deref(), Some("q"));
        let none = SettingsChange { dead_letter: Some(String::new()), ..SettingsChange::default() };
        settings.apply(none).unwrap();
        assert_eq!(settings, before);
        assert!(Settings::of_new(SettingsChange::default()).is_err());
    }

    #[test]
    fn variables_of_lambdas_own_and_too_large_ones_are_refused() {
        for (variables, expected) in [
            (variables("AWS_REGION", 3), "Reserved keys used in this request: AWS_REGION"),
            (variables("MINE", 4093), "exceeded the 4096 bytes limit"),
        ] {
            let told = check_variables(&variables).unwrap_err();
            assert!(told.to_string().ends_with(expected), "{told}");
        }
        assert!(check_variables(&variables("MINE", 4092)).is_ok());
    }
}
