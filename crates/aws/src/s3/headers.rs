//! Headers, metadata and tags: from requests into records, and back into answers.

use std::collections::BTreeMap;

use bessemer_objects::buckets::Record;
use http::StatusCode;
use s3s::{
    S3Result,
    dto::{Metadata, Tag, Timestamp, TimestampFormat},
    s3_error,
};

use super::error::unnamed;

/// The most bytes that names and values of user metadata may have, as on S3.
const MAX_METADATA: usize = 2048;
const MAX_TAGS: usize = 10;

/// The headers that S3 stores and gives back.
#[derive(Debug, Default)]
pub(super) struct StoredHeaders {
    pub(super) cache_control: Option<String>,
    pub(super) content_disposition: Option<String>,
    pub(super) content_encoding: Option<String>,
    pub(super) content_language: Option<String>,
    pub(super) content_type: Option<String>,
    pub(super) expires: Option<Timestamp>,
}

/// The headers to store of an input that has them.
macro_rules! headers_of {
    ($input:expr) => {
        $crate::s3::headers::StoredHeaders {
            cache_control: $input.cache_control.take(),
            content_disposition: $input.content_disposition.take(),
            content_encoding: $input.content_encoding.take(),
            content_language: $input.content_language.take(),
            content_type: $input.content_type.take(),
            expires: $input.expires.take(),
        }
    };
}
pub(super) use headers_of;

impl StoredHeaders {
    pub(super) fn into_map(self) -> BTreeMap<String, String> {
        // What chunked uploads put before it is not part of the object.
        let encoding = self.content_encoding.map(|value| {
            let kept =
                value.split(',').map(str::trim).filter(|encoding| *encoding != "aws-chunked");
            kept.collect::<Vec<_>>().join(",")
        });
        let expires = self.expires.and_then(|at| {
            let mut text = Vec::new();
            at.format(TimestampFormat::HttpDate, &mut text).ok()?;
            String::from_utf8(text).ok()
        });
        let all = [
            ("cache-control", self.cache_control),
            ("content-disposition", self.content_disposition),
            ("content-encoding", encoding.filter(|encoding| !encoding.is_empty())),
            ("content-language", self.content_language),
            ("content-type", self.content_type),
            ("expires", expires),
        ];
        all.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
    }

    pub(super) fn of_record(record: &Record) -> Self {
        let get = |name: &str| record.headers.get(name).cloned();
        let content_type = get("content-type").or_else(|| Some("binary/octet-stream".to_owned()));
        Self {
            cache_control: get("cache-control"),
            content_disposition: get("content-disposition"),
            content_encoding: get("content-encoding"),
            content_language: get("content-language"),
            content_type,
            expires: get("expires")
                .and_then(|text| Timestamp::parse(TimestampFormat::HttpDate, &text).ok()),
        }
    }
}

/// The user's metadata, within S3's limit.
pub(super) fn metadata(given: Option<Metadata>) -> S3Result<BTreeMap<String, String>> {
    let metadata: BTreeMap<String, String> = given.unwrap_or_default().into_iter().collect();
    let size: usize = metadata.iter().map(|(name, value)| name.len() + value.len()).sum();
    if size > MAX_METADATA {
        let message = "Your metadata headers exceed the maximum allowed metadata size";
        return Err(s3_error!(MetadataTooLarge, "{message}"));
    }
    Ok(metadata)
}

/// The tags of a request's `x-amz-tagging` header, which is written as a query is.
pub(super) fn tags_of_header(header: Option<&str>) -> S3Result<Vec<(String, String)>> {
    let decode = |text: &str| {
        let text = text.replace('+', " ");
        percent_encoding::percent_decode_str(&text).decode_utf8().map(String::from)
    };
    let mut tags = Vec::new();
    for pair in header.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        match (decode(name), decode(value)) {
            (Ok(name), Ok(value)) => tags.push((name, value)),
            _ => return Err(s3_error!(InvalidArgument, "The header 'x-amz-tagging' is invalid.")),
        }
    }
    checked_tags(tags)
}

/// The tags of a request's body.
pub(super) fn tags_of_set(set: Vec<Tag>) -> S3Result<Vec<(String, String)>> {
    let pair = |tag: Tag| (tag.key.unwrap_or_default(), tag.value.unwrap_or_default());
    checked_tags(set.into_iter().map(pair).collect())
}

fn checked_tags(tags: Vec<(String, String)>) -> S3Result<Vec<(String, String)>> {
    if tags.len() > MAX_TAGS {
        return Err(unnamed(
            "BadRequest",
            StatusCode::BAD_REQUEST,
            "Object tags cannot be greater than 10",
        ));
    }
    for (index, (name, value)) in tags.iter().enumerate() {
        if !(1..=128).contains(&name.chars().count()) {
            return Err(s3_error!(InvalidTag, "The TagKey you have provided is invalid"));
        }
        if value.chars().count() > 256 {
            return Err(s3_error!(InvalidTag, "The TagValue you have provided is invalid"));
        }
        if tags[..index].iter().any(|(earlier, _)| earlier == name) {
            return Err(s3_error!(InvalidTag, "Cannot provide multiple Tags with the same key"));
        }
    }
    Ok(tags)
}
