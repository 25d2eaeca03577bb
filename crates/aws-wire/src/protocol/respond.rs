//! Responses: outputs and errors in the form of their protocol.

use base64::{Engine, engine::general_purpose::STANDARD};
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use serde_json::{Map, Value, json};

use super::{
    Call, Protocol,
    encode::{OutputError, json, json_members, text},
    xml,
};
use crate::{
    Fault, Operation, Service, ServiceError,
    model::{Kind, Location, Member, Shape},
    timestamp::TimestampFormat,
};

impl Call<'_> {
    /// The response with this output. Members that the operation doesn't declare are left out, so
    /// that what was stored for it may hold more.
    pub fn response(
        &self,
        output: &Value,
        request_id: &str,
    ) -> Result<Response<Vec<u8>>, OutputError> {
        self.service.response(self.protocol, self.operation, output, request_id)
    }
}

impl Service {
    /// The response of `operation` with this output, as [`Call::response`] has it.
    pub fn response(
        &self,
        protocol: Protocol,
        operation: &Operation,
        output: &Value,
        request_id: &str,
    ) -> Result<Response<Vec<u8>>, OutputError> {
        let shape = self.output(operation);
        match protocol {
            Protocol::Json10 | Protocol::Json11 => {
                let members = shape.map(|shape| object(self, shape, output)).transpose()?;
                let body = members.map(|members| Value::Object(members).to_string());
                let content_type = protocol.content_type();
                Ok(response(200, content_type, request_id, body.unwrap_or_default().into_bytes()))
            }
            Protocol::Query => {
                let body = query_body(self, operation, shape, output, request_id)?;
                Ok(response(200, "text/xml", request_id, body.into_bytes()))
            }
            Protocol::RestJson | Protocol::RestXml => {
                let Some(shape) = shape else {
                    return Ok(response(operation.status(), "", request_id, Vec::new()));
                };
                rest_response(self, operation, shape, output, request_id)
            }
        }
    }

    /// The response with an error of this service, in the protocol of the request.
    pub fn error_response(
        &self,
        protocol: Protocol,
        error: &ServiceError,
        request_id: &str,
    ) -> Response<Vec<u8>> {
        let message = self.error_shape(&error.code).and_then(|shape| {
            let names = shape.members.iter().map(|(name, _)| name.as_str());
            names.into_iter().find(|name| name.eq_ignore_ascii_case("message"))
        });
        let context =
            Context { namespace: self.namespace(), message: message.unwrap_or("message") };
        let old_code = error.query_code.as_ref().filter(|_| self.query_compatible());
        if let (Protocol::Query, Some(code)) = (protocol, old_code) {
            let error = ServiceError { code: code.clone(), ..error.clone() };
            return write_error(protocol, &error, &context, request_id);
        }
        let mut response = write_error(protocol, error, &context, request_id);
        if let Some(code) = old_code {
            let fault = fault_name(error.fault());
            insert(&mut response, "x-amzn-query-error", &format!("{code};{fault}"));
        }
        response
    }
}

/// The response with an error, where the service is not known or has no model.
pub fn error_response(
    protocol: Protocol,
    error: &ServiceError,
    request_id: &str,
) -> Response<Vec<u8>> {
    write_error(protocol, error, &Context { namespace: "", message: "message" }, request_id)
}

/// What a service's errors have of their own.
struct Context<'a> {
    namespace: &'a str,
    /// The name of the member that holds the text.
    message: &'a str,
}

impl Protocol {
    fn content_type(self) -> &'static str {
        match self {
            Self::Json10 => "application/x-amz-json-1.0",
            Self::Json11 => "application/x-amz-json-1.1",
            Self::RestJson => "application/json",
            Self::Query => "text/xml",
            Self::RestXml => "application/xml",
        }
    }
}

fn object(
    service: &Service,
    shape: &Shape,
    output: &Value,
) -> Result<Map<String, Value>, OutputError> {
    let Value::Object(object) = output else {
        return Err(OutputError::new("", output, "a structure"));
    };
    let members = shape.members.iter().map(|(name, member)| (name.as_str(), member));
    json_members(service, members, object, "")
}

fn query_body(
    service: &Service,
    operation: &Operation,
    shape: Option<&Shape>,
    output: &Value,
    request_id: &str,
) -> Result<String, OutputError> {
    let name = operation.name();
    let mut result = String::new();
    if let Some(shape) = shape {
        xml::members(service, shape, output, "", &mut result)?;
        if let Some(wrapper) = operation.wrapper() {
            result = format!("<{wrapper}>{result}</{wrapper}>");
        }
    }
    Ok(format!(
        "<{name}Response xmlns=\"{}\">{result}<ResponseMetadata><RequestId>{}</RequestId>\
         </ResponseMetadata></{name}Response>",
        xml::escape(service.namespace()),
        xml::escape(request_id)
    ))
}

fn rest_response(
    service: &Service,
    operation: &Operation,
    shape: &Shape,
    output: &Value,
    request_id: &str,
) -> Result<Response<Vec<u8>>, OutputError> {
    let Value::Object(members) = output else {
        return Err(OutputError::new("", output, "a structure"));
    };
    let (content_type, body) = rest_body(service, shape, members)?;
    let mut response = response(operation.status(), content_type, request_id, body);
    for (name, member) in &shape.members {
        let Some(value) = members.get(name).filter(|value| !value.is_null()) else { continue };
        let member_shape = service.shape(&member.shape);
        let format = TimestampFormat::HttpDate;
        match (member.location, value) {
            (Some(Location::StatusCode), _) => {
                let status = value.as_u64().and_then(|status| u16::try_from(status).ok());
                let status = status.and_then(|status| StatusCode::from_u16(status).ok());
                *response.status_mut() =
                    status.ok_or_else(|| OutputError::new(name, value, "an HTTP status"))?;
            }
            (Some(Location::Header), _) => {
                let text = text(member_shape, member, value, name, format)?;
                insert(&mut response, member.wire_name(name), &text);
            }
            (Some(Location::Headers), Value::Object(entries)) => {
                for (key, value) in entries {
                    let text = value.as_str();
                    let text = text.ok_or_else(|| OutputError::new(name, value, "a string"))?;
                    insert(&mut response, &format!("{}{key}", member.wire_name(name)), text);
                }
            }
            _ => {}
        }
    }
    Ok(response)
}

/// A body and its content type.
fn rest_body(
    service: &Service,
    shape: &Shape,
    output: &Map<String, Value>,
) -> Result<(&'static str, Vec<u8>), OutputError> {
    let Some(payload) = &shape.payload else {
        let members = shape.members.iter().filter(|(_, member)| member.location.is_none());
        let members = members.map(|(name, member): &(String, Member)| (name.as_str(), member));
        let body = json_members(service, members, output, "")?;
        return Ok(("application/json", Value::Object(body).to_string().into_bytes()));
    };
    let member = shape.member_named(payload);
    let (Some(member), Some(value)) = (member, output.get(payload)) else {
        return Ok(("", Vec::new()));
    };
    match service.shape(&member.shape).kind {
        Kind::Blob => {
            let bytes = value.as_str().and_then(|text| STANDARD.decode(text).ok());
            let bytes = bytes.ok_or_else(|| OutputError::new(payload, value, "base64"))?;
            Ok(("application/octet-stream", bytes))
        }
        Kind::String => {
            let text =
                value.as_str().ok_or_else(|| OutputError::new(payload, value, "a string"))?;
            Ok(("text/plain", text.as_bytes().to_vec()))
        }
        _ => {
            let body = json(service, member, value, payload)?;
            Ok(("application/json", body.to_string().into_bytes()))
        }
    }
}

fn write_error(
    protocol: Protocol,
    error: &ServiceError,
    context: &Context<'_>,
    request_id: &str,
) -> Response<Vec<u8>> {
    let body = match protocol {
        Protocol::Json10 | Protocol::Json11 => json_error(error, context, true),
        Protocol::RestJson => json_error(error, context, false),
        Protocol::Query => query_error(error, context, request_id),
        Protocol::RestXml => format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error>{}<RequestId>{}</RequestId></Error>",
            code_and_message(error),
            xml::escape(request_id)
        ),
    };
    let mut response =
        response(error.status, protocol.content_type(), request_id, body.into_bytes());
    match protocol {
        Protocol::Json10 | Protocol::Json11 | Protocol::RestJson => {
            insert(&mut response, "x-amzn-errortype", &error.code);
        }
        Protocol::RestXml => insert(&mut response, "x-amz-request-id", request_id),
        Protocol::Query => {}
    }
    response
}

fn json_error(error: &ServiceError, context: &Context<'_>, with_type: bool) -> String {
    let mut body = Map::new();
    if with_type {
        body.insert("__type".to_owned(), json!(error.code));
    }
    if let Some(message) = &error.message {
        body.insert(context.message.to_owned(), json!(message));
    }
    body.extend(error.members.clone());
    Value::Object(body).to_string()
}

fn query_error(error: &ServiceError, context: &Context<'_>, request_id: &str) -> String {
    let namespace = match context.namespace {
        "" => String::new(),
        namespace => format!(" xmlns=\"{}\"", xml::escape(namespace)),
    };
    format!(
        "<ErrorResponse{namespace}><Error><Type>{}</Type>{}</Error><RequestId>{}</RequestId>\
         </ErrorResponse>",
        fault_name(error.fault()),
        code_and_message(error),
        xml::escape(request_id)
    )
}

fn code_and_message(error: &ServiceError) -> String {
    let message = error.message.as_deref().unwrap_or_default();
    format!("<Code>{}</Code><Message>{}</Message>", xml::escape(&error.code), xml::escape(message))
}

fn fault_name(fault: Fault) -> &'static str {
    match fault {
        Fault::Sender => "Sender",
        Fault::Receiver => "Receiver",
    }
}

fn response(
    status: u16,
    content_type: &'static str,
    request_id: &str,
    body: Vec<u8>,
) -> Response<Vec<u8>> {
    let mut response = Response::new(body);
    let status = StatusCode::from_u16(status);
    *response.status_mut() = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if !content_type.is_empty() {
        let value = HeaderValue::from_static(content_type);
        response.headers_mut().insert(header::CONTENT_TYPE, value);
    }
    insert(&mut response, "x-amzn-requestid", request_id);
    response
}

/// Sets a header, with what headers can't hold replaced by spaces.
fn insert(response: &mut Response<Vec<u8>>, name: &str, value: &str) {
    let printable = |c: char| if c.is_control() || !c.is_ascii() { ' ' } else { c };
    let value: String = value.chars().map(printable).collect();
    if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
        response.headers_mut().insert(name, value);
    }
}
