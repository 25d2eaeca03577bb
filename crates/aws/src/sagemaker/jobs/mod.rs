//! What jobs of every kind have in common: names, submission, status, lists, stops.

mod checks;
mod find;
mod instance;
mod kind;
mod list;
mod reason;
mod request;
mod status;
mod stop;
mod submit;

pub(super) use checks::{check_absent, check_unique, check_uri, unsupported};
pub(super) use find::{Found, JobName, find, read};
pub(super) use instance::resources;
pub(super) use kind::words;
pub(super) use list::list;
pub(super) use reason::reason;
pub use request::{FinalMetric, JobRequest, JobResult};
pub(super) use status::{phase, status_of};
pub(super) use stop::stop;
pub(super) use submit::{Submission, submit};
