//! STS: who a caller is.

use bessemer_aws_wire::{Call, ServiceError};
use serde_json::{Value, json};

use crate::{caller::Caller, platform::ACCOUNT, server::unsupported};

/// Answers a call.
pub(crate) fn call(caller: &Caller, call: &Call<'_>) -> Result<Value, ServiceError> {
    match call.operation.name() {
        "GetCallerIdentity" => Ok(caller_identity(caller)),
        other => Err(unsupported("sts", other)),
    }
}

/// The caller has a role, since SDKs look for one in its ARN.
fn caller_identity(caller: &Caller) -> Value {
    json!({
        "UserId": format!("AROABESSEMER:{}", caller.access_key),
        "Account": ACCOUNT,
        "Arn": caller.identity_arn(),
    })
}
