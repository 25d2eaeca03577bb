//! Text in and out: JSON Lines, CSV and raw lines, found, read, turned into columns and back.

pub mod detect;
pub mod from_columns;
pub mod join;
pub mod reader;
pub mod to_columns;
pub mod type_names;

pub(crate) mod csv;
pub(crate) mod json;
