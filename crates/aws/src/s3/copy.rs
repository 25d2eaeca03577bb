//! `CopyObject`, and what it shares with `UploadPartCopy`.

use std::sync::Arc;

use bessemer_objects::buckets::{
    BucketDir, BucketError, BucketName, Condition, Object, ObjectInfo, ObjectKey, Record,
};
use s3s::{
    S3Request, S3Response, S3Result,
    dto::{
        CopyObjectInput, CopyObjectOutput, CopyObjectResult, CopySource, ETag, MetadataDirective,
        TaggingDirective, Timestamp,
    },
    s3_error,
};

use super::{
    checksum::{self, Algorithm, Digests},
    content,
    front::{Front, bucket_name, no_customer_key, object_key, only_version},
    get::{Conditions, Outcome, precondition_failed},
    headers::{headers_of, metadata, tags_of_header},
};

/// The conditions on the source of an input that has them.
macro_rules! source_conditions_of {
    ($input:expr) => {
        $crate::s3::get::Conditions {
            if_match: $input.copy_source_if_match.as_ref(),
            if_none_match: $input.copy_source_if_none_match.as_ref(),
            if_modified_since: $input.copy_source_if_modified_since.as_ref(),
            if_unmodified_since: $input.copy_source_if_unmodified_since.as_ref(),
        }
    };
}
pub(super) use source_conditions_of;

impl Front {
    /// Opens what is to be copied.
    pub(super) async fn open_source(
        &self,
        source: &CopySource,
        conditions: &Conditions<'_>,
    ) -> S3Result<Object> {
        let CopySource::Bucket { bucket, key, version_id } = source else {
            return Err(s3_error!(NotImplemented, "Access points are not supported."));
        };
        only_version(version_id.as_deref())?;
        let object = self.open(bucket, key).await?;
        match conditions.check(&object.info) {
            Outcome::Holds => Ok(object),
            Outcome::NotModified | Outcome::Failed => Err(precondition_failed()),
        }
    }

    pub(super) async fn copy(
        &self,
        request: S3Request<CopyObjectInput>,
    ) -> S3Result<S3Response<CopyObjectOutput>> {
        let mut input = request.input;
        let bucket = bucket_name(&input.bucket)?;
        let key = object_key(&input.key)?;
        no_customer_key(input.sse_customer_algorithm.as_ref())?;
        no_customer_key(input.copy_source_sse_customer_algorithm.as_ref())?;
        let algorithm = input.checksum_algorithm.as_ref();
        let algorithm = algorithm.map(|name| Algorithm::parse(name.as_str())).transpose()?;
        let conditions = source_conditions_of!(input);
        let source = self.open_source(&input.copy_source, &conditions).await?;
        let replaces = |directive: Option<&str>| directive == Some("REPLACE");
        let headers = replaces(input.metadata_directive.as_ref().map(MetadataDirective::as_str));
        let tags = replaces(input.tagging_directive.as_ref().map(TaggingDirective::as_str));
        if is_itself(&input) && !headers && !tags && algorithm.is_none() {
            let message = "This copy request is illegal because it is trying to copy an object to \
                           itself without changing the object's metadata, storage class, website \
                           redirect location or encryption attributes.";
            return Err(s3_error!(InvalidRequest, "{message}"));
        }
        let mut record = source.info.record.clone();
        record.upload = None;
        if headers {
            record.headers = headers_of!(input).into_map();
            record.metadata = metadata(input.metadata.take())?;
        }
        if tags {
            record.tags = tags_of_header(input.tagging.as_deref())?;
        }
        let info = self
            .block(move |buckets| copy(buckets, &source, &bucket, &key, record, algorithm))
            .await?;
        Ok(S3Response::new(CopyObjectOutput {
            copy_object_result: Some(copied(info)),
            ..CopyObjectOutput::default()
        }))
    }
}

fn is_itself(input: &CopyObjectInput) -> bool {
    matches!(&input.copy_source, CopySource::Bucket { bucket, key, .. }
        if **bucket == *input.bucket && **key == *input.key)
}

fn copy(
    buckets: &Arc<BucketDir>,
    source: &Object,
    bucket: &BucketName,
    key: &ObjectKey,
    mut record: Record,
    algorithm: Option<Algorithm>,
) -> Result<ObjectInfo, BucketError> {
    buckets.find_bucket(bucket)?;
    let mut incoming = buckets.receive()?;
    incoming.copy(&source.file, 0, source.info.size)?;
    let lacks =
        |algorithm: Algorithm| record.composite || !record.checksums.contains_key(algorithm.name());
    if !source.info.is_recorded || algorithm.is_some_and(lacks) {
        let digests = Digests::new(algorithm);
        let received = content::digest(&source.file, 0, source.info.size, digests)
            .map_err(|source| BucketError::Io { action: "read the object", source })?;
        if algorithm.is_some() {
            record.checksums = received.checksums;
            record.composite = false;
        }
        record.etag = received.md5;
        record.parts = Vec::new();
    }
    buckets.put(bucket, key, incoming, record, &Condition::None)
}

fn copied(info: ObjectInfo) -> CopyObjectResult {
    let checksums = checksum::of_record(&info.record);
    CopyObjectResult {
        checksum_crc32: checksums.checksum_crc32,
        checksum_crc32c: checksums.checksum_crc32c,
        checksum_crc64nvme: checksums.checksum_crc64nvme,
        checksum_sha1: checksums.checksum_sha1,
        checksum_sha256: checksums.checksum_sha256,
        checksum_type: checksums.checksum_type,
        e_tag: Some(ETag::Strong(info.record.etag)),
        last_modified: Some(Timestamp::from(info.modified)),
    }
}
