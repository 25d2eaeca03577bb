//! Transform jobs, as far as the API goes: what runs them reads [`TransformRequest`].

mod checks;
mod create;
mod describe;
mod instance;
mod list;
mod request;
mod stop;

pub(super) use create::create;
pub(super) use describe::describe;
pub(super) use list::list;
pub use request::TransformRequest;
pub(super) use stop::stop;

use serde::Deserialize;

/// An input that names a job.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct JobName {
    transform_job_name: String,
}
