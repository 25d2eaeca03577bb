//! Bodies of requests and responses.

use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http_body::Body;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited, combinators::UnsyncBoxBody};

/// The body of a response, whole or streamed.
pub(crate) type ResponseBody = UnsyncBoxBody<Bytes, BoxError>;

/// What a streamed body fails with.
pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why a body could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BodyError {
    TooLarge,
    TooSlow,
    Broken,
}

/// Reads all of `body`, if it is no longer than `limit` bytes and there within `patience`.
pub(super) async fn read<B>(body: B, limit: usize, patience: Duration) -> Result<Bytes, BodyError>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    let whole = tokio::time::timeout(patience, Limited::new(body, limit).collect()).await;
    match whole {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(BodyError::TooLarge),
        Ok(Err(_)) => Err(BodyError::Broken),
        Err(_) => Err(BodyError::TooSlow),
    }
}

/// A response whose body is in memory.
pub(crate) fn whole(response: Response<impl Into<Bytes>>) -> Response<ResponseBody> {
    response.map(|body| Full::new(body.into()).map_err(|never| match never {}).boxed_unsync())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_may_be_as_long_as_its_limit_and_no_longer() {
        let patience = Duration::from_mins(1);
        let body = || Full::new(Bytes::from_static(b"12345"));
        assert_eq!(read(body(), 5, patience).await.unwrap(), "12345");
        assert_eq!(read(body(), 4, patience).await, Err(BodyError::TooLarge));
    }
}
