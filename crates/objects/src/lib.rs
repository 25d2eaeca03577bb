//! Where inputs and outputs live: files of this machine and objects on S3.
//!
//! [`Objects`] finds inputs, brings them to this machine and puts outputs into place, whole or not
//! at all. [`storage::Storage`] is what a server has instead: its own [`buckets`] or an S3 elsewhere,
//! whichever it is told. [`durable`] holds what it rests on for local files. Everything blocks; a runtime for S3
//! starts when it is first needed.

pub mod buckets;
pub mod durable;
mod error;
mod inputs;
mod location;
mod objects;
mod relative;
mod s3;
pub mod storage;

pub use error::{ObjectsError, ObjectsErrorKind};
pub use inputs::{Input, InputOptions};
pub use location::Location;
pub use objects::{Listed, LocalCopy, Objects};
