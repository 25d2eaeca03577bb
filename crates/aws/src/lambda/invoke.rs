//! Invocations.

use base64::{Engine, engine::general_purpose::STANDARD};
use bessemer_functions::{Functions, Invoke};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{error::Error, names::FunctionName};
use crate::caller::Caller;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct WireInvoke {
    function_name: String,
    qualifier: Option<String>,
    invocation_type: Option<String>,
    log_type: Option<String>,
    client_context: Option<String>,
    #[serde(default)]
    payload: String,
    tenant_id: Option<String>,
    durable_execution_name: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct InvokeAsync {
    function_name: String,
    invoke_args: String,
}

pub(super) async fn invoke(
    functions: &Functions,
    caller: &Caller,
    input: WireInvoke,
    id: &str,
) -> Result<Value, Error> {
    let name = FunctionName::parse(caller, &input.function_name, input.qualifier)?;
    functions.get(&name.name, &name.arn)?;
    if input.tenant_id.is_some() || input.durable_execution_name.is_some() {
        let message = "TenantId and DurableExecutionName are not supported by Bessemer";
        return Err(Error::invalid(message));
    }
    let invoke = Invoke {
        function: name.name,
        qualifier: name.qualifier,
        payload: payload(&input.payload)?,
        client_context: input.client_context.as_deref().map(client_context).transpose()?,
        request_id: id.to_owned(),
    };
    match input.invocation_type.as_deref() {
        Some("Event") => {
            functions.invoke_later(invoke).await?;
            return Ok(json!({ "StatusCode": 202 }));
        }
        Some("DryRun") => {
            functions.could_invoke(invoke)?;
            return Ok(json!({ "StatusCode": 204 }));
        }
        _ => {}
    }
    let invoked = functions.invoke(invoke).await?;
    let mut answer = json!({
        "StatusCode": 200,
        "ExecutedVersion": invoked.version,
        "Payload": STANDARD.encode(&invoked.payload),
    });
    if invoked.is_error {
        answer["FunctionError"] = "Unhandled".into();
    }
    if input.log_type.as_deref() == Some("Tail") {
        answer["LogResult"] = STANDARD.encode(&invoked.tail).into();
    }
    Ok(answer)
}

pub(super) async fn invoke_async(
    functions: &Functions,
    caller: &Caller,
    input: InvokeAsync,
    id: &str,
) -> Result<Value, Error> {
    let name = FunctionName::parse(caller, &input.function_name, None)?;
    functions.get(&name.name, &name.arn)?;
    let invoke = Invoke {
        function: name.name,
        qualifier: name.qualifier,
        payload: payload(&input.invoke_args)?,
        client_context: None,
        request_id: id.to_owned(),
    };
    functions.invoke_later(invoke).await?;
    Ok(json!({ "Status": 202 }))
}

fn payload(text: &str) -> Result<Bytes, Error> {
    let bytes = STANDARD.decode(text);
    bytes.map(Bytes::from).map_err(|_| Error::invalid("the payload is no base64"))
}

/// The JSON that a client's context holds, which comes as base64.
fn client_context(text: &str) -> Result<String, Error> {
    let refuse = || Error::invalid("Client context must be a valid Base64-encoded JSON object.");
    let bytes = STANDARD.decode(text).map_err(|_| refuse())?;
    let value: Value = serde_json::from_slice(&bytes).map_err(|_| refuse())?;
    if !value.is_object() {
        return Err(refuse());
    }
    // A header holds ASCII.
    let mut plain = String::new();
    for character in value.to_string().chars() {
        if character.is_ascii() {
            plain.push(character);
            continue;
        }
        for unit in character.encode_utf16(&mut [0; 2]) {
            plain.push_str(&format!("\\u{unit:04x}"));
        }
    }
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_context_fits_into_a_header() {
        let encoded = STANDARD.encode("{\"custom\": {\"name\": \"größe\\n\u{1F600}\"}}");
        let plain = client_context(&encoded).unwrap();
        assert_eq!(plain, r#"{"custom":{"name":"gr\u00f6\u00dfe\n\ud83d\ude00"}}"#);
        for wrong in ["no base64", &STANDARD.encode("[1]"), &STANDARD.encode("{")] {
            assert!(client_context(wrong).is_err(), "{wrong}");
        }
    }
}
