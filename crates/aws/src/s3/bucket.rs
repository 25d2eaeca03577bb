//! Operations on buckets.

use std::sync::Arc;

use bessemer_objects::buckets::{BucketDir, BucketError};
use s3s::{
    S3Request, S3Response, S3Result,
    dto::{
        Bucket, BucketLocationConstraint, CreateBucketInput, CreateBucketOutput, DeleteBucketInput,
        DeleteBucketOutput, GetBucketLocationInput, GetBucketLocationOutput, HeadBucketInput,
        HeadBucketOutput, ListBucketsInput, ListBucketsOutput, Owner, Timestamp,
    },
    region::Region,
    s3_error,
};

use super::front::{Front, bucket_name};

/// The region that has no name in `LocationConstraint`.
const FIRST_REGION: &str = "us-east-1";
/// Who owns everything.
pub(super) const OWNER: &str = "bessemer";

impl Front {
    pub(super) async fn create_bucket(
        &self,
        request: S3Request<CreateBucketInput>,
    ) -> S3Result<S3Response<CreateBucketOutput>> {
        let bucket = bucket_name(&request.input.bucket)?;
        if request.input.object_lock_enabled_for_bucket == Some(true) {
            return Err(s3_error!(NotImplemented, "Object lock is not supported."));
        }
        let location = Some(format!("/{bucket}"));
        // As AWS has it: in its first region, whoever owns a bucket may make it again.
        let is_lenient = region_of(request.region.as_ref()) == FIRST_REGION;
        let make = move |buckets: &Arc<BucketDir>| match buckets.create_bucket(&bucket) {
            Err(BucketError::BucketExists(_)) if is_lenient => Ok(()),
            made => made,
        };
        self.block(make).await?;
        Ok(S3Response::new(CreateBucketOutput { location }))
    }

    pub(super) async fn head_bucket(
        &self,
        request: S3Request<HeadBucketInput>,
    ) -> S3Result<S3Response<HeadBucketOutput>> {
        self.find_bucket(&request.input.bucket).await?;
        let bucket_region = Some(region_of(request.region.as_ref()).to_owned());
        Ok(S3Response::new(HeadBucketOutput { bucket_region, ..HeadBucketOutput::default() }))
    }

    pub(super) async fn list_buckets(
        &self,
        request: S3Request<ListBucketsInput>,
    ) -> S3Result<S3Response<ListBucketsOutput>> {
        let input = request.input;
        let mut buckets = self.block(|buckets| buckets.buckets()).await?;
        let prefix = input.prefix.as_deref().unwrap_or_default();
        let after = input.continuation_token.as_deref().unwrap_or_default();
        buckets.retain(|bucket| {
            bucket.name.as_str().starts_with(prefix) && bucket.name.as_str() > after
        });
        let limit = input.max_buckets.and_then(|limit| usize::try_from(limit).ok());
        let is_truncated = limit.is_some_and(|limit| limit > 0 && buckets.len() > limit);
        buckets.truncate(limit.unwrap_or(usize::MAX));
        let last = buckets.last().map(|bucket| bucket.name.to_string());
        let region = region_of(request.region.as_ref()).to_owned();
        let shown = buckets.into_iter().map(|bucket| Bucket {
            bucket_region: Some(region.clone()),
            creation_date: Some(Timestamp::from(bucket.created)),
            name: Some(bucket.name.to_string()),
        });
        Ok(S3Response::new(ListBucketsOutput {
            buckets: Some(shown.collect()),
            continuation_token: last.filter(|_| is_truncated),
            owner: Some(owner()),
            prefix: input.prefix,
        }))
    }

    pub(super) async fn delete_bucket(
        &self,
        request: S3Request<DeleteBucketInput>,
    ) -> S3Result<S3Response<DeleteBucketOutput>> {
        let bucket = bucket_name(&request.input.bucket)?;
        self.block(move |buckets| buckets.delete_bucket(&bucket)).await?;
        Ok(S3Response::new(DeleteBucketOutput::default()))
    }

    pub(super) async fn bucket_location(
        &self,
        request: S3Request<GetBucketLocationInput>,
    ) -> S3Result<S3Response<GetBucketLocationOutput>> {
        self.find_bucket(&request.input.bucket).await?;
        let region = region_of(request.region.as_ref());
        let named = (region != FIRST_REGION).then(|| region.to_owned());
        let location_constraint = named.map(BucketLocationConstraint::from);
        Ok(S3Response::new(GetBucketLocationOutput { location_constraint }))
    }

    async fn find_bucket(&self, name: &str) -> S3Result<()> {
        let bucket = bucket_name(name)?;
        self.block(move |buckets| buckets.find_bucket(&bucket)).await
    }
}

/// Buckets are in the region that the caller thinks they are in.
fn region_of(signed: Option<&Region>) -> &str {
    signed.map_or(FIRST_REGION, Region::as_str)
}

pub(super) fn owner() -> Owner {
    Owner { display_name: Some(OWNER.to_owned()), id: Some(OWNER.to_owned()) }
}
