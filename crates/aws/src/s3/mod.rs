//! S3 over a [`BucketDir`](bessemer_objects::buckets::BucketDir).
//!
//! The crate s3s speaks the protocol and verifies signatures: version 4 in headers and presigned
//! URLs, chunked payloads with and without trailers, and version 2 in presigned URLs. What is here
//! are the operations. Those that are missing answer `NotImplemented`.
//!
//! Encryption headers (`AES256`, `aws:kms`), canned ACLs and storage classes are taken and do
//! nothing; keys of the customer's own (SSE-C), object lock and appends are refused.

mod access;
mod bucket;
mod checksum;
mod content;
mod copy;
mod delete;
mod error;
mod front;
mod get;
mod headers;
mod list;
mod list_uploads;
mod multipart;
mod operations;
mod presigned;
mod put;
mod service;
mod tagging;

use std::sync::Arc;

use bessemer_objects::storage::Storage;

pub(crate) use service::S3Service;

use crate::key_ring::KeyRing;

/// The service over the server's own buckets, for callers with `keys`: what an HTTP server mounts. If
/// the objects are elsewhere, it answers every call with where they are.
pub(crate) fn service(storage: &Storage, keys: Arc<KeyRing>) -> S3Service {
    match storage {
        Storage::Folder(buckets) => S3Service::new(Arc::clone(buckets), keys),
        Storage::External(external) => S3Service::elsewhere(external.endpoint()),
    }
}
