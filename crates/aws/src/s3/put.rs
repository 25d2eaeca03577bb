//! `PutObject`.

use bessemer_objects::buckets::{Condition, Record};
use s3s::{
    S3Request, S3Response, S3Result,
    dto::{ChecksumAlgorithm, ETag, ETagCondition, PutObjectInput, PutObjectOutput},
    s3_error,
};

use super::{
    checksum::{self, Claims, checksums_of},
    front::{Front, bucket_name, no_customer_key, object_key},
    headers::{headers_of, metadata, tags_of_header},
};

impl Front {
    pub(super) async fn put(
        &self,
        request: S3Request<PutObjectInput>,
    ) -> S3Result<S3Response<PutObjectOutput>> {
        let S3Request { mut input, headers, trailing_headers, .. } = request;
        let bucket = bucket_name(&input.bucket)?;
        let key = object_key(&input.key)?;
        no_customer_key(input.sse_customer_algorithm.as_ref())?;
        if input.write_offset_bytes.is_some() || input.object_lock_mode.is_some() {
            return Err(s3_error!(NotImplemented, "Appends and object lock are not supported."));
        }
        let condition = condition(input.if_match.as_ref(), input.if_none_match.as_ref())?;
        let algorithm = input.checksum_algorithm.as_ref().map(ChecksumAlgorithm::as_str);
        let md5 = input.content_md5.take();
        let claims = Claims::new(checksums_of!(input), algorithm, md5, &headers)?;
        let record = Record {
            headers: headers_of!(input).into_map(),
            metadata: metadata(input.metadata.take())?,
            tags: tags_of_header(input.tagging.as_deref())?,
            ..Record::default()
        };
        let target = bucket.clone();
        self.block(move |buckets| buckets.find_bucket(&target)).await?;
        let (incoming, received) =
            self.receive(input.body.take(), trailing_headers, claims).await?;
        let record = Record { etag: received.md5, checksums: received.checksums, ..record };
        let info = self
            .block(move |buckets| buckets.put(&bucket, &key, incoming, record, &condition))
            .await?;
        let checksums = checksum::of_record(&info.record);
        Ok(S3Response::new(PutObjectOutput {
            e_tag: Some(ETag::Strong(info.record.etag)),
            checksum_crc32: checksums.checksum_crc32,
            checksum_crc32c: checksums.checksum_crc32c,
            checksum_crc64nvme: checksums.checksum_crc64nvme,
            checksum_sha1: checksums.checksum_sha1,
            checksum_sha256: checksums.checksum_sha256,
            checksum_type: checksums.checksum_type,
            ..PutObjectOutput::default()
        }))
    }
}

/// What the headers of a write say of the object that is there.
pub(super) fn condition(
    if_match: Option<&ETagCondition>,
    if_none_match: Option<&ETagCondition>,
) -> S3Result<Condition> {
    match (if_match, if_none_match) {
        (None, None) => Ok(Condition::None),
        (None, Some(ETagCondition::Any)) => Ok(Condition::Absent),
        (Some(ETagCondition::Any), None) => Ok(Condition::Present),
        (Some(ETagCondition::ETag(etag)), None) => Ok(Condition::Matches(etag.value().to_owned())),
        _ => Err(s3_error!(
            NotImplemented,
            "A header you provided implies functionality that is not implemented"
        )),
    }
}
