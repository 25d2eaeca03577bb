//! Event source mappings: functions that are called with the messages of queues.

mod batch;
mod mapping;
mod pattern;
mod poller;

pub use mapping::{CreateMapping, Mapping, MappingChange, MappingSettings};
pub use pattern::{Pattern, PatternError};
pub(crate) use poller::Pollers;
