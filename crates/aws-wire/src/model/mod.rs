//! Compact models of AWS's APIs: operations, shapes and constraints.
//!
//! They are derived from botocore's `service-2.json` by `cargo xtask aws-models` and keep its
//! vocabulary.

mod coerce;
mod load;
mod names;
mod pattern;
mod service;
mod shape;
mod validate;

pub(crate) use coerce::coerce;
pub use load::ModelError;
pub use names::UnknownMember;
pub use service::{Operation, Service, service, services};
pub(crate) use service::{Route, Segment};
pub(crate) use shape::{Kind, Location, Member, Shape};
pub(crate) use validate::validate;
