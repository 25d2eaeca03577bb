//! `ListParts` and `ListMultipartUploads`.

use bessemer_objects::buckets::Upload;
use s3s::{
    S3Request, S3Response, S3Result,
    dto::{
        CommonPrefix, ETag, Initiator, ListMultipartUploadsInput, ListMultipartUploadsOutput,
        ListPartsInput, ListPartsOutput, MultipartUpload, Part, StorageClass, Timestamp,
    },
};

use super::{
    bucket::{OWNER, owner},
    checksum,
    front::{Front, bucket_name},
    get::as_i64,
    list::{Encoding, as_i32, limit},
    multipart::checksum_type,
};

impl Front {
    pub(super) async fn list_parts(
        &self,
        request: S3Request<ListPartsInput>,
    ) -> S3Result<S3Response<ListPartsOutput>> {
        let input = request.input;
        let limit = limit(input.max_parts)?;
        let upload = self.find_upload(&input.bucket, &input.key, &input.upload_id).await?;
        let plan = upload.plan.clone();
        let mut parts = self.block(move |buckets| buckets.parts(&upload)).await?;
        let after = input.part_number_marker.unwrap_or_default();
        parts.retain(|part| i64::from(part.number) > i64::from(after));
        let is_truncated = parts.len() > limit;
        parts.truncate(limit);
        let last = parts.last().and_then(|part| i32::try_from(part.number).ok());
        let shapes = parts.into_iter().map(|part| {
            let checksums = checksum::of_record(&part.info.record);
            Part {
                checksum_crc32: checksums.checksum_crc32,
                checksum_crc32c: checksums.checksum_crc32c,
                checksum_crc64nvme: checksums.checksum_crc64nvme,
                checksum_sha1: checksums.checksum_sha1,
                checksum_sha256: checksums.checksum_sha256,
                e_tag: Some(ETag::Strong(part.info.record.etag)),
                last_modified: Some(Timestamp::from(part.info.modified)),
                part_number: i32::try_from(part.number).ok(),
                size: as_i64(part.info.size),
            }
        });
        Ok(S3Response::new(ListPartsOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            upload_id: Some(input.upload_id),
            checksum_type: plan.algorithm.as_ref().map(|_| checksum_type(plan.full_object)),
            checksum_algorithm: plan.algorithm.map(Into::into),
            initiator: Some(initiator()),
            owner: Some(owner()),
            is_truncated: Some(is_truncated),
            max_parts: as_i32(limit),
            next_part_number_marker: last.filter(|_| is_truncated),
            part_number_marker: Some(after),
            parts: Some(shapes.collect()),
            storage_class: Some(StorageClass::from_static(StorageClass::STANDARD)),
            ..ListPartsOutput::default()
        }))
    }

    pub(super) async fn list_uploads(
        &self,
        request: S3Request<ListMultipartUploadsInput>,
    ) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
        let input = request.input;
        let encoding = Encoding::of(input.encoding_type.as_ref())?;
        let limit = limit(input.max_uploads)?;
        let bucket = bucket_name(&input.bucket)?;
        let uploads = self.block(move |buckets| buckets.uploads(&bucket)).await?;
        let page = page(uploads, &input, limit);
        let next = page.next.filter(|_| page.is_truncated);
        let (next_key, next_id) = next.unzip();
        let prefix = |prefix: String| CommonPrefix { prefix: Some(encoding.encode(prefix)) };
        Ok(S3Response::new(ListMultipartUploadsOutput {
            bucket: Some(input.bucket),
            common_prefixes: Some(page.prefixes.into_iter().map(prefix).collect()),
            delimiter: encoding.encode_some(input.delimiter),
            encoding_type: input.encoding_type,
            is_truncated: Some(page.is_truncated),
            key_marker: Some(encoding.encode(input.key_marker.unwrap_or_default())),
            max_uploads: as_i32(limit),
            next_key_marker: encoding.encode_some(next_key),
            next_upload_id_marker: next_id,
            prefix: encoding.encode_some(input.prefix),
            request_charged: None,
            upload_id_marker: input.upload_id_marker,
            uploads: Some(page.uploads.into_iter().map(|it| shape(it, encoding)).collect()),
        }))
    }
}

/// A page of uploads.
#[derive(Default)]
struct Page {
    uploads: Vec<Upload>,
    prefixes: Vec<String>,
    is_truncated: bool,
    /// The key and the id of the last upload that the page stands for.
    next: Option<(String, String)>,
}

fn page(uploads: Vec<Upload>, input: &ListMultipartUploadsInput, limit: usize) -> Page {
    let prefix = input.prefix.as_deref().unwrap_or_default();
    let delimiter = input.delimiter.as_deref().filter(|delimiter| !delimiter.is_empty());
    let marker = input.key_marker.as_deref().unwrap_or_default();
    let mut after_id = input.upload_id_marker.as_deref();
    let mut page = Page::default();
    for upload in uploads {
        let key = upload.plan.key.clone();
        // Uploads of one key are in the order of their beginning: those up to the marker are past.
        let is_past = key.as_str() < marker
            || (key == marker && !marker.is_empty() && {
                let before = after_id.is_some();
                if after_id == Some(upload.id.as_str()) {
                    after_id = None;
                }
                before || input.upload_id_marker.is_none()
            });
        let Some(rest) = key.strip_prefix(prefix).filter(|_| !is_past) else { continue };
        let rolled_up = delimiter.and_then(|delimiter| {
            let end = rest.find(delimiter)? + delimiter.len();
            Some(format!("{prefix}{}", &rest[..end]))
        });
        let is_known = rolled_up.is_some() && page.prefixes.last() == rolled_up.as_ref();
        if !is_known && page.uploads.len() + page.prefixes.len() == limit {
            page.is_truncated = limit > 0;
            break;
        }
        page.next = Some((key, upload.id.clone()));
        match rolled_up {
            Some(_) if is_known => {}
            Some(prefix) => page.prefixes.push(prefix),
            None => page.uploads.push(upload),
        }
    }
    page
}

fn shape(upload: Upload, encoding: Encoding) -> MultipartUpload {
    let plan = upload.plan;
    MultipartUpload {
        checksum_type: plan.algorithm.as_ref().map(|_| checksum_type(plan.full_object)),
        checksum_algorithm: plan.algorithm.map(Into::into),
        initiated: Some(Timestamp::from(upload.begun)),
        initiator: Some(initiator()),
        key: Some(encoding.encode(plan.key)),
        owner: Some(owner()),
        storage_class: Some(StorageClass::from_static(StorageClass::STANDARD)),
        upload_id: Some(upload.id),
    }
}

fn initiator() -> Initiator {
    Initiator { display_name: Some(OWNER.to_owned()), id: Some(OWNER.to_owned()) }
}
