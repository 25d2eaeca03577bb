//! [`S3Service`]: what a server mounts, and what is refused before anything is read.

use std::{
    convert::Infallible,
    error::Error,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bessemer_objects::buckets::BucketDir;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header, request::Parts};
use s3s::{Body, S3Error, S3ErrorCode, S3Result, s3_error, service::S3ServiceBuilder};
use tower_service::Service;

use super::{access::Access, front::Front, presigned};
use crate::key_ring::KeyRing;

/// S3 as a service of HTTP. Clones are cheap.
#[derive(Debug, Clone)]
pub(crate) struct S3Service(Inner);

#[derive(Debug, Clone)]
enum Inner {
    Buckets(s3s::service::S3Service),
    /// The address of the S3 that has the objects.
    Elsewhere(Arc<str>),
}

impl S3Service {
    pub(super) fn new(buckets: Arc<BucketDir>, keys: Arc<KeyRing>) -> Self {
        let mut builder = S3ServiceBuilder::new(Front::new(buckets));
        builder.set_auth(Access::new(Arc::clone(&keys)));
        builder.set_access(Access::new(keys));
        Self(Inner::Buckets(builder.build()))
    }

    pub(super) fn elsewhere(endpoint: &str) -> Self {
        Self(Inner::Elsewhere(endpoint.into()))
    }

    async fn answer(self, request: Request<Body>) -> Response<Body> {
        let inner = match self.0 {
            Inner::Buckets(inner) => inner,
            Inner::Elsewhere(endpoint) => {
                return as_response(s3_error!(
                    InvalidRequest,
                    "This server keeps no objects: they are at {endpoint}. Set \
                     AWS_ENDPOINT_URL_S3 to it, as `bessemer env` does."
                ));
            }
        };
        let (mut parts, body) = request.into_parts();
        if let Err(refusal) = admit(&parts) {
            return as_response(refusal);
        }
        presigned::complete(&mut parts);
        match inner.call(Request::from_parts(parts, body)).await {
            Ok(response) => response,
            Err(error) => {
                let source: Box<dyn Error + Send + Sync> = error.into();
                as_response(S3Error::with_source(S3ErrorCode::InternalError, source))
            }
        }
    }
}

impl<B> Service<Request<B>> for S3Service
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Error + Send + Sync + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let request = request.map(Body::http_body_unsync);
        let service = self.clone();
        Box::pin(async move { Ok(service.answer(request).await) })
    }
}

/// Refuses what s3s would take in and should not.
fn admit(parts: &Parts) -> S3Result<()> {
    let header = |name| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let content_type = header(header::CONTENT_TYPE).unwrap_or_default().trim_start();
    if parts.method == Method::POST && starts_with(content_type, "multipart/form-data") {
        // Browser uploads would be taken into memory, and that before anyone is known.
        return Err(s3_error!(NotImplemented, "Uploads by HTML forms are not supported."));
    }
    if header(header::AUTHORIZATION).is_some_and(|value| starts_with(value, "AWS ")) {
        // Version 2 in headers has no limit in time here. Nothing has sent it for years.
        let message = "The authorization mechanism you have provided is not supported. \
                       Please use AWS4-HMAC-SHA256.";
        return Err(s3_error!(InvalidRequest, "{message}"));
    }
    Ok(())
}

fn starts_with(value: &str, start: &str) -> bool {
    value.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start))
}

fn as_response(error: S3Error) -> Response<Body> {
    error.to_http_response().unwrap_or_else(|_| {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        response
    })
}
