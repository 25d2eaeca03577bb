//! The input and output filters of SageMaker Batch Transform (`DataProcessing`): JSONPath on one
//! record at a time, and the document that joins a record with its prediction.
//!
//! The path forms and the joined document are those of "Associate Prediction Results with Input
//! Records" in the SageMaker developer guide; where it is silent, those of the Java `JsonPath`
//! library that it names. A slice ends before its end index, as in that library and as filters in
//! use have it (`$[0:-1]` leaves out the last column), though the guide's prose says "inclusive".

mod csv_record;
mod path;

use std::str::FromStr;

use serde_json::{Map, Value};

pub use csv_record::{parse_csv_record, write_csv_record};
pub use path::FilterParseError;
use path::Step;

/// The member that holds the prediction.
pub const OUTPUT_MEMBER: &str = "SageMakerOutput";
/// The member that holds a record that is no object.
pub const INPUT_MEMBER: &str = "SageMakerInput";

/// A parsed path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    text: String,
    steps: Vec<Step>,
}

/// Why a filter selects nothing from a record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("apply the filter `{filter}`: {problem}")]
pub struct FilterError {
    filter: String,
    problem: String,
}

impl FromStr for Filter {
    type Err = FilterParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self { text: text.to_owned(), steps: path::parse(text)? })
    }
}

impl Filter {
    /// Whether the filter is `$`, which takes the whole record.
    #[must_use]
    pub fn is_identity(&self) -> bool {
        self.steps.is_empty()
    }

    /// The path as the user wrote it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Checks that the filter fits CSV rows, which have positions and no names.
    pub fn check_csv(&self) -> Result<(), FilterParseError> {
        let named = |step: &&Step| matches!(step, Step::Member(_) | Step::Members(_));
        match self.steps.iter().find(named) {
            None => Ok(()),
            Some(_) => Err(FilterParseError::named_on_csv(&self.text)),
        }
    }

    /// What the filter selects: the value itself where the path names one place, an object of the
    /// members where it ends in several names, else an array of all that was found.
    pub fn apply(&self, record: &Value) -> Result<Value, FilterError> {
        let mut found = vec![record];
        let mut definite = true;
        let last = self.steps.len().saturating_sub(1);
        for (index, step) in self.steps.iter().enumerate() {
            if let Step::Members(names) = step
                && index == last
            {
                let mut objects = Vec::with_capacity(found.len());
                for value in found {
                    match self.members(names, value) {
                        Ok(object) => objects.push(object),
                        Err(error) if definite => return Err(error),
                        Err(_) => {}
                    }
                }
                return Ok(match objects.len() {
                    1 if definite => objects.swap_remove(0),
                    _ => Value::Array(objects),
                });
            }
            let mut next = Vec::new();
            for value in found {
                let missing = step.select(value, &mut next).err();
                // Below a wildcard, what lacks the member is left out.
                if let Some(problem) = missing.filter(|_| definite) {
                    return Err(self.error(problem));
                }
            }
            definite &= step.is_definite();
            found = next;
        }
        match found.as_slice() {
            [one] if definite => Ok((*one).clone()),
            many => Ok(Value::Array(many.iter().copied().cloned().collect())),
        }
    }

    /// An object of those of `names` that `value` has.
    fn members(&self, names: &[String], value: &Value) -> Result<Value, FilterError> {
        let Value::Object(members) = value else {
            return Err(self.error(format!("members are asked of {}", path::kind(value))));
        };
        let found: Map<String, Value> = names
            .iter()
            .filter_map(|name| members.get(name).map(|value| (name.clone(), value.clone())))
            .collect();
        if found.is_empty() {
            return Err(self.error(format!("the record has none of `{}`", names.join("`, `"))));
        }
        Ok(Value::Object(found))
    }

    fn error(&self, problem: String) -> FilterError {
        FilterError { filter: self.text.clone(), problem }
    }
}

/// The document of a JSON record and its prediction: an object gets the member `SageMakerOutput`,
/// anything else becomes the member `SageMakerInput` beside it.
#[must_use]
pub fn join_document(input: Value, output: Value) -> Value {
    let mut members = match input {
        Value::Object(members) => members,
        other => Map::from_iter([(INPUT_MEMBER.to_owned(), other)]),
    };
    members.insert(OUTPUT_MEMBER.to_owned(), output);
    Value::Object(members)
}

/// The document of a CSV row and its prediction: the cells of both, in this order.
#[must_use]
pub fn join_csv_document(input: Value, output: Value) -> Value {
    let cells = |value| match value {
        Value::Array(cells) => cells,
        cell => vec![cell],
    };
    let mut all = cells(input);
    all.extend(cells(output));
    Value::Array(all)
}

#[cfg(test)]
mod tests;
