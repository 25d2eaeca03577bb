//! Code archives: kept by their hashes, and unpacked for the processes that run them.

mod store;
mod unpack;

pub(crate) use store::CodeStore;
pub use unpack::{UnpackError, UnpackLimits, unpack};

/// Where code comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CodeSource {
    /// The bytes of a zip archive.
    Zip(Vec<u8>),
    /// An object of this server's buckets.
    Object {
        /// The bucket.
        bucket: String,
        /// The key.
        key: String,
    },
}
