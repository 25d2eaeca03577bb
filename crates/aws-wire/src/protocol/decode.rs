//! From a request to an operation and its input.

use serde_json::Value;

use super::{Protocol, form, json, rest};
use crate::{
    Operation, Request, Service, ServiceError,
    model::{coerce, validate},
};

/// A call of an operation, its input decoded and checked.
#[derive(Debug)]
pub struct Call<'m> {
    /// The service.
    pub service: &'m Service,
    /// How the request was written, and the response is to be.
    pub protocol: Protocol,
    /// The operation.
    pub operation: &'m Operation,
    /// Its input, an object. It has the members that the model knows, without nulls.
    pub input: Value,
}

impl Service {
    /// Decodes a request to this service and checks its input.
    ///
    /// The error is ready to be answered: an unknown or unsupported operation, a malformed body,
    /// a value of the wrong type, or members that break their constraints.
    pub fn decode<'m>(
        &'m self,
        request: &Request<'_>,
        body: &[u8],
    ) -> Result<Call<'m>, ServiceError> {
        let protocol = self.protocol_of(request);
        let (operation, raw) = match protocol {
            Protocol::Json10 | Protocol::Json11 => json::decode(self, request, body)?,
            Protocol::Query => form::decode(self, request, body)?,
            Protocol::RestJson | Protocol::RestXml => rest::decode(self, request, body)?,
        };
        let Some(shape) = self.input(operation) else {
            return Ok(Call { service: self, protocol, operation, input: Value::Object(raw) });
        };
        let input = coerce(self, shape, Value::Object(raw))?;
        validate(self, shape, &input).map_err(|message| self.validation_error(message))?;
        Ok(Call { service: self, protocol, operation, input })
    }

    /// The input of `operation` from a value that no request held, with the same checks.
    pub fn input_of(&self, operation: &str, value: Value) -> Result<Value, ServiceError> {
        let operation = self.operation(operation).ok_or_else(|| self.no_operation(operation))?;
        let Some(shape) = self.input(operation) else { return Ok(value) };
        let input = coerce(self, shape, value)?;
        validate(self, shape, &input).map_err(|message| self.validation_error(message))?;
        Ok(input)
    }

    /// Says that AWS has an operation and we don't, or that there is none.
    pub(super) fn no_operation(&self, name: &str) -> ServiceError {
        if self.unsupported().iter().any(|(known, _)| known == name) {
            return self.unsupported_operation(name);
        }
        match self.protocol() {
            Protocol::Query => ServiceError::new(
                "InvalidAction",
                format!("Could not find operation {name} for version {}", self.version()),
            ),
            _ => ServiceError::new(
                "UnknownOperationException",
                format!("{} has no operation {name}", self.name()),
            ),
        }
    }

    pub(super) fn unsupported_operation(&self, name: &str) -> ServiceError {
        let message =
            format!("The operation {name} of {} is not supported by Bessemer", self.name());
        ServiceError::new("NotImplemented", message).with_status(501)
    }
}
