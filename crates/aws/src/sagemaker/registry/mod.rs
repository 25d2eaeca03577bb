//! The model registry: groups of model packages, their versions, approval, and what is made of them.

mod groups;
mod packages;
mod use_in_models;

use bessemer_aws_wire::{Call, ServiceError};
use serde_json::Value;

use super::error::Error;
use crate::{caller::Caller, decode::decode, platform::Platform};

pub(super) use packages::register;
pub(super) use use_in_models::fill_containers;

/// Answers a call, if it is one of the registry.
pub(super) async fn call(
    platform: &Platform,
    caller: &Caller,
    call: &Call<'_>,
) -> Result<Option<Result<Value, Error>>, ServiceError> {
    let answered = match call.operation.name() {
        "CreateModelPackageGroup" => groups::create(platform, caller, decode(call)?).await,
        "DescribeModelPackageGroup" => groups::describe(platform, caller, decode(call)?).await,
        "ListModelPackageGroups" => groups::list(platform, decode(call)?).await,
        "DeleteModelPackageGroup" => groups::delete(platform, caller, decode(call)?).await,
        "CreateModelPackage" => packages::create(platform, caller, &call.input).await,
        "DescribeModelPackage" => packages::describe(platform, caller, decode(call)?).await,
        "ListModelPackages" => packages::list(platform, decode(call)?).await,
        "UpdateModelPackage" => packages::update(platform, caller, &call.input).await,
        "DeleteModelPackage" => packages::delete(platform, caller, decode(call)?).await,
        _ => return Ok(None),
    };
    Ok(Some(answered))
}
