//! Presigned URLs of signature version 2, as boto3 makes them, in the form that s3s verifies.

use http::{
    HeaderName, HeaderValue,
    request::Parts,
    uri::{PathAndQuery, Uri},
};
use percent_encoding::percent_decode_str;

/// Makes explicit what such a URL leaves to the server: headers that it carries as parameters are
/// signed as headers and mean the same, and a bucket is signed with a slash at its end.
pub(super) fn complete(parts: &mut Parts) {
    let query = parts.uri.query().unwrap_or_default().to_owned();
    let named = |name: &str| query.split('&').any(|pair| pair.split('=').next() == Some(name));
    if !named("AWSAccessKeyId") || !named("Signature") {
        return;
    }
    for (name, value) in query.split('&').filter_map(header) {
        parts.headers.entry(name).or_insert(value);
    }
    let path = parts.uri.path();
    let is_bucket = path.len() > 1 && !path[1..].contains('/');
    if is_bucket && let Ok(target) = PathAndQuery::try_from(format!("{path}/?{query}")) {
        let mut uri = parts.uri.clone().into_parts();
        uri.path_and_query = Some(target);
        if let Ok(uri) = Uri::from_parts(uri) {
            parts.uri = uri;
        }
    }
}

/// The header that a parameter stands for, if it does.
fn header(pair: &str) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = pair.split_once('=')?;
    let decode = |text: &str| {
        let text = text.replace('+', " ");
        percent_decode_str(&text).decode_utf8().map(String::from).ok()
    };
    let name = decode(name)?.to_ascii_lowercase();
    if !name.starts_with("x-amz-") && !["content-type", "content-md5"].contains(&name.as_str()) {
        return None;
    }
    Some((HeaderName::try_from(name).ok()?, HeaderValue::try_from(decode(value)?).ok()?))
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn completed(uri: &str) -> Parts {
        let request = Request::builder().uri(uri).header("x-amz-acl", "private").body(()).unwrap();
        let mut parts = request.into_parts().0;
        complete(&mut parts);
        parts
    }

    #[test]
    fn parameters_become_headers_and_buckets_get_their_slash() {
        let parts = completed(
            "/data?x-amz-meta-a=b+c%2B&Content-Type=text%2Fcsv&x-amz-acl=other&list-type=2\
             &AWSAccessKeyId=A&Signature=s&Expires=1",
        );
        assert_eq!(parts.uri.path(), "/data/");
        assert!(parts.uri.query().unwrap().ends_with("&Expires=1"));
        assert_eq!(parts.headers["x-amz-meta-a"], "b c+");
        assert_eq!(parts.headers["content-type"], "text/csv");
        assert_eq!(parts.headers["x-amz-acl"], "private");
        assert_eq!(parts.headers.len(), 3);
    }

    #[test]
    fn other_requests_stay_as_they_are() {
        for uri in ["/data?x-amz-meta-a=b", "/data?X-Amz-Signature=s&x-amz-meta-a=b", "/"] {
            let parts = completed(uri);
            assert_eq!((parts.uri.to_string().as_str(), parts.headers.len()), (uri, 1));
        }
        let signed = "?AWSAccessKeyId=A&Signature=s";
        for path in ["/data/key", "/data/", "/"] {
            assert_eq!(completed(&format!("{path}{signed}")).uri.path(), path);
        }
    }
}
