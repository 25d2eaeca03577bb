//! The services of AWS that Bessemer answers for, one module a service: decode, authorize, call a
//! manager, encode.

mod keys;
pub mod s3;

pub use keys::{AccessKey, Keys};
