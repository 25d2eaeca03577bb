//! The table of operations: which of S3's are answered, and where.

use s3s::{S3, S3Request, S3Response, S3Result, dto};

use super::front::Front;

/// Implements each operation by a method of [`Front`].
macro_rules! operations {
    ($($operation:ident($input:ident) -> $output:ident: $method:ident;)+) => {
        #[async_trait::async_trait]
        impl S3 for Front {
            $(async fn $operation(
                &self,
                request: S3Request<dto::$input>,
            ) -> S3Result<S3Response<dto::$output>> {
                Front::$method(self, request).await
            })+
        }
    };
}

operations! {
    create_bucket(CreateBucketInput) -> CreateBucketOutput: create_bucket;
    head_bucket(HeadBucketInput) -> HeadBucketOutput: head_bucket;
    list_buckets(ListBucketsInput) -> ListBucketsOutput: list_buckets;
    delete_bucket(DeleteBucketInput) -> DeleteBucketOutput: delete_bucket;
    get_bucket_location(GetBucketLocationInput) -> GetBucketLocationOutput: bucket_location;
    put_object(PutObjectInput) -> PutObjectOutput: put;
    get_object(GetObjectInput) -> GetObjectOutput: get;
    head_object(HeadObjectInput) -> HeadObjectOutput: head;
    copy_object(CopyObjectInput) -> CopyObjectOutput: copy;
    delete_object(DeleteObjectInput) -> DeleteObjectOutput: delete;
    delete_objects(DeleteObjectsInput) -> DeleteObjectsOutput: delete_many;
    list_objects(ListObjectsInput) -> ListObjectsOutput: list;
    list_objects_v2(ListObjectsV2Input) -> ListObjectsV2Output: list_v2;
    get_object_tagging(GetObjectTaggingInput) -> GetObjectTaggingOutput: get_tags;
    put_object_tagging(PutObjectTaggingInput) -> PutObjectTaggingOutput: put_tags;
    delete_object_tagging(DeleteObjectTaggingInput) -> DeleteObjectTaggingOutput: delete_tags;
    create_multipart_upload(CreateMultipartUploadInput) -> CreateMultipartUploadOutput: begin_upload;
    upload_part(UploadPartInput) -> UploadPartOutput: put_part;
    upload_part_copy(UploadPartCopyInput) -> UploadPartCopyOutput: copy_part;
    list_parts(ListPartsInput) -> ListPartsOutput: list_parts;
    list_multipart_uploads(ListMultipartUploadsInput) -> ListMultipartUploadsOutput: list_uploads;
    complete_multipart_upload(CompleteMultipartUploadInput) -> CompleteMultipartUploadOutput: complete_upload;
    abort_multipart_upload(AbortMultipartUploadInput) -> AbortMultipartUploadOutput: abort_upload;
}
