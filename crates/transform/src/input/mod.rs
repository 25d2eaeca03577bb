//! The input side: opening files, reading chunks, bringing records into the model's form.

mod bind;
mod documents;
mod file;
mod page_index;
mod prepare;
mod reader;
mod source;

pub(crate) use bind::{Binding, InputColumns, bind, bind_documents, find_named, wanted};
pub(crate) use documents::{Documents, write_document};
pub(crate) use file::{Contents, InputFile};
pub(crate) use prepare::{Prepared, internal, take_rows};
pub(crate) use reader::{Chunk, ChunkLimits, Reader, Source};
pub(crate) use source::{ParquetSource, SourceReader};
