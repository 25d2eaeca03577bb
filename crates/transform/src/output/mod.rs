//! The output side: encoding, rejects, and putting finished files in place.

mod answers;
mod append;
mod columns;
mod commit;
mod copied_schema;
mod folder;
mod ledger;
mod merge;
mod parquet;
mod rejects;
mod sink;
mod spill;
mod text;

pub(crate) use answers::{Answers, nulls};
pub(crate) use append::{Appender, NewColumns};
pub(crate) use columns::{OutputColumns, prefixed, renamed};
pub(crate) use commit::{Committer, Finished};
pub(crate) use folder::REJECTS;
pub use folder::{Folder, Mode};
pub(crate) use ledger::{Entry, Ledger};
pub(crate) use merge::{Patch, merge};
pub(crate) use rejects::{FetchRecords, RejectWriter, write_rejects};
pub use rejects::{RejectRecord, rejects_of};
pub(crate) use sink::{Sink, SinkPlan, no_columns};
pub(crate) use spill::SpillFactory;
