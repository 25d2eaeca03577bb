//! What is AWS Batch's own about a job: its statuses, arrays, dependencies and retries. Pure.

mod evaluate;
mod status;
mod wait;

pub use evaluate::{BatchExit, ExitRule, RetryAction, retry_action};
pub use status::{BatchCounts, BatchStatus};
pub use wait::{Asked, BatchToDo, BatchWait};
