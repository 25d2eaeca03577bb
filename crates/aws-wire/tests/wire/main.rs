//! The crate from outside: boto3 as the client, recorded requests, AWS's words.
#![expect(clippy::unwrap_used, reason = "a failed test may panic")]

mod kit;
mod protocols;
mod signatures;
mod validation;
