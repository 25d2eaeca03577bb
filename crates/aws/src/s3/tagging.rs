//! Tags of objects.

use s3s::{
    S3Request, S3Response, S3Result,
    dto::{
        DeleteObjectTaggingInput, DeleteObjectTaggingOutput, GetObjectTaggingInput,
        GetObjectTaggingOutput, PutObjectTaggingInput, PutObjectTaggingOutput, Tag,
    },
};

use super::{
    front::{Front, bucket_name, object_key, only_version},
    headers::tags_of_set,
};

impl Front {
    pub(super) async fn get_tags(
        &self,
        request: S3Request<GetObjectTaggingInput>,
    ) -> S3Result<S3Response<GetObjectTaggingOutput>> {
        let input = request.input;
        only_version(input.version_id.as_deref())?;
        let object = self.open(&input.bucket, &input.key).await?;
        let tag = |(key, value)| Tag { key: Some(key), value: Some(value) };
        let tag_set = object.info.record.tags.into_iter().map(tag).collect();
        Ok(S3Response::new(GetObjectTaggingOutput { tag_set, version_id: None }))
    }

    pub(super) async fn put_tags(
        &self,
        request: S3Request<PutObjectTaggingInput>,
    ) -> S3Result<S3Response<PutObjectTaggingOutput>> {
        let input = request.input;
        only_version(input.version_id.as_deref())?;
        let tags = tags_of_set(input.tagging.tag_set)?;
        self.set_tags(&input.bucket, &input.key, tags).await?;
        Ok(S3Response::new(PutObjectTaggingOutput::default()))
    }

    pub(super) async fn delete_tags(
        &self,
        request: S3Request<DeleteObjectTaggingInput>,
    ) -> S3Result<S3Response<DeleteObjectTaggingOutput>> {
        let input = request.input;
        only_version(input.version_id.as_deref())?;
        self.set_tags(&input.bucket, &input.key, Vec::new()).await?;
        Ok(S3Response::new(DeleteObjectTaggingOutput::default()))
    }

    async fn set_tags(&self, bucket: &str, key: &str, tags: Vec<(String, String)>) -> S3Result<()> {
        let bucket = bucket_name(bucket)?;
        let key = object_key(key)?;
        self.block(move |buckets| buckets.set_tags(&bucket, &key, tags)).await
    }
}
