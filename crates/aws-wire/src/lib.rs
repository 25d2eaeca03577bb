//! What AWS clients send and read, and nothing of what is done with it.
//!
//! - [`sigv4`] says who sent a request: Signature Version 4 in headers and in presigned URLs, its
//!   chunked payloads, and the presigned URLs of version 2 that S3 clients still make.
//! - [`Service`] holds the compact model of one of AWS's APIs. It decodes a request of any of its
//!   protocols to an operation and a JSON value, checks the value as AWS does, and encodes answers
//!   and errors.
//! - [`service`] finds the models of the services that we serve, by the name in the signature.
//!
//! Everything works on values in memory; the present time is an argument.
//!
//! In decoded inputs and in the outputs that are to be encoded, whatever the protocol, a timestamp
//! is a number of seconds since 1970 (UTC), binary data is base64, and all else is what JSON has.
#![warn(missing_docs)]

mod error;
mod model;
mod percent;
mod protocol;
mod request;
pub mod sigv4;
mod timestamp;

pub use error::{Fault, ServiceError};
pub use model::{ModelError, Operation, Service, service, services};
pub use protocol::{Call, OutputError, Protocol, error_response};
pub use request::Request;
pub use timestamp::timestamp_seconds;
