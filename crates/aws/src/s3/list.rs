//! `ListObjects` and `ListObjectsV2`.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use bessemer_objects::buckets::{Entry, ListRequest, ObjectInfo, Page};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use s3s::{
    S3Request, S3Response, S3Result,
    dto::{
        CommonPrefix, ETag, EncodingType, ListObjectsInput, ListObjectsOutput, ListObjectsV2Input,
        ListObjectsV2Output, Object, ObjectStorageClass, Timestamp,
    },
    s3_error,
};

use super::{
    bucket::owner,
    checksum,
    front::{Front, bucket_name},
    get::as_i64,
};

/// The most entries of a page.
const MAX_KEYS: i32 = 1000;

/// What stays as it is in a key that is encoded for XML.
const KEPT: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');

/// How keys and prefixes are written into an answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Encoding {
    is_url: bool,
}

impl Encoding {
    pub(super) fn of(kind: Option<&EncodingType>) -> S3Result<Self> {
        match kind.map(EncodingType::as_str) {
            None => Ok(Self { is_url: false }),
            Some(EncodingType::URL) => Ok(Self { is_url: true }),
            Some(_) => {
                Err(s3_error!(InvalidArgument, "Invalid Encoding Method specified in Request"))
            }
        }
    }

    pub(super) fn encode(self, text: impl Into<String>) -> String {
        let text = text.into();
        if self.is_url { utf8_percent_encode(&text, KEPT).to_string() } else { text }
    }

    pub(super) fn encode_some(self, text: Option<String>) -> Option<String> {
        text.map(|text| self.encode(text))
    }
}

/// How many entries were asked for, within the limit.
pub(super) fn limit(asked: Option<i32>) -> S3Result<usize> {
    usize::try_from(asked.unwrap_or(MAX_KEYS).min(MAX_KEYS)).map_err(|_| {
        s3_error!(InvalidArgument, "Argument maxKeys must be an integer between 0 and 2147483647")
    })
}

pub(super) fn as_i32(count: usize) -> Option<i32> {
    i32::try_from(count).ok()
}

/// A page's objects and prefixes as S3's shapes.
fn shapes(page: Page, encoding: Encoding, with_owner: bool) -> (Vec<Object>, Vec<CommonPrefix>) {
    let mut objects = Vec::new();
    let mut prefixes = Vec::new();
    for entry in page.entries {
        match entry {
            Entry::Object { key, info } => {
                let mut object = object(encoding.encode(key), &info);
                object.owner = with_owner.then(owner);
                objects.push(object);
            }
            Entry::Prefix(prefix) => {
                prefixes.push(CommonPrefix { prefix: Some(encoding.encode(prefix)) });
            }
        }
    }
    (objects, prefixes)
}

fn object(key: String, info: &ObjectInfo) -> Object {
    let record = &info.record;
    let algorithms: Vec<_> = record.checksums.keys().cloned().map(Into::into).collect();
    Object {
        checksum_algorithm: (!algorithms.is_empty()).then_some(algorithms),
        checksum_type: checksum::of_record(record).checksum_type,
        e_tag: Some(ETag::Strong(record.etag.clone())),
        key: Some(key),
        last_modified: Some(Timestamp::from(info.modified)),
        size: as_i64(info.size),
        storage_class: Some(ObjectStorageClass::from_static(ObjectStorageClass::STANDARD)),
        ..Object::default()
    }
}

impl Front {
    pub(super) async fn list(
        &self,
        request: S3Request<ListObjectsInput>,
    ) -> S3Result<S3Response<ListObjectsOutput>> {
        let input = request.input;
        let encoding = Encoding::of(input.encoding_type.as_ref())?;
        let limit = limit(input.max_keys)?;
        let asked = ListRequest {
            prefix: input.prefix.clone().unwrap_or_default(),
            delimiter: input.delimiter.clone(),
            after: input.marker.clone().unwrap_or_default(),
            limit,
        };
        let page = self.page(&input.bucket, asked).await?;
        let is_truncated = page.is_truncated;
        let last = page.entries.last().map(|last| encoding.encode(last.name()));
        let (contents, common_prefixes) = shapes(page, encoding, true);
        Ok(S3Response::new(ListObjectsOutput {
            name: Some(input.bucket),
            prefix: Some(encoding.encode(input.prefix.unwrap_or_default())),
            marker: Some(encoding.encode(input.marker.unwrap_or_default())),
            max_keys: as_i32(limit),
            is_truncated: Some(is_truncated),
            contents: Some(contents),
            common_prefixes: Some(common_prefixes),
            delimiter: encoding.encode_some(input.delimiter),
            next_marker: last.filter(|_| is_truncated),
            encoding_type: input.encoding_type,
            request_charged: None,
        }))
    }

    pub(super) async fn list_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let input = request.input;
        let encoding = Encoding::of(input.encoding_type.as_ref())?;
        let limit = limit(input.max_keys)?;
        let after = match &input.continuation_token {
            Some(token) => from_token(token)?,
            None => input.start_after.clone().unwrap_or_default(),
        };
        let asked = ListRequest {
            prefix: input.prefix.clone().unwrap_or_default(),
            delimiter: input.delimiter.clone(),
            after,
            limit,
        };
        let page = self.page(&input.bucket, asked).await?;
        let is_truncated = page.is_truncated;
        let last = page.entries.last().map(|last| as_token(last.name()));
        let key_count = as_i32(page.entries.len());
        let (contents, common_prefixes) =
            shapes(page, encoding, input.fetch_owner.unwrap_or_default());
        Ok(S3Response::new(ListObjectsV2Output {
            name: Some(input.bucket),
            prefix: Some(encoding.encode(input.prefix.unwrap_or_default())),
            max_keys: as_i32(limit),
            key_count,
            continuation_token: input.continuation_token,
            is_truncated: Some(is_truncated),
            next_continuation_token: last.filter(|_| is_truncated),
            contents: Some(contents),
            common_prefixes: Some(common_prefixes),
            delimiter: encoding.encode_some(input.delimiter),
            encoding_type: input.encoding_type,
            start_after: encoding.encode_some(input.start_after),
            request_charged: None,
        }))
    }

    async fn page(&self, bucket: &str, request: ListRequest) -> S3Result<Page> {
        let bucket = bucket_name(bucket)?;
        self.block(move |buckets| buckets.list(&bucket, &request)).await
    }
}

fn as_token(name: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(name)
}

fn from_token(token: &str) -> S3Result<String> {
    let name = BASE64_URL_SAFE_NO_PAD.decode(token).ok();
    let name = name.and_then(|name| String::from_utf8(name).ok());
    name.ok_or_else(|| s3_error!(InvalidArgument, "The continuation token provided is incorrect"))
}
