//! From what the user names to the files to read: in a fixed order, each once, each with a safe name
//! that no other has.

mod find;
mod manifest;
mod not_found;
mod pattern;
mod set;
mod walk;

pub use find::{Input, InputOptions};
pub(crate) use find::{find_all, folder_key, local_version, s3_file};
pub(crate) use walk::list as list_local;
