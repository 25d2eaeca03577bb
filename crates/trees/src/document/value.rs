//! A value of a document, and a value together with where it stands, for messages.

use std::borrow::Cow;

use crate::read::ReadError;

/// A value of a document.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Float(f32),
    Text(String),
    /// An array of whole numbers only (also the empty array).
    Ints(Vec<i64>),
    /// An array of numbers, some with a fraction or an exponent. They are `f32` since that is what
    /// XGBoost computes with.
    Floats(Vec<f32>),
    List(Vec<Value>),
    Map(Vec<(String, Value)>),
}

impl Value {
    fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Int(_) | Self::Float(_) => "a number",
            Self::Text(_) => "a string",
            Self::Ints(_) | Self::Floats(_) | Self::List(_) => "an array",
            Self::Map(_) => "an object",
        }
    }
}

/// A value and the path that leads to it.
#[derive(Debug, Clone)]
pub(crate) struct At<'a> {
    pub(crate) value: &'a Value,
    pub(crate) path: String,
}

impl<'a> At<'a> {
    pub(crate) fn root(value: &'a Value) -> Self {
        Self { value, path: String::new() }
    }

    /// The member `name`.
    pub(crate) fn get(&self, name: &str) -> Result<At<'a>, ReadError> {
        self.find(name)?.ok_or_else(|| ReadError::Absent { path: self.join(name) })
    }

    /// The member `name`, if it is there and not null.
    pub(crate) fn find(&self, name: &str) -> Result<Option<At<'a>>, ReadError> {
        let Value::Map(members) = self.value else { return Err(self.mistyped("an object")) };
        let found = members.iter().find(|(key, value)| key == name && *value != Value::Null);
        Ok(found.map(|(_, value)| At { value, path: self.join(name) }))
    }

    /// The elements of an array of anything but numbers.
    pub(crate) fn list(&self) -> Result<Vec<At<'a>>, ReadError> {
        match self.value {
            Value::List(values) => Ok(values
                .iter()
                .enumerate()
                .map(|(index, value)| At { value, path: format!("{}[{index}]", self.path) })
                .collect()),
            Value::Ints(values) if values.is_empty() => Ok(Vec::new()),
            _ => Err(self.mistyped("an array")),
        }
    }

    /// The elements of an array of whole numbers; booleans count as 0 and 1.
    pub(crate) fn ints(&self) -> Result<Cow<'a, [i64]>, ReadError> {
        match self.value {
            Value::Ints(values) => Ok(Cow::Borrowed(values)),
            Value::List(values) => values
                .iter()
                .map(|value| match value {
                    Value::Bool(flag) => Ok(i64::from(*flag)),
                    Value::Int(number) => Ok(*number),
                    _ => Err(self.mistyped("an array of whole numbers")),
                })
                .collect(),
            _ => Err(self.mistyped("an array of whole numbers")),
        }
    }

    /// The elements of an array of numbers.
    pub(crate) fn floats(&self) -> Result<Cow<'a, [f32]>, ReadError> {
        match self.value {
            Value::Floats(values) => Ok(Cow::Borrowed(values)),
            Value::Ints(values) => Ok(values.iter().map(|value| *value as f32).collect()),
            _ => Err(self.mistyped("an array of numbers")),
        }
    }

    /// The text of a string.
    pub(crate) fn text(&self) -> Result<&'a str, ReadError> {
        match self.value {
            Value::Text(text) => Ok(text),
            _ => Err(self.mistyped("a string")),
        }
    }

    /// A size: a whole number, or one in a string, as XGBoost writes its parameters.
    pub(crate) fn size(&self) -> Result<usize, ReadError> {
        let number = match self.value {
            Value::Int(number) => usize::try_from(*number).ok(),
            Value::Text(text) => text.trim().parse().ok(),
            _ => None,
        };
        number.ok_or_else(|| self.mistyped("a count"))
    }

    /// The value of the member `name` as a size, or `default` where it is absent.
    pub(crate) fn size_or(&self, name: &str, default: usize) -> Result<usize, ReadError> {
        self.find(name)?.map_or(Ok(default), |at| at.size())
    }

    /// An error about this value.
    pub(crate) fn invalid(&self, message: impl Into<String>) -> ReadError {
        ReadError::Invalid { path: self.path.clone(), message: message.into() }
    }

    fn mistyped(&self, expected: &'static str) -> ReadError {
        self.invalid(format!("expected {expected}, found {}", self.value.kind()))
    }

    fn join(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }
}
