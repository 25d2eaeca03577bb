//! `DeleteObject` and `DeleteObjects`.

use bessemer_objects::buckets::ObjectKey;
use s3s::{
    S3Error, S3Request, S3Response, S3Result,
    dto::{
        DeleteObjectInput, DeleteObjectOutput, DeleteObjectsInput, DeleteObjectsOutput,
        DeletedObject, Error, ObjectIdentifier,
    },
    s3_error,
};

use super::{
    error::from_bucket,
    front::{Front, bucket_name, object_key, only_version},
    put::condition,
};

/// The most keys of one request.
const MAX_KEYS: usize = 1000;

impl Front {
    pub(super) async fn delete(
        &self,
        request: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        let input = request.input;
        only_version(input.version_id.as_deref())?;
        let bucket = bucket_name(&input.bucket)?;
        let key = object_key(&input.key)?;
        let condition = condition(input.if_match.as_ref(), None)?;
        self.block(move |buckets| buckets.delete_object(&bucket, &key, &condition)).await?;
        Ok(S3Response::new(DeleteObjectOutput::default()))
    }

    pub(super) async fn delete_many(
        &self,
        request: S3Request<DeleteObjectsInput>,
    ) -> S3Result<S3Response<DeleteObjectsOutput>> {
        let input = request.input;
        let bucket = bucket_name(&input.bucket)?;
        let objects = input.delete.objects;
        if objects.is_empty() || objects.len() > MAX_KEYS {
            let message = "The XML you provided was not well-formed or did not validate against \
                           our published schema";
            return Err(s3_error!(MalformedXML, "{message}"));
        }
        let mut errors = Vec::new();
        let mut keys: Vec<ObjectKey> = Vec::new();
        for object in objects {
            match deletable(&object) {
                Ok(key) => keys.push(key),
                Err(error) => errors.push(failure(object.key, &error)),
            }
        }
        let done = self
            .block(move |buckets| {
                let results = buckets.delete_objects(&bucket, &keys)?;
                Ok(keys.into_iter().zip(results).collect::<Vec<_>>())
            })
            .await?;
        let mut deleted = Vec::new();
        for (key, result) in done {
            let key = key.as_str().to_owned();
            match result {
                Ok(()) => {
                    deleted.push(DeletedObject { key: Some(key), ..DeletedObject::default() });
                }
                Err(error) => errors.push(failure(key, &from_bucket(error))),
            }
        }
        let is_quiet = input.delete.quiet.unwrap_or_default();
        Ok(S3Response::new(DeleteObjectsOutput {
            deleted: Some(deleted).filter(|_| !is_quiet),
            errors: Some(errors),
            ..DeleteObjectsOutput::default()
        }))
    }
}

fn deletable(object: &ObjectIdentifier) -> S3Result<ObjectKey> {
    only_version(object.version_id.as_deref())?;
    if object.e_tag.is_some() || object.last_modified_time.is_some() || object.size.is_some() {
        return Err(s3_error!(NotImplemented, "Conditions are not supported here."));
    }
    object_key(&object.key)
}

fn failure(key: String, error: &S3Error) -> Error {
    Error {
        code: Some(error.code().as_str().to_owned()),
        key: Some(key),
        message: error.message().map(str::to_owned),
        version_id: None,
    }
}
