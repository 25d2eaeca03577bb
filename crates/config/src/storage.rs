//! `[storage]`: where jobs' data is.

use crate::reader::Table;

/// Where jobs read from and write to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StorageSettings {
    /// An S3 endpoint in place of the server's own buckets.
    pub endpoint: Option<String>,
}

impl StorageSettings {
    pub(crate) fn read(top: &Table<'_, '_>) -> Self {
        let Some(table) = top.table("storage") else { return Self::default() };
        let read = Self { endpoint: table.maybe("endpoint") };
        if read.endpoint.is_some() {
            let why = "is not supported by this release: jobs use the server's own buckets; \
                       remove it";
            table.refuse("endpoint", why);
        }
        table.finish();
        read
    }
}
