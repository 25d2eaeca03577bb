//! Functions (AWS Lambda): what they are, and the processes that run them.
//!
//! [`Functions`] is the handle on all of them. A function is a document in memory and in the database
//! ([`Function`]); its code is a zip archive by its hash ([`code`]). To be invoked, it gets a process
//! in a sandbox, which AWS's own runtime client drives: it asks a small HTTP server of ours
//! for one invocation after the other (`process::api`). Processes that wait are kept for the next
//! invocation, and end with the server.

mod alias;
mod asynchronous;
pub mod code;
mod error;
mod event_config;
mod function;
mod functions;
mod invoke;
mod layer;
mod mappings;
mod policy;
mod pool;
mod process;
mod queues;
mod registry;
mod runtime;
mod shared;
mod version;

pub use alias::{Alias, AliasChange};
pub use code::CodeSource;
pub use error::{FunctionsError, Throttle};
pub use event_config::{EventConfig, EventConfigChange};
pub use function::Function;
pub use functions::{CodeUpdate, CreateFunction, Functions, FunctionsOptions, Limits, Publish};
pub use invoke::{Invoke, Invoked};
pub use layer::{Layer, LayerVersion, PublishLayer};
pub use mappings::{CreateMapping, Mapping, MappingChange, MappingSettings, Pattern, PatternError};
pub use policy::{Permission, Policy};
pub use process::Access;
pub use queues::{Message, MessageQueues, QueueError};
pub use runtime::{Readiness, Runtime};
pub use version::{Code, LayerUse, Settings, SettingsChange, Version};
