//! Who sent a request: AWS's request signatures, verified.
//!
//! [`verify`] takes requests that are signed in the `Authorization` header or in the query
//! (presigned), by Signature Version 4; for S3 also presigned URLs of version 2 and payloads in
//! signed or unsigned chunks. It is stricter than it could be in these points:
//!
//! - `host` and every `x-amz-*` header that a request has must be signed, so that no header that
//!   decides what is done can be changed;
//! - a URL that is presigned by version 2 may have no parameter that its signature leaves out;
//! - only S3 takes payloads that are not hashed.
//!
//! The format is described in "Create a signed AWS API request" of the IAM User Guide and in
//! "Authenticating Requests" of the S3 API Reference.

mod canonical;
mod chunked;
mod credential;
mod error;
mod header;
mod key;
mod presigned;
mod v2;
#[cfg(test)]
mod vectors;
mod verify;

pub use chunked::{ChunkDecoder, ChunkError};
pub use error::AuthError;
pub use key::{AccessKey, Keys};
pub use v2::hoisted_headers;
pub use verify::{Body, Payload, PayloadHash, Verified, verify};
