//! Groups of model packages.

use bessemer_store::{PackageGroup, PackageQuery, StoreError};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::super::{
    error::Error,
    tags::WireTag,
    times::{millis, seconds},
};
use crate::{caller::Caller, platform::Platform};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CreateModelPackageGroup {
    model_package_group_name: String,
    model_package_group_description: Option<String>,
    #[serde(default)]
    tags: Vec<WireTag>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GroupName {
    model_package_group_name: String,
}

/// What lists of groups and of packages are asked for.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct List {
    pub(super) name_contains: Option<String>,
    pub(super) model_package_group_name: Option<String>,
    pub(super) model_package_type: Option<String>,
    pub(super) model_approval_status: Option<String>,
    pub(super) creation_time_after: Option<f64>,
    pub(super) creation_time_before: Option<f64>,
    pub(super) sort_by: Option<String>,
    pub(super) sort_order: Option<String>,
    pub(super) next_token: Option<String>,
    pub(super) max_results: Option<u32>,
}

impl List {
    pub(super) fn query(self) -> PackageQuery {
        PackageQuery {
            name_contains: self.name_contains,
            group: None,
            versioned: None,
            approval: self.model_approval_status,
            created_after: self.creation_time_after.map(millis),
            created_before: self.creation_time_before.map(millis),
            by_name: self.sort_by.as_deref() == Some("Name"),
            descending: self.sort_order.as_deref() != Some("Ascending"),
            limit: self.max_results.unwrap_or(10),
            page: self.next_token,
        }
    }
}

/// The name in a name or an ARN.
pub(super) fn name_of(name_or_arn: &str) -> &str {
    name_or_arn.rsplit_once("model-package-group/").map_or(name_or_arn, |(_, name)| name)
}

fn arn(caller: &Caller, name: &str) -> String {
    caller.arn("sagemaker", &format!("model-package-group/{name}"))
}

pub(super) fn missing(caller: &Caller, name: &str) -> Error {
    Error::Validation(format!("Model Package Group {} does not exist.", arn(caller, name)))
}

pub(super) async fn create(
    platform: &Platform,
    caller: &Caller,
    input: CreateModelPackageGroup,
) -> Result<Value, Error> {
    let name = input.model_package_group_name;
    let arn = arn(caller, &name);
    let group = PackageGroup {
        id: 0,
        name,
        arn: arn.clone(),
        description: input.model_package_group_description,
        created_at: platform.clock.now_millis(),
    };
    let tags = input.tags.into_iter().map(Into::into).collect();
    match platform.store.packages().create_group(group, tags).await {
        Ok(()) => Ok(json!({ "ModelPackageGroupArn": arn })),
        Err(StoreError::AlreadyExists { .. }) => {
            Err(Error::Validation(format!("Model Package Group already exists: {arn}")))
        }
        Err(error) => Err(error.into()),
    }
}

fn summary(group: PackageGroup) -> Map<String, Value> {
    let mut members = Map::new();
    members.insert("ModelPackageGroupName".to_owned(), json!(group.name));
    members.insert("ModelPackageGroupArn".to_owned(), json!(group.arn));
    if let Some(description) = group.description {
        members.insert("ModelPackageGroupDescription".to_owned(), json!(description));
    }
    members.insert("CreationTime".to_owned(), seconds(group.created_at));
    members.insert("ModelPackageGroupStatus".to_owned(), json!("Completed"));
    members
}

pub(super) async fn describe(
    platform: &Platform,
    caller: &Caller,
    input: GroupName,
) -> Result<Value, Error> {
    let name = name_of(&input.model_package_group_name);
    let group = platform.store.packages().group(name).await?;
    let mut answer = summary(group.ok_or_else(|| missing(caller, name))?);
    answer.insert("CreatedBy".to_owned(), json!({}));
    Ok(Value::Object(answer))
}

pub(super) async fn list(platform: &Platform, input: List) -> Result<Value, Error> {
    let page = platform.store.packages().groups(&input.query()).await?;
    let groups: Vec<Value> = page.entries.into_iter().map(|one| summary(one).into()).collect();
    Ok(json!({ "ModelPackageGroupSummaryList": groups, "NextToken": page.next }))
}

pub(super) async fn delete(
    platform: &Platform,
    caller: &Caller,
    input: GroupName,
) -> Result<Value, Error> {
    let name = name_of(&input.model_package_group_name);
    match platform.store.packages().delete_group(name).await {
        Ok(true) => Ok(json!({})),
        Ok(false) => Err(missing(caller, name)),
        Err(StoreError::InProgress { .. }) => Err(Error::Conflict(format!(
            "Model Package Group {} can't be deleted because it holds model packages.",
            arn(caller, name)
        ))),
        Err(error) => Err(error.into()),
    }
}
