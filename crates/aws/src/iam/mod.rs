//! IAM, as far as SDKs ask for it: every role exists and may do everything. Who may do what is decided
//! by access keys alone.

use bessemer_aws_wire::{Call, ServiceError};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{decode::decode, platform::ACCOUNT, server::unsupported};

/// Answers a call.
pub(crate) fn call(call: &Call<'_>) -> Result<Value, ServiceError> {
    match call.operation.name() {
        "GetRole" => Ok(get_role(&decode(call)?)),
        "SimulatePrincipalPolicy" => Ok(simulate_principal_policy(decode(call)?)),
        other => Err(unsupported("iam", other)),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GetRole {
    role_name: String,
}

/// Anybody may take the role, as the services' principals would.
const TRUST: &str = "%7B%22Version%22%3A%222012-10-17%22%2C%22Statement%22%3A%5B%7B%22Effect%22%3A\
    %22Allow%22%2C%22Principal%22%3A%7B%22Service%22%3A%22sagemaker.amazonaws.com%22%7D%2C\
    %22Action%22%3A%22sts%3AAssumeRole%22%7D%5D%7D";

fn get_role(input: &GetRole) -> Value {
    let name = &input.role_name;
    json!({
        "Role": {
            "Path": "/",
            "RoleName": name,
            "RoleId": "AROABESSEMER00000000",
            "Arn": format!("arn:aws:iam::{ACCOUNT}:role/{name}"),
            "CreateDate": 0,
            "AssumeRolePolicyDocument": TRUST,
            "MaxSessionDuration": 3600,
        }
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SimulatePrincipalPolicy {
    action_names: Vec<String>,
    #[serde(default)]
    resource_arns: Vec<String>,
}

fn simulate_principal_policy(mut input: SimulatePrincipalPolicy) -> Value {
    if input.resource_arns.is_empty() {
        input.resource_arns.push("*".to_owned());
    }
    let pairs = input
        .action_names
        .iter()
        .flat_map(|action| input.resource_arns.iter().map(move |resource| (action, resource)));
    let results: Vec<Value> = pairs
        .map(|(action, resource)| {
            json!({
                "EvalActionName": action,
                "EvalResourceName": resource,
                "EvalDecision": "allowed",
                "MatchedStatements": [],
                "MissingContextValues": [],
            })
        })
        .collect();
    json!({ "EvaluationResults": results, "IsTruncated": false })
}
