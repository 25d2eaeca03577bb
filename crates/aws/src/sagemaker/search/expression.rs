//! Search expressions: what they refuse, and what matches them.

use std::cmp::Ordering;

use serde::Deserialize;
use serde_json::Value;

use super::{
    compare::{compare, is_ordered, is_time, property},
    record::Resource,
};

/// Conditions that an expression may have in all.
const MOST: usize = 50;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Expression {
    filters: Vec<Filter>,
    nested_filters: Vec<NestedFilters>,
    sub_expressions: Vec<Expression>,
    operator: Joined,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
enum Joined {
    #[default]
    And,
    Or,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Filter {
    name: String,
    #[serde(default)]
    operator: Operator,
    value: Option<String>,
}

#[derive(Debug, Deserialize)]
struct NestedFilters {
    #[serde(rename = "NestedPropertyName")]
    list: String,
    #[serde(rename = "Filters")]
    filters: Vec<Filter>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
enum Operator {
    #[default]
    Equals,
    NotEquals,
    GreaterThan,
    GreaterThanOrEqualTo,
    LessThan,
    LessThanOrEqualTo,
    Contains,
    Exists,
    NotExists,
    In,
}

impl Expression {
    /// Says what is wrong with a search for `resource`.
    pub(super) fn check(&self, resource: Resource) -> Result<(), String> {
        let filters = self.all();
        if filters.is_empty() {
            let message = "You must provide at least one subexpression, filter, or nested filter";
            return Err(message.to_owned());
        }
        if filters.len() > MOST {
            return Err(format!(
                "A SearchExpression has {MOST} conditions at most, this has {}",
                filters.len()
            ));
        }
        let contains = filters.iter().filter(|filter| filter.operator == Operator::Contains);
        if contains.count() > 1 {
            return Err("'CONTAINS' operator usage limit of 1 exceeded.".to_owned());
        }
        filters.iter().try_for_each(|filter| filter.check(resource))
    }

    pub(super) fn matches(&self, record: &Value) -> bool {
        let filters = self.filters.iter().map(|filter| filter.matches(record));
        let nested = self.nested_filters.iter().map(|nested| nested.matches(record));
        let parts = self.sub_expressions.iter().map(|part| part.matches(record));
        let mut results = filters.chain(nested).chain(parts);
        match self.operator {
            Joined::And => results.all(|matches| matches),
            Joined::Or => results.any(|matches| matches),
        }
    }

    fn all(&self) -> Vec<&Filter> {
        let nested = self.nested_filters.iter().flat_map(|nested| &nested.filters);
        let parts = self.sub_expressions.iter().flat_map(Self::all);
        self.filters.iter().chain(nested).chain(parts).collect()
    }
}

impl Filter {
    fn check(&self, resource: Resource) -> Result<(), String> {
        let Self { name, operator, value } = self;
        resource.check_property(name)?;
        let value = match (operator, value) {
            (Operator::Exists | Operator::NotExists, _) => return Ok(()),
            (_, Some(value)) => value,
            (_, None) => return Err(format!("The filter of {name} must have a Value")),
        };
        let is_comparison = matches!(
            operator,
            Operator::GreaterThan
                | Operator::GreaterThanOrEqualTo
                | Operator::LessThan
                | Operator::LessThanOrEqualTo
        );
        if is_comparison && !is_ordered(name) {
            return Err(format!("Operator {operator:?} is not supported for text property {name}"));
        }
        if is_time(name) && compare(name, &Value::from(0), value).is_none() {
            return Err(format!(
                "The value of {name} must be of the form YYYY-mm-dd'T'HH:MM:SS, it is '{value}'"
            ));
        }
        Ok(())
    }

    fn matches(&self, record: &Value) -> bool {
        let found = property(record, &self.name);
        let wanted = self.value.as_deref().unwrap_or_default();
        let any = |fits: fn(Ordering) -> bool| {
            found.iter().any(|found| compare(&self.name, found, wanted).is_some_and(fits))
        };
        let texts = || found.iter().filter_map(|found| found.as_str());
        match self.operator {
            Operator::Equals => any(Ordering::is_eq),
            Operator::NotEquals => !any(Ordering::is_eq),
            Operator::GreaterThan => any(Ordering::is_gt),
            Operator::GreaterThanOrEqualTo => any(Ordering::is_ge),
            Operator::LessThan => any(Ordering::is_lt),
            Operator::LessThanOrEqualTo => any(Ordering::is_le),
            Operator::Exists => !found.is_empty(),
            Operator::NotExists => found.is_empty(),
            Operator::In => texts().any(|text| wanted.split(',').any(|one| one.trim() == text)),
            Operator::Contains => texts().any(|text| text.contains(wanted)),
        }
    }
}

impl NestedFilters {
    /// Whether one element of the list meets all the filters.
    fn matches(&self, record: &Value) -> bool {
        let elements = property(record, &self.list);
        elements.iter().any(|element| {
            self.filters.iter().all(|filter| {
                let inside = filter.name.strip_prefix(&self.list);
                let name = inside.and_then(|name| name.strip_prefix('.')).unwrap_or(&filter.name);
                let filter =
                    Filter { name: name.to_owned(), value: filter.value.clone(), ..*filter };
                filter.matches(element)
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn matches(expression: Value) -> bool {
        let record = json!({
            "TrainingJobName": "churn-1",
            "HyperParameters": { "depth": "3" },
            "InputDataConfig": [
                { "ChannelName": "train", "S3Uri": "s3://a/x" },
                { "ChannelName": "test", "S3Uri": "s3://b/x" },
            ],
            "CreationTime": 100.5,
        });
        let expression: Expression = serde_json::from_value(expression).unwrap();
        assert_eq!(expression.check(Resource::TrainingJob), Ok(()));
        expression.matches(&record)
    }

    fn one(name: &str, operator: &str, value: &str) -> Value {
        json!({ "Name": name, "Operator": operator, "Value": value })
    }

    #[test]
    fn filters_match_as_their_operators_say() {
        let cases = [
            ("TrainingJobName", "Equals", "churn-1", true),
            ("TrainingJobName", "NotEquals", "churn-1", false),
            ("TrainingJobName", "Contains", "rn-", true),
            ("TrainingJobName", "In", "a, churn-1", true),
            ("TrainingJobName", "In", "a,churn", false),
            ("FailureReason", "NotExists", "x", true),
            ("FailureReason", "Exists", "x", false),
            ("FailureReason", "NotEquals", "x", true),
            ("HyperParameters.depth", "GreaterThan", "2", true),
            ("HyperParameters.depth", "LessThanOrEqualTo", "2", false),
            ("CreationTime", "GreaterThanOrEqualTo", "1970-01-01T00:01:40", true),
            ("CreationTime", "LessThan", "1970-01-01T00:01:40", false),
        ];
        for (name, operator, value, expected) in cases {
            let filters = json!({ "Filters": [one(name, operator, value)] });
            assert_eq!(matches(filters), expected, "{name} {operator} {value}");
        }
    }

    #[test]
    fn a_nested_filter_wants_one_element_that_meets_all() {
        let nested = |channel: &str| {
            json!({ "NestedFilters": [{
                "NestedPropertyName": "InputDataConfig",
                "Filters": [
                    one("InputDataConfig.ChannelName", "Equals", channel),
                    one("InputDataConfig.S3Uri", "Contains", "s3://a/"),
                ],
            }]})
        };
        assert!(matches(nested("train")) && !matches(nested("test")));
    }

    #[test]
    fn parts_are_joined_by_and_or_or() {
        let (right, wrong) = (
            json!({ "Filters": [one("TrainingJobName", "Equals", "churn-1")] }),
            json!({ "Filters": [one("TrainingJobName", "Equals", "other")] }),
        );
        assert!(!matches(json!({ "SubExpressions": [right.clone(), wrong.clone()] })));
        assert!(matches(json!({ "SubExpressions": [right, wrong], "Operator": "Or" })));
    }

    #[test]
    fn what_can_not_be_searched_for_is_refused() {
        let refused = [
            (json!({}), "at least one"),
            (json!({ "Filters": [one("Nothing", "Equals", "x")] }), "Nothing"),
            (json!({ "Filters": [{ "Name": "TrainingJobName" }] }), "must have a Value"),
            (
                json!({ "Filters": [one("TrainingJobName", "LessThan", "x")] }),
                "not supported for text",
            ),
            (json!({ "Filters": [one("CreationTime", "LessThan", "soon")] }), "'soon'"),
            (
                json!({ "Filters": [
                    one("TrainingJobName", "Contains", "x"), one("RoleArn", "Contains", "y"),
                ]}),
                "usage limit of 1 exceeded",
            ),
        ];
        for (expression, words) in refused {
            let expression: Expression = serde_json::from_value(expression).unwrap();
            let message = expression.check(Resource::TrainingJob).unwrap_err();
            assert!(message.contains(words), "{message}");
        }
    }
}
