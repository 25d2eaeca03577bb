//! The JSON protocols: the operation in a header, the input in the body.

use serde_json::{Map, Value};

use crate::{Operation, Request, Service, ServiceError};

pub(super) fn decode<'m>(
    service: &'m Service,
    request: &Request<'_>,
    body: &[u8],
) -> Result<(&'m Operation, Map<String, Value>), ServiceError> {
    let target = request.header("x-amz-target");
    let Some(target) = target.filter(|_| request.method == http::Method::POST) else {
        return Err(ServiceError::new(
            "UnknownOperationException",
            "The request has no X-Amz-Target header",
        ));
    };
    let (prefix, name) = target.rsplit_once('.').unwrap_or(("", target));
    if prefix != service.target_prefix() {
        return Err(ServiceError::new(
            "UnknownOperationException",
            format!("{} has no operation {target}", service.name()),
        ));
    }
    let operation = service.operation(name).ok_or_else(|| service.no_operation(name))?;
    Ok((operation, object(body)?))
}

/// A body that is an object; an empty one is one without members.
pub(super) fn object(body: &[u8]) -> Result<Map<String, Value>, ServiceError> {
    if body.is_empty() {
        return Ok(Map::new());
    }
    let malformed = || ServiceError::bare("SerializationException");
    match serde_json::from_slice(body).map_err(|_| malformed())? {
        Value::Object(object) => Ok(object),
        Value::Array(_) => Err(ServiceError::new(
            "SerializationException",
            "Start of list found where not expected",
        )),
        _ => Err(malformed()),
    }
}
