//! `Search`: training jobs, and the jobs of every kind as trial components, by what they are.

mod compare;
mod expression;
mod order;
mod record;
mod scan;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{error::Error, jobs::unsupported};
use crate::platform::Platform;
use expression::Expression;
use order::Place;
use record::Resource;

/// Records on a page that asks for no number.
const PAGE: usize = 100;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SearchInput {
    resource: String,
    search_expression: Option<Expression>,
    sort_by: Option<String>,
    sort_order: Option<String>,
    next_token: Option<String>,
    max_results: Option<usize>,
    cross_account_filter_option: Option<String>,
    visibility_conditions: Option<Value>,
}

/// All that match are found and put in order; the page goes on after the place that the token
/// tells, so that what changes meanwhile moves nothing else.
pub(super) async fn search(platform: &Platform, input: SearchInput) -> Result<Value, Error> {
    let resource = Resource::named(&input.resource).ok_or_else(|| {
        let what = unsupported(&format!("Search of {}", input.resource));
        Error::Validation(format!("{what}; it finds TrainingJob and ExperimentTrialComponent"))
    })?;
    if input.visibility_conditions.is_some() {
        return Err(Error::Validation(unsupported("VisibilityConditions")));
    }
    if input.cross_account_filter_option.as_deref() == Some("CrossAccount") {
        return Ok(json!({ "Results": [], "TotalHits": total(0) }));
    }
    let expression = input.search_expression;
    if let Some(expression) = &expression {
        expression.check(resource).map_err(Error::Validation)?;
    }
    let sort_by = input.sort_by.as_deref().unwrap_or("LastModifiedTime");
    resource.check_property(sort_by).map_err(Error::Validation)?;
    let is_descending = input.sort_order.as_deref() != Some("Ascending");
    let after = input.next_token.as_deref().map(read_token).transpose()?;

    let mut places = scan::places(platform, resource, expression.as_ref(), sort_by).await?;
    places.sort_by(|a, b| if is_descending { b.cmp(a) } else { a.cmp(b) });
    let hits = places.len();
    let is_beyond = |place: &Place| match &after {
        Some(after) if is_descending => place < after,
        Some(after) => place > after,
        None => true,
    };
    let first = places.iter().position(is_beyond).unwrap_or(hits);
    let end = hits.min(first + input.max_results.unwrap_or(PAGE));
    let page = places.get(first..end).unwrap_or_default();
    let next = page.last().filter(|_| end < hits).map(token);
    let results = scan::records(platform, resource, page).await?;
    Ok(json!({ "Results": results, "NextToken": next, "TotalHits": total(hits) }))
}

fn total(hits: usize) -> Value {
    json!({ "Value": hits, "Relation": "EqualTo" })
}

fn token(place: &Place) -> String {
    URL_SAFE_NO_PAD.encode(json!(place).to_string())
}

fn read_token(token: &str) -> Result<Place, Error> {
    let text = URL_SAFE_NO_PAD.decode(token).map_err(|_| Error::PageToken)?;
    serde_json::from_slice(&text).map_err(|_| Error::PageToken)
}
