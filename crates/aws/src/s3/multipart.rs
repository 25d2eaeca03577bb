//! Multipart uploads: beginning, parts, completing, aborting.

use std::{sync::Arc, time::Duration};

use bessemer_objects::buckets::{
    BucketDir, BucketError, BucketName, Condition, Object, ObjectInfo, ObjectKey, Part, Record,
    Upload, UploadPlan, completion,
};
use s3s::{
    S3ErrorCode, S3Request, S3Response, S3Result,
    dto::{
        AbortMultipartUploadInput, AbortMultipartUploadOutput, ChecksumAlgorithm, ChecksumType,
        CompleteMultipartUploadInput, CompleteMultipartUploadOutput, CompletedPart, CopyPartResult,
        CreateMultipartUploadInput, CreateMultipartUploadOutput, ETag, Range, Timestamp,
        UploadPartCopyInput, UploadPartCopyOutput, UploadPartInput, UploadPartOutput,
    },
    s3_error,
};

use super::{
    checksum::{self, Algorithm, Claims, Digests, checksums_of, values_of},
    content,
    copy::source_conditions_of,
    error::from_bucket,
    front::{Front, bucket_name, no_customer_key, object_key},
    headers::{headers_of, metadata, tags_of_header},
    put::condition,
};

const MAX_PART: i32 = 10_000;
/// How long a client waits for the end of a completion before the answer begins without it.
const PATIENCE: Duration = Duration::from_secs(10);

impl Front {
    pub(super) async fn begin_upload(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        let mut input = request.input;
        bucket_name(&input.bucket)?;
        object_key(&input.key)?;
        no_customer_key(input.sse_customer_algorithm.as_ref())?;
        let algorithm = input.checksum_algorithm.as_ref();
        let algorithm = algorithm.map(|name| Algorithm::parse(name.as_str())).transpose()?;
        let full_object = is_full_object(algorithm, input.checksum_type.as_ref())?;
        let record = Record {
            headers: headers_of!(input).into_map(),
            metadata: metadata(input.metadata.take())?,
            tags: tags_of_header(input.tagging.as_deref())?,
            ..Record::default()
        };
        let plan = UploadPlan {
            bucket: input.bucket.clone(),
            key: input.key.clone(),
            record,
            algorithm: algorithm.map(|algorithm| algorithm.name().to_owned()),
            full_object,
        };
        let id = format!("{:032x}{:032x}", rand::random::<u128>(), rand::random::<u128>());
        let upload_id = id.clone();
        self.block(move |buckets| buckets.begin_upload(&id, &plan)).await?;
        Ok(S3Response::new(CreateMultipartUploadOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            upload_id: Some(upload_id),
            checksum_algorithm: input.checksum_algorithm,
            checksum_type: algorithm.map(|_| checksum_type(full_object)),
            ..CreateMultipartUploadOutput::default()
        }))
    }

    pub(super) async fn find_upload(&self, bucket: &str, key: &str, id: &str) -> S3Result<Upload> {
        let bucket = bucket_name(bucket)?;
        let key = object_key(key)?;
        let id = id.to_owned();
        self.block(move |buckets| {
            buckets.find_bucket(&bucket)?;
            buckets.upload(&bucket, &key, &id)
        })
        .await
    }

    pub(super) async fn put_part(
        &self,
        request: S3Request<UploadPartInput>,
    ) -> S3Result<S3Response<UploadPartOutput>> {
        let S3Request { mut input, headers, trailing_headers, .. } = request;
        no_customer_key(input.sse_customer_algorithm.as_ref())?;
        let number = part_number(input.part_number)?;
        let upload = self.find_upload(&input.bucket, &input.key, &input.upload_id).await?;
        let algorithm = input.checksum_algorithm.as_ref().map(ChecksumAlgorithm::as_str);
        let md5 = input.content_md5.take();
        let mut claims = Claims::new(checksums_of!(input), algorithm, md5, &headers)?;
        claims.want(upload.plan.algorithm.as_deref())?;
        let (incoming, received) =
            self.receive(input.body.take(), trailing_headers, claims).await?;
        let record =
            Record { etag: received.md5, checksums: received.checksums, ..Record::default() };
        let part =
            self.block(move |buckets| buckets.put_part(&upload, number, incoming, record)).await?;
        let checksums = checksum::of_record(&part.info.record);
        Ok(S3Response::new(UploadPartOutput {
            checksum_crc32: checksums.checksum_crc32,
            checksum_crc32c: checksums.checksum_crc32c,
            checksum_crc64nvme: checksums.checksum_crc64nvme,
            checksum_sha1: checksums.checksum_sha1,
            checksum_sha256: checksums.checksum_sha256,
            e_tag: Some(ETag::Strong(part.info.record.etag)),
            ..UploadPartOutput::default()
        }))
    }

    pub(super) async fn copy_part(
        &self,
        request: S3Request<UploadPartCopyInput>,
    ) -> S3Result<S3Response<UploadPartCopyOutput>> {
        let input = request.input;
        let number = part_number(input.part_number)?;
        let upload = self.find_upload(&input.bucket, &input.key, &input.upload_id).await?;
        let conditions = source_conditions_of!(input);
        let source = self.open_source(&input.copy_source, &conditions).await?;
        let range = source_range(input.copy_source_range.as_deref(), source.info.size)?;
        let part =
            self.block(move |buckets| copy_part(buckets, &upload, number, &source, range)).await?;
        let checksums = checksum::of_record(&part.info.record);
        Ok(S3Response::new(UploadPartCopyOutput {
            copy_part_result: Some(CopyPartResult {
                checksum_crc32: checksums.checksum_crc32,
                checksum_crc32c: checksums.checksum_crc32c,
                checksum_crc64nvme: checksums.checksum_crc64nvme,
                checksum_sha1: checksums.checksum_sha1,
                checksum_sha256: checksums.checksum_sha256,
                e_tag: Some(ETag::Strong(part.info.record.etag)),
                last_modified: Some(Timestamp::from(part.info.modified)),
            }),
            ..UploadPartCopyOutput::default()
        }))
    }

    pub(super) async fn abort_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        let input = request.input;
        let upload = self.find_upload(&input.bucket, &input.key, &input.upload_id).await?;
        self.block(move |buckets| buckets.abort(&upload)).await?;
        Ok(S3Response::new(AbortMultipartUploadOutput::default()))
    }

    pub(super) async fn complete_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let mut input = request.input;
        let bucket = bucket_name(&input.bucket)?;
        let key = object_key(&input.key)?;
        let condition = condition(input.if_match.as_ref(), input.if_none_match.as_ref())?;
        let id = input.upload_id.clone();
        let claimed = values_of(checksums_of!(input)).into_iter().next();
        let named = input.multipart_upload.take().and_then(|upload| upload.parts);
        let named = named.unwrap_or_default();
        let found = self
            .block(move |buckets| match buckets.upload(&bucket, &key, &id) {
                Err(missing @ BucketError::NoSuchUpload(_)) => {
                    made_by(buckets, &bucket, &key, &id)?.map(Found::Object).ok_or(missing)
                }
                found => found.map(Found::Upload),
            })
            .await?;
        let upload = match found {
            Found::Upload(upload) => upload,
            Found::Object(info) => return Ok(S3Response::new(completed(&input, info))),
        };
        let target = upload.clone();
        let parts = self.block(move |buckets| buckets.parts(&target)).await?;
        let parts = choose(&parts, &named)?;
        let size: u64 = parts.iter().map(|part| part.info.size).sum();
        if input.mpu_object_size.is_some_and(|claimed| u64::try_from(claimed) != Ok(size)) {
            let message = "The provided 'x-amz-mp-object-size' header value does not match what \
                           was computed.";
            return Err(s3_error!(InvalidRequest, "{message}"));
        }
        let completion = Completion { upload, parts, claimed, condition };
        let buckets = Arc::clone(&self.buckets);
        let mut task = tokio::task::spawn_blocking(move || completion.run(&buckets));
        let joined = |result| match result {
            Ok(result) => result,
            Err(error) => Err(s3_error!(error, InternalError)),
        };
        match tokio::time::timeout(PATIENCE, &mut task).await {
            Ok(result) => Ok(S3Response::new(completed(&input, joined(result)?))),
            // As S3 does, the answer begins with white space until the end is known.
            Err(_) => Ok(S3Response::new(CompleteMultipartUploadOutput {
                future: Some(Box::pin(async move { Ok(completed(&input, joined(task.await)?)) })),
                ..CompleteMultipartUploadOutput::default()
            })),
        }
    }
}

/// What a request to complete an upload is about.
enum Found {
    Upload(Upload),
    /// The upload was completed already; the client did not hear of it.
    Object(ObjectInfo),
}

/// The object `key` if the upload `id` has made it.
fn made_by(
    buckets: &BucketDir,
    bucket: &BucketName,
    key: &ObjectKey,
    id: &str,
) -> Result<Option<ObjectInfo>, BucketError> {
    match buckets.open_object(bucket, key) {
        Ok(object) if object.info.record.upload.as_deref() == Some(id) => Ok(Some(object.info)),
        Ok(_) | Err(BucketError::NoSuchKey(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The parts that a request names.
fn choose(present: &[Part], named: &[CompletedPart]) -> S3Result<Vec<Part>> {
    if named.is_empty() {
        let message = "The XML you provided was not well-formed or did not validate against our \
                       published schema";
        return Err(s3_error!(MalformedXML, "{message}"));
    }
    let mut wanted = Vec::new();
    for part in named {
        let number = part_number(part.part_number.unwrap_or_default())?;
        let etag = part.e_tag.as_ref().map(|etag| etag.value().to_owned());
        wanted.push((number, etag.unwrap_or_default()));
    }
    let parts = completion(present, &wanted).map_err(from_bucket)?;
    for (part, named) in parts.iter().zip(named) {
        for (algorithm, value) in values_of(checksums_of!(named)) {
            if part.info.record.checksums.get(algorithm.name()) != Some(&value) {
                return Err(from_bucket(BucketError::InvalidPart(part.number)));
            }
        }
    }
    Ok(parts)
}

/// All that it takes to make an object of an upload.
struct Completion {
    upload: Upload,
    parts: Vec<Part>,
    /// The checksum that the object is to have.
    claimed: Option<(Algorithm, String)>,
    condition: Condition,
}

impl Completion {
    fn run(self, buckets: &Arc<BucketDir>) -> S3Result<ObjectInfo> {
        let error = match self.make(buckets) {
            Ok(info) => return Ok(info),
            Err(error) => error,
        };
        // Another request may have completed it in the meantime.
        if matches!(error.code(), S3ErrorCode::NoSuchUpload | S3ErrorCode::InvalidPart) {
            let bucket = bucket_name(&self.upload.plan.bucket)?;
            let key = object_key(&self.upload.plan.key)?;
            let object = made_by(buckets, &bucket, &key, &self.upload.id).map_err(from_bucket)?;
            return object.ok_or(error);
        }
        Err(error)
    }

    fn make(&self, buckets: &Arc<BucketDir>) -> S3Result<ObjectInfo> {
        let plan = &self.upload.plan;
        let algorithm = plan.algorithm.as_deref().map(Algorithm::parse).transpose()?;
        let mut record = Record {
            etag: checksum::etag_of_parts(&self.parts),
            composite: !plan.full_object,
            parts: runs(&self.parts),
            ..plan.record.clone()
        };
        let incoming = buckets.join(&self.upload, &self.parts).map_err(from_bucket)?;
        if let Some(algorithm) = algorithm {
            let value = if plan.full_object {
                let digests = Digests::new([algorithm]);
                let read = content::digest(incoming.content(), 0, incoming.size(), digests);
                let mut read = read.map_err(|error| s3_error!(error, InternalError))?;
                read.checksums.remove(algorithm.name())
            } else {
                checksum::checksum_of_parts(algorithm, &self.parts)
            };
            record.checksums.extend(value.map(|value| (algorithm.name().to_owned(), value)));
        }
        self.check(&record)?;
        buckets.complete(&self.upload, incoming, record, &self.condition).map_err(from_bucket)
    }

    /// Whether the object has the checksum that the client says it has.
    fn check(&self, record: &Record) -> S3Result<()> {
        let Some((algorithm, claimed)) = &self.claimed else { return Ok(()) };
        match record.checksums.get(algorithm.name()) {
            Some(value) if value == claimed || value.split('-').next() == Some(claimed) => Ok(()),
            _ => Err(s3_error!(
                BadDigest,
                "The {} you specified did not match the calculated checksum.",
                algorithm.name()
            )),
        }
    }
}

fn completed(
    input: &CompleteMultipartUploadInput,
    info: ObjectInfo,
) -> CompleteMultipartUploadOutput {
    let checksums = checksum::of_record(&info.record);
    CompleteMultipartUploadOutput {
        bucket: Some(input.bucket.clone()),
        key: Some(input.key.clone()),
        location: Some(format!("/{}/{}", input.bucket, input.key)),
        checksum_crc32: checksums.checksum_crc32,
        checksum_crc32c: checksums.checksum_crc32c,
        checksum_crc64nvme: checksums.checksum_crc64nvme,
        checksum_sha1: checksums.checksum_sha1,
        checksum_sha256: checksums.checksum_sha256,
        checksum_type: checksums.checksum_type,
        e_tag: Some(ETag::Strong(info.record.etag)),
        ..CompleteMultipartUploadOutput::default()
    }
}

fn copy_part(
    buckets: &Arc<BucketDir>,
    upload: &Upload,
    number: u32,
    source: &Object,
    range: std::ops::Range<u64>,
) -> Result<Part, BucketError> {
    let length = range.end - range.start;
    let mut incoming = buckets.receive()?;
    incoming.copy(&source.file, range.start, length)?;
    let algorithm = upload.plan.algorithm.as_deref().and_then(|name| Algorithm::parse(name).ok());
    let digests = Digests::new(algorithm);
    let received = content::digest(&source.file, range.start, length, digests)
        .map_err(|source| BucketError::Io { action: "read the object", source })?;
    let record = Record { etag: received.md5, checksums: received.checksums, ..Record::default() };
    buckets.put_part(upload, number, incoming, record)
}

/// The bytes of `x-amz-copy-source-range`, which must be in the source.
fn source_range(header: Option<&str>, size: u64) -> S3Result<std::ops::Range<u64>> {
    let Some(header) = header else { return Ok(0..size) };
    match Range::parse(header) {
        Ok(Range::Int { first, last: Some(last) }) if first <= last => {
            if last < size {
                Ok(first..last + 1)
            } else {
                let message = "Range specified is not valid for source object";
                Err(s3_error!(InvalidArgument, "{message} of size: {size}"))
            }
        }
        _ => {
            let message = "The x-amz-copy-source-range value must be of the form bytes=first-last";
            Err(s3_error!(InvalidArgument, "{message}"))
        }
    }
}

fn part_number(number: i32) -> S3Result<u32> {
    match u32::try_from(number) {
        Ok(part) if (1..=MAX_PART).contains(&number) => Ok(part),
        _ => {
            let message = "Part number must be an integer between 1 and 10000, inclusive";
            Err(s3_error!(InvalidArgument, "{message}"))
        }
    }
}

/// What kind of checksum an upload's object gets: S3's defaults by algorithm.
fn is_full_object(algorithm: Option<Algorithm>, kind: Option<&ChecksumType>) -> S3Result<bool> {
    let is_crc64 = algorithm == Some(Algorithm::Crc64Nvme);
    let is_sha = matches!(algorithm, Some(Algorithm::Sha1 | Algorithm::Sha256));
    match (kind.map(ChecksumType::as_str), algorithm) {
        (None, _) => Ok(is_crc64),
        (Some(ChecksumType::FULL_OBJECT), Some(_)) if !is_sha => Ok(true),
        (Some(ChecksumType::COMPOSITE), Some(_)) if !is_crc64 => Ok(false),
        (Some(kind), algorithm) => {
            let name = algorithm.map_or("null", Algorithm::name);
            Err(s3_error!(
                InvalidRequest,
                "The {kind} checksum type cannot be used with the {name} checksum algorithm."
            ))
        }
    }
}

pub(super) fn checksum_type(full_object: bool) -> ChecksumType {
    let name = if full_object { ChecksumType::FULL_OBJECT } else { ChecksumType::COMPOSITE };
    ChecksumType::from_static(name)
}

/// The sizes of parts, equal ones that follow each other counted.
fn runs(parts: &[Part]) -> Vec<(u32, u64)> {
    let mut runs: Vec<(u32, u64)> = Vec::new();
    for part in parts {
        match runs.last_mut() {
            Some((count, size)) if *size == part.info.size => *count += 1,
            _ => runs.push((1, part.info.size)),
        }
    }
    runs
}
