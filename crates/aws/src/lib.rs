//! AWS's services over the managers, and the server that they share a port of.
//!
//! A module a service: its `mod.rs` is the table of its operations. A handler decodes, calls a
//! manager, and encodes; requests reach it verified ([`Server`]).

mod batch;
mod caller;
mod control;
mod decode;
mod iam;
mod key_ring;
mod lambda;
mod logs;
mod platform;
mod s3;
mod sagemaker;
mod server;
mod sqs;
mod sts;

pub use batch::{BatchRequest, exit_of as batch_exit_of, weigh_shares};
pub use caller::Caller;
pub use key_ring::{AccessKeyEntry, KeyRing, KeyRingError};
pub use lambda::FunctionQueues;
pub use logs::group_of as log_group_of;
pub use platform::{ACCOUNT, Platform};
pub use sagemaker::{
    FinalMetric, JobRequest, JobResult, StepBackend, TransformRequest, resume_tuning,
};
pub use server::{Server, ServerOptions};
