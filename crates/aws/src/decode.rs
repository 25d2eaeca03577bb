//! Inputs as typed values.

use bessemer_aws_wire::{Call, ServiceError};
use serde::de::DeserializeOwned;

/// The input of `call`. It has been checked against the service's model, so that a failure is ours.
pub(crate) fn decode<T: DeserializeOwned>(call: &Call<'_>) -> Result<T, ServiceError> {
    T::deserialize(&call.input).map_err(|error| {
        tracing::error!(operation = call.operation.name(), %error, "an input can't be decoded");
        ServiceError::internal()
    })
}
