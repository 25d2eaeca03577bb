//! Lines that processes wrote, with their times.
//!
//! A stream is one append-only file of records, one a line:
//!
//! ```text
//! 1763735714123 o starting
//! 1763735714130 e+this line of standard error goes on in the next record
//! ```
//!
//! Milliseconds since 1970, never less than those before; where the text comes from ([`Source`]); a
//! space, or `+` if the record is not the end of its line; the text. Lines are cut after
//! [`MAX_TEXT`] bytes, which is what a CloudWatch Logs event may hold. The file is written by the
//! process's supervisor, not by the server: no line is lost with the server, and a record that a
//! reader sees is whole. Lines of one source are in their order; of two sources, as they came.

mod lines;
mod paths;
mod put;
mod reader;
mod record;
mod writer;

pub(crate) use lines::Lines;
pub use paths::LogFolder;
pub use put::put;
pub use reader::{LogReader, Page, Window};
pub use record::{MAX_TEXT, Record, Source};
pub use writer::LogWriter;
