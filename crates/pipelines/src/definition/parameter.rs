//! [`Parameter`]: what an execution can be started with.

use serde_json::{Number, Value};

/// A parameter of a pipeline.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// Its name, unique in the pipeline.
    pub name: String,
    /// What its values are.
    pub kind: ParameterType,
    /// Its value where an execution has none; without it every execution must have one.
    pub default: Option<Value>,
    /// The only values that it may have, if there is a choice.
    pub choices: Option<Vec<Value>>,
}

/// A type of values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParameterType {
    /// Text.
    String,
    /// A whole number.
    Integer,
    /// A number.
    Float,
    /// `true` or `false`.
    Boolean,
}

impl ParameterType {
    /// Every type.
    pub const ALL: [Self; 4] = [Self::String, Self::Integer, Self::Float, Self::Boolean];

    /// The type's name in definitions.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::String => "String",
            Self::Integer => "Integer",
            Self::Float => "Float",
            Self::Boolean => "Boolean",
        }
    }

    /// The type of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// Whether a value of JSON is of this type.
    pub fn admits(self, value: &Value) -> bool {
        match self {
            Self::String => value.is_string(),
            Self::Integer => value.is_i64() || value.is_u64(),
            Self::Float => value.is_number(),
            Self::Boolean => value.is_boolean(),
        }
    }

    /// A value of this type from the text that requests have.
    pub fn read(self, text: &str) -> Option<Value> {
        match self {
            Self::String => Some(Value::from(text)),
            Self::Integer => text.trim().parse::<i64>().ok().map(Value::from),
            Self::Float => {
                text.trim().parse::<f64>().ok().and_then(Number::from_f64).map(Value::Number)
            }
            Self::Boolean => match text.trim() {
                "true" | "True" => Some(Value::Bool(true)),
                "false" | "False" => Some(Value::Bool(false)),
                _ => None,
            },
        }
    }
}

impl Parameter {
    /// The parameter's value from the text that a request has, or what is wrong with it.
    pub fn value_of(&self, text: &str) -> Result<Value, String> {
        let value = self.kind.read(text).ok_or_else(|| {
            format!(
                "parameter `{}` must be of type {}, not `{text}`",
                self.name,
                self.kind.as_str()
            )
        })?;
        match &self.choices {
            Some(choices) if !choices.contains(&value) => {
                let known: Vec<String> = choices.iter().map(text_of).collect();
                let known = known.join(", ");
                Err(format!("parameter `{}` must be one of {known}, not `{text}`", self.name))
            }
            _ => Ok(value),
        }
    }
}

/// A value as text: strings as they are, all else as JSON.
pub(crate) fn text_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
