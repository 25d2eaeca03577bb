//! [`Condition`]: what a condition step decides by.

use std::cmp::Ordering;

use serde_json::Value;

use super::parameter::text_of;

/// A condition, whose values may hold references.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// A comparison of two values.
    Compare {
        /// How they have to stand to each other.
        relation: Relation,
        /// The one.
        left: Value,
        /// The other.
        right: Value,
    },
    /// That a value is one of some.
    In {
        /// The value.
        query: Value,
        /// The others.
        values: Vec<Value>,
    },
    /// That another condition does not hold.
    Not(Box<Condition>),
    /// That one of others holds.
    Or(Vec<Condition>),
}

/// How two values stand to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    Equals,
    GreaterThan,
    GreaterThanOrEqualTo,
    LessThan,
    LessThanOrEqualTo,
}

impl Relation {
    const ALL: [(&'static str, Self); 5] = [
        ("Equals", Self::Equals),
        ("GreaterThan", Self::GreaterThan),
        ("GreaterThanOrEqualTo", Self::GreaterThanOrEqualTo),
        ("LessThan", Self::LessThan),
        ("LessThanOrEqualTo", Self::LessThanOrEqualTo),
    ];

    fn holds(self, ordering: Ordering) -> bool {
        match self {
            Self::Equals => ordering.is_eq(),
            Self::GreaterThan => ordering.is_gt(),
            Self::GreaterThanOrEqualTo => ordering.is_ge(),
            Self::LessThan => ordering.is_lt(),
            Self::LessThanOrEqualTo => ordering.is_le(),
        }
    }
}

impl Condition {
    /// Reads a condition, or says what is wrong with it.
    pub(super) fn parse(value: &Value) -> Result<Self, String> {
        let kind = value["Type"].as_str().unwrap_or_default();
        let member = |name: &str| {
            value.get(name).cloned().ok_or_else(|| format!("a condition {kind} has no `{name}`"))
        };
        let list = |name: &str| match member(name)? {
            Value::Array(entries) => Ok(entries),
            _ => Err(format!("`{name}` of a condition {kind} must be a list")),
        };
        match kind {
            "In" => Ok(Self::In { query: member("QueryValue")?, values: list("Values")? }),
            "Not" => Ok(Self::Not(Box::new(Self::parse(&member("Condition")?)?))),
            "Or" => {
                let conditions = list("Conditions")?;
                conditions.iter().map(Self::parse).collect::<Result<_, _>>().map(Self::Or)
            }
            _ => {
                let known = Relation::ALL.iter().find(|(name, _)| *name == kind);
                let (_, relation) = known.ok_or_else(|| {
                    let names: Vec<&str> = Relation::ALL.iter().map(|(name, _)| *name).collect();
                    format!(
                        "there is no condition `{kind}`, only {}, In, Not, Or",
                        names.join(", ")
                    )
                })?;
                let (left, right) = (member("LeftValue")?, member("RightValue")?);
                Ok(Self::Compare { relation: *relation, left, right })
            }
        }
    }

    /// All values in it.
    pub(super) fn values(&self) -> Vec<&Value> {
        match self {
            Self::Compare { left, right, .. } => vec![left, right],
            Self::In { query, values } => values.iter().chain([query]).collect(),
            Self::Not(inner) => inner.values(),
            Self::Or(conditions) => conditions.iter().flat_map(Self::values).collect(),
        }
    }

    /// Whether it holds, its values read by `value_of`. Values that can't be compared are an error.
    pub fn holds<E: From<String>>(
        &self,
        value_of: &mut impl FnMut(&Value) -> Result<Value, E>,
    ) -> Result<bool, E> {
        match self {
            Self::Compare { relation, left, right } => {
                let (left, right) = (value_of(left)?, value_of(right)?);
                let ordering = compare(&left, &right)?;
                Ok(relation.holds(ordering))
            }
            Self::In { query, values } => {
                let query = value_of(query)?;
                for value in values {
                    let value = value_of(value)?;
                    if compare(&query, &value).is_ok_and(Ordering::is_eq) {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Self::Not(inner) => inner.holds(value_of).map(|holds| !holds),
            Self::Or(conditions) => {
                for condition in conditions {
                    if condition.holds(value_of)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
        }
    }
}

fn compare(left: &Value, right: &Value) -> Result<Ordering, String> {
    let ordering = match (left, right) {
        (Value::Number(one), Value::Number(other)) => match (one.as_i64(), other.as_i64()) {
            (Some(one), Some(other)) => Some(one.cmp(&other)),
            _ => one.as_f64().zip(other.as_f64()).and_then(|(one, other)| one.partial_cmp(&other)),
        },
        (Value::String(one), Value::String(other)) => Some(one.cmp(other)),
        (Value::Bool(one), Value::Bool(other)) => Some(one.cmp(other)),
        _ => None,
    };
    ordering.ok_or_else(|| {
        format!(
            "can't compare `{}` ({}) with `{}` ({})",
            text_of(left),
            type_of(left),
            text_of(right),
            type_of(right)
        )
    })
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
