//! Models: what a transform job scores with.

use bessemer_store::{Model, ModelQuery, StoreError};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    error::Error,
    registry,
    tags::WireTag,
    times::{millis, seconds},
};
use crate::{caller::Caller, platform::Platform};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CreateModel {
    model_name: String,
    primary_container: Option<Value>,
    containers: Option<Vec<Value>>,
    #[serde(default)]
    tags: Vec<WireTag>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ModelName {
    model_name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListModels {
    sort_by: Option<String>,
    sort_order: Option<String>,
    next_token: Option<String>,
    max_results: Option<u32>,
    name_contains: Option<String>,
    creation_time_before: Option<f64>,
    creation_time_after: Option<f64>,
}

pub(super) async fn create(
    platform: &Platform,
    caller: &Caller,
    input: &Value,
) -> Result<Value, Error> {
    let request: CreateModel =
        CreateModel::deserialize(input).map_err(|error| Error::Internal(error.into()))?;
    match (&request.primary_container, &request.containers) {
        (Some(_), Some(_)) => {
            let message = "Both primary container and containers are specified, give one of them";
            return Err(Error::Validation(message.to_owned()));
        }
        (None, None) => {
            let message = "Either primary container or containers must be specified";
            return Err(Error::Validation(message.to_owned()));
        }
        _ => {}
    }
    let arn = arn(caller, &request.model_name);
    let mut document = completed(input);
    registry::fill_containers(platform, &mut document).await?;
    let model = Model {
        name: request.model_name,
        arn: arn.clone(),
        request: document.to_string(),
        created_at: platform.clock.now_millis(),
    };
    let tags = request.tags.into_iter().map(Into::into).collect();
    match platform.store.models().create(model, tags).await {
        Ok(()) => Ok(json!({ "ModelArn": arn })),
        // SDKs look for these words, and go on with the model that is there.
        Err(StoreError::AlreadyExists { .. }) => {
            Err(Error::Validation(format!("Cannot create already existing model \"{arn}\".")))
        }
        Err(error) => Err(error.into()),
    }
}

/// A request with the defaults that Describe tells of.
fn completed(input: &Value) -> Value {
    let mut request = input.as_object().cloned().unwrap_or_default();
    request.remove("Tags");
    request.entry("EnableNetworkIsolation").or_insert(Value::Bool(false));
    let complete = |container: &mut Value| {
        if let Some(container) = container.as_object_mut() {
            container.entry("Mode").or_insert_with(|| json!("SingleModel"));
            container.entry("Environment").or_insert_with(|| json!({}));
        }
    };
    if let Some(container) = request.get_mut("PrimaryContainer") {
        complete(container);
    }
    if let Some(Value::Array(containers)) = request.get_mut("Containers") {
        containers.iter_mut().for_each(complete);
    }
    Value::Object(request)
}

pub(super) async fn describe(
    platform: &Platform,
    caller: &Caller,
    ModelName { model_name }: ModelName,
) -> Result<Value, Error> {
    described(platform, caller, &model_name).await
}

/// The model of that name as Describe tells of it.
pub(super) async fn described(
    platform: &Platform,
    caller: &Caller,
    name: &str,
) -> Result<Value, Error> {
    let model = find(platform, caller, name).await?;
    let mut answer = document(&model)?;
    answer.insert("ModelArn".to_owned(), json!(model.arn));
    answer.insert("CreationTime".to_owned(), seconds(model.created_at));
    Ok(Value::Object(answer))
}

pub(super) async fn delete(
    platform: &Platform,
    caller: &Caller,
    ModelName { model_name }: ModelName,
) -> Result<Value, Error> {
    if platform.store.models().delete(&model_name).await? {
        return Ok(json!({}));
    }
    Err(missing(caller, &model_name))
}

pub(super) async fn list(platform: &Platform, input: ListModels) -> Result<Value, Error> {
    let query = ModelQuery {
        name_contains: input.name_contains,
        created_after: input.creation_time_after.map(millis),
        created_before: input.creation_time_before.map(millis),
        by_name: input.sort_by.as_deref() == Some("Name"),
        descending: input.sort_order.as_deref() != Some("Ascending"),
        limit: input.max_results.unwrap_or(10),
        page: input.next_token,
    };
    let page = platform.store.models().list(&query).await?;
    let summary = |model: &Model| {
        json!({
            "ModelName": model.name,
            "ModelArn": model.arn,
            "CreationTime": seconds(model.created_at),
        })
    };
    let models: Vec<Value> = page.models.iter().map(summary).collect();
    Ok(json!({ "Models": models, "NextToken": page.next }))
}

/// The model of that name, or AWS's error.
pub(super) async fn find(platform: &Platform, caller: &Caller, name: &str) -> Result<Model, Error> {
    let model = platform.store.models().get(name).await?;
    model.ok_or_else(|| missing(caller, name))
}

/// The request that made a model.
pub(super) fn document(model: &Model) -> Result<Map<String, Value>, Error> {
    serde_json::from_str(&model.request).map_err(|error| Error::Internal(error.into()))
}

fn missing(caller: &Caller, name: &str) -> Error {
    Error::Validation(format!("Could not find model \"{}\".", arn(caller, name)))
}

fn arn(caller: &Caller, name: &str) -> String {
    caller.arn("sagemaker", &format!("model/{name}"))
}
