//! Transform jobs, as far as the API goes: what runs them reads [`TransformRequest`].

mod checks;
mod create;
mod describe;
mod replay;
mod request;

pub(super) use create::create;
pub(super) use describe::{answer, describe, summary};
pub use request::TransformRequest;
