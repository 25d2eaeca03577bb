//! Python handlers in worker processes: a script's `predict(batch)`, or SageMaker's `model_fn`,
//! `input_fn`, `predict_fn` and `output_fn`.
//!
//! Workers are separate processes, so that a handler that crashes, hangs or leaks takes nothing of
//! ours with it. Batches travel as Arrow IPC streams, or as text where the handler reads text.

mod batches;
mod environment;
mod error;
mod launcher;
mod machine;
mod messages;
mod model;
mod options;
mod output;
mod payloads;
mod pipes;
mod pool;
mod worker;

pub use environment::EnvironmentError;
pub use error::PythonError;
pub use model::PythonModel;
pub use options::{HandlerLog, HandlerOptions};
pub use payloads::PythonPayloads;

#[cfg(test)]
mod tests;
