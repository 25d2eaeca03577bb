//! The batch-inference engine: scan, cut, invoke, isolate, join, write.
//!
//! [`run`] takes a [`Job`] through: threads take [lanes](lane) of a file (the whole, or some of its
//! row groups), each reads chunks, has them scored by the pool of [callers](call), puts them back in
//! order and writes them; finished files are put in place by the [committer](output). The engine
//! knows no HTTP server and no database.

pub mod answers;
mod budget;
mod call;
mod error;
mod file_work;
pub mod filter;
mod input;
mod lane;
pub mod model;
mod output;
pub mod payload;
pub mod records;
mod reorder;
mod replay;
mod run;
mod settings;
mod shared;
mod stats;
mod summary;
pub mod text;
mod text_columns;
mod work;

pub use error::TransformError;
pub use output::{Folder, Mode, RejectRecord, rejects_of};
pub use replay::{Replayed, replay};
pub use run::{Controls, Job, run};
pub use settings::{Join, Rejected, Settings};
pub use shared::FailedFile;
pub use stats::{Counter, Stats};
pub use summary::{Status, Summary};
