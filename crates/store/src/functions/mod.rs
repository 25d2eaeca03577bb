//! Functions, layers and event source mappings as documents by name, and the asynchronous invocations
//! that wait.

mod documents;
mod invocations;

pub use documents::{FunctionDocument, FunctionTable};
pub use invocations::{Invocation, InvocationTable, NewInvocation};
