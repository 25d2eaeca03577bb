//! The crate from outside: boto3 as the client, recorded requests, AWS's words.

mod kit;
mod protocols;
mod signatures;
mod validation;
