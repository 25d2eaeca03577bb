//! S3: connections, and the operations on a bucket. Everything blocks on a runtime of its own.

mod error;
mod ini;
mod operations;
mod remote;
mod settings;
mod transfer;

pub(crate) use remote::{Remote, RemoteFile};
