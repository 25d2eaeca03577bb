//! Policies of functions, which are kept and shown: every key may call everything.

use bessemer_functions::{Functions, Permission};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{error::Error, functions::Qualified, names::FunctionName};
use crate::caller::Caller;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct AddPermission {
    function_name: String,
    qualifier: Option<String>,
    statement_id: String,
    action: String,
    principal: String,
    source_arn: Option<String>,
    source_account: Option<String>,
    #[serde(rename = "PrincipalOrgID")]
    principal_org_id: Option<String>,
    revision_id: Option<String>,
    function_url_auth_type: Option<String>,
    event_source_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct RemovePermission {
    function_name: String,
    qualifier: Option<String>,
    statement_id: String,
    revision_id: Option<String>,
}

pub(super) async fn add(
    functions: &Functions,
    caller: &Caller,
    input: AddPermission,
) -> Result<Value, Error> {
    let name = FunctionName::parse(caller, &input.function_name, input.qualifier)?;
    if input.function_url_auth_type.is_some() || input.event_source_token.is_some() {
        let message = "FunctionUrlAuthType and EventSourceToken are not supported by Bessemer: there are no \
             function URLs and no Alexa skills";
        return Err(Error::invalid(message));
    }
    let permission = Permission {
        statement_id: input.statement_id,
        action: input.action,
        principal: input.principal,
        source_arn: input.source_arn,
        source_account: input.source_account,
        principal_org_id: input.principal_org_id,
        revision: input.revision_id,
    };
    let qualifier = name.qualifier.as_deref();
    let statement = functions.add_permission(&name.name, &name.arn, qualifier, permission).await?;
    Ok(json!({ "Statement": statement.to_string() }))
}

pub(super) async fn remove(
    functions: &Functions,
    caller: &Caller,
    input: RemovePermission,
) -> Result<Value, Error> {
    let name = FunctionName::parse(caller, &input.function_name, input.qualifier)?;
    let statement = (input.statement_id.as_str(), input.revision_id.as_deref());
    let qualifier = name.qualifier.as_deref();
    functions.remove_permission(&name.name, &name.arn, qualifier, statement).await?;
    Ok(json!({}))
}

pub(super) fn get(
    functions: &Functions,
    caller: &Caller,
    asked: Qualified,
) -> Result<Value, Error> {
    let name = asked.name(caller)?;
    let function = functions.get(&name.name, &name.arn)?;
    let policy = function.policies.get(name.qualifier.as_deref().unwrap_or_default());
    let missing = || Error::missing("The resource you requested does not exist.");
    let policy = policy.ok_or_else(missing)?;
    Ok(json!({ "Policy": policy.document(), "RevisionId": policy.revision }))
}
