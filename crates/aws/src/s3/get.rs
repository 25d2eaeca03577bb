//! `GetObject` and `HeadObject`.

use std::time::{Duration, UNIX_EPOCH};

use bessemer_objects::buckets::{Object, ObjectInfo};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use s3s::{
    S3Error, S3Request, S3Response, S3Result,
    dto::{
        Checksum, ChecksumMode, ETag, ETagCondition, GetObjectInput, GetObjectOutput,
        HeadObjectInput, HeadObjectOutput, Metadata, Range, Timestamp,
    },
    s3_error,
};

use super::{
    checksum, content,
    error::unnamed,
    front::{Front, bucket_name, no_customer_key, object_key, only_version},
    headers::StoredHeaders,
};

/// What a request says of the object that it wants.
#[derive(Debug, Default)]
#[expect(clippy::struct_field_names, reason = "the headers have these names")]
pub(super) struct Conditions<'a> {
    pub(super) if_match: Option<&'a ETagCondition>,
    pub(super) if_none_match: Option<&'a ETagCondition>,
    pub(super) if_modified_since: Option<&'a Timestamp>,
    pub(super) if_unmodified_since: Option<&'a Timestamp>,
}

/// How a request's conditions turn out.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Holds,
    NotModified,
    Failed,
}

impl Conditions<'_> {
    /// Whether the object is wanted: an ETag counts more than a date.
    pub(super) fn check(&self, info: &ObjectInfo) -> Outcome {
        let matches = |condition: &ETagCondition| {
            condition.as_etag().is_none_or(|etag| etag.value() == info.record.etag)
        };
        let newer = |at: &Timestamp| is_newer(info, at);
        let failed = match (self.if_match, self.if_unmodified_since) {
            (Some(etag), _) => !matches(etag),
            (None, Some(at)) => newer(at),
            (None, None) => false,
        };
        let unchanged = match (self.if_none_match, self.if_modified_since) {
            (Some(etag), _) => matches(etag),
            (None, Some(at)) => !newer(at),
            (None, None) => false,
        };
        match (failed, unchanged) {
            (true, _) => Outcome::Failed,
            (_, true) => Outcome::NotModified,
            _ => Outcome::Holds,
        }
    }
}

/// The conditions of an input that has them.
macro_rules! conditions_of {
    ($input:expr) => {
        $crate::s3::get::Conditions {
            if_match: $input.if_match.as_ref(),
            if_none_match: $input.if_none_match.as_ref(),
            if_modified_since: $input.if_modified_since.as_ref(),
            if_unmodified_since: $input.if_unmodified_since.as_ref(),
        }
    };
}

/// What part of an object an answer holds.
struct Slice {
    start: u64,
    length: u64,
    /// Its place in the object, if it is not all of it.
    range: Option<String>,
    /// How many parts the object has, if one was asked for.
    parts: Option<i32>,
}

impl Slice {
    fn of(info: &ObjectInfo, range: Option<&Range>, part: Option<i32>) -> S3Result<Self> {
        let (bytes, parts) = match (range, part) {
            (None, None) => {
                return Ok(Self { start: 0, length: info.size, range: None, parts: None });
            }
            (Some(range), None) => (range.check(info.size).map_err(|_| unsatisfiable(info))?, None),
            (None, Some(part)) => {
                let (bytes, parts) = part_of(info, part).ok_or_else(|| {
                    unnamed(
                        "InvalidPartNumber",
                        StatusCode::RANGE_NOT_SATISFIABLE,
                        "The requested partnumber is not satisfiable",
                    )
                })?;
                (bytes, Some(parts))
            }
            (Some(_), Some(_)) => {
                let message = "Cannot specify both Range header and partNumber query parameter";
                return Err(s3_error!(InvalidRequest, "{message}"));
            }
        };
        let length = bytes.end - bytes.start;
        let range =
            (length > 0).then(|| format!("bytes {}-{}/{}", bytes.start, bytes.end - 1, info.size));
        Ok(Self { start: bytes.start, length, range, parts })
    }

    fn is_whole(&self) -> bool {
        self.range.is_none()
    }
}

/// The bytes of a part, and how many parts there are.
fn part_of(info: &ObjectInfo, part: i32) -> Option<(std::ops::Range<u64>, i32)> {
    let whole = [(1, info.size)];
    let runs = if info.record.parts.is_empty() { &whole[..] } else { &info.record.parts[..] };
    let count: u32 = runs.iter().map(|(count, _)| count).sum();
    let mut before = u32::try_from(part).ok()?.checked_sub(1)?;
    let mut start = 0;
    for (count_of_run, size) in runs {
        if before < *count_of_run {
            start += u64::from(before) * size;
            return Some((start..start + size, i32::try_from(count).ok()?));
        }
        before -= count_of_run;
        start += u64::from(*count_of_run) * size;
    }
    None
}

fn unsatisfiable(info: &ObjectInfo) -> S3Error {
    let mut error = s3_error!(InvalidRange, "The requested range is not satisfiable");
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::try_from(format!("bytes */{}", info.size)) {
        headers.insert(header::CONTENT_RANGE, value);
    }
    error.set_headers(headers);
    error
}

/// The answer to a client that has the object already.
fn not_modified(info: &ObjectInfo) -> S3Error {
    let mut error = s3_error!(NotModified, "Not Modified");
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::try_from(format!("\"{}\"", info.record.etag)) {
        headers.insert(header::ETAG, value);
    }
    error.set_headers(headers);
    error
}

fn check(conditions: &Conditions<'_>, info: &ObjectInfo) -> S3Result<()> {
    match conditions.check(info) {
        Outcome::Holds => Ok(()),
        Outcome::NotModified => Err(not_modified(info)),
        Outcome::Failed => Err(precondition_failed()),
    }
}

pub(super) fn precondition_failed() -> S3Error {
    let message = "At least one of the pre-conditions you specified did not hold";
    s3_error!(PreconditionFailed, "{message}")
}

/// The checksums of the answer, if they are asked for and are those of what it holds.
fn checksums(info: &ObjectInfo, mode: Option<&ChecksumMode>, slice: &Slice) -> Checksum {
    let asked = mode.is_some_and(|mode| mode.as_str() == ChecksumMode::ENABLED);
    if asked && slice.is_whole() { checksum::of_record(&info.record) } else { Checksum::default() }
}

fn user_metadata(info: &ObjectInfo) -> Option<Metadata> {
    let metadata = &info.record.metadata;
    let pairs = metadata.iter().map(|(name, value)| (name.clone(), value.clone()));
    (!metadata.is_empty()).then(|| pairs.collect())
}

/// A count or a size as S3's shapes have it.
pub(super) fn as_i64(size: u64) -> Option<i64> {
    i64::try_from(size).ok()
}

impl Front {
    pub(super) async fn open(&self, bucket: &str, key: &str) -> S3Result<Object> {
        let bucket = bucket_name(bucket)?;
        let key = object_key(key)?;
        self.block(move |buckets| buckets.open_object(&bucket, &key)).await
    }

    pub(super) async fn get(
        &self,
        request: S3Request<GetObjectInput>,
    ) -> S3Result<S3Response<GetObjectOutput>> {
        let input = request.input;
        only_version(input.version_id.as_deref())?;
        no_customer_key(input.sse_customer_algorithm.as_ref())?;
        let Object { file, info } = self.open(&input.bucket, &input.key).await?;
        check(&conditions_of!(input), &info)?;
        let slice = Slice::of(&info, input.range.as_ref(), input.part_number)?;
        let checksums = checksums(&info, input.checksum_mode.as_ref(), &slice);
        let stored = StoredHeaders::of_record(&info.record);
        Ok(S3Response::new(GetObjectOutput {
            accept_ranges: Some("bytes".to_owned()),
            body: Some(content::send(file, slice.start, slice.length)),
            cache_control: stored.cache_control,
            checksum_crc32: checksums.checksum_crc32,
            checksum_crc32c: checksums.checksum_crc32c,
            checksum_crc64nvme: checksums.checksum_crc64nvme,
            checksum_sha1: checksums.checksum_sha1,
            checksum_sha256: checksums.checksum_sha256,
            checksum_type: checksums.checksum_type,
            content_disposition: stored.content_disposition,
            content_encoding: stored.content_encoding,
            content_language: stored.content_language,
            content_length: as_i64(slice.length),
            content_range: slice.range,
            content_type: stored.content_type,
            e_tag: Some(ETag::Strong(info.record.etag.clone())),
            expires: stored.expires,
            last_modified: Some(Timestamp::from(info.modified)),
            metadata: user_metadata(&info),
            parts_count: slice.parts,
            tag_count: i32::try_from(info.record.tags.len()).ok().filter(|count| *count > 0),
            ..GetObjectOutput::default()
        }))
    }

    pub(super) async fn head(
        &self,
        request: S3Request<HeadObjectInput>,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        let input = request.input;
        only_version(input.version_id.as_deref())?;
        no_customer_key(input.sse_customer_algorithm.as_ref())?;
        let Object { info, .. } = self.open(&input.bucket, &input.key).await?;
        check(&conditions_of!(input), &info)?;
        let slice = Slice::of(&info, input.range.as_ref(), input.part_number)?;
        let checksums = checksums(&info, input.checksum_mode.as_ref(), &slice);
        let status = (!slice.is_whole()).then_some(StatusCode::PARTIAL_CONTENT);
        let stored = StoredHeaders::of_record(&info.record);
        let mut response = S3Response::new(HeadObjectOutput {
            accept_ranges: Some("bytes".to_owned()),
            cache_control: stored.cache_control,
            checksum_crc32: checksums.checksum_crc32,
            checksum_crc32c: checksums.checksum_crc32c,
            checksum_crc64nvme: checksums.checksum_crc64nvme,
            checksum_sha1: checksums.checksum_sha1,
            checksum_sha256: checksums.checksum_sha256,
            checksum_type: checksums.checksum_type,
            content_disposition: stored.content_disposition,
            content_encoding: stored.content_encoding,
            content_language: stored.content_language,
            content_length: as_i64(slice.length),
            content_range: slice.range,
            content_type: stored.content_type,
            e_tag: Some(ETag::Strong(info.record.etag.clone())),
            expires: stored.expires,
            last_modified: Some(Timestamp::from(info.modified)),
            metadata: user_metadata(&info),
            parts_count: slice.parts,
            ..HeadObjectOutput::default()
        });
        response.status = status;
        Ok(response)
    }
}

fn is_newer(info: &ObjectInfo, at: &Timestamp) -> bool {
    // Headers tell the time in whole seconds.
    let since = info.modified.duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from(UNIX_EPOCH + Duration::from_secs(since.as_secs())) > *at
}
