//! Requests that boto3 signed: taken as they are, refused with anything changed.

use std::{
    sync::LazyLock,
    time::{Duration, SystemTime},
};

use bessemer_aws_wire::{
    Protocol,
    sigv4::{AccessKey, AuthError, Body, Payload, hoisted_headers, verify},
};
use http::{HeaderName, HeaderValue, Method};
use proptest::{prelude::*, sample::Index};
use serde_json::{Value, json};

use crate::kit::{ACCESS_KEY, Boto, Received, SECRET};

/// A signed request and what it may be used with.
#[derive(Debug, Clone)]
struct Signed {
    name: &'static str,
    request: Received,
    token: Option<&'static str>,
}

const TOKEN: &str = "FwoGZXIvYXdzEXAMPLE//session+token==";

fn calls() -> Vec<(&'static str, Value)> {
    let key = "folder/a b+c=d~é/(1).csv";
    let body = json!({"base64": "aGVsbG8gd29ybGQ="});
    let object = json!({"Bucket": "bkt", "Key": key});
    let put = json!({"Bucket": "bkt", "Key": key, "Body": body, "Metadata": {"origin": "a  b"}});
    let versions =
        json!({"Bucket": "bkt", "Key": key, "VersionId": "v1", "ResponseContentType": "text/csv"});
    let upload =
        json!({"Bucket": "bkt", "Key": "k", "ContentType": "text/csv", "Metadata": {"a": "b"}});
    let policy = json!({"PolicySourceArn": "arn:aws:iam::123456789012:role/x", "ActionNames": ["s3:PutObject"]});
    let v2 = |operation, method, parameters| {
        json!({"service": "s3", "operation": operation, "method": method, "parameters": parameters,
            "presign": 600, "signature_version": "s3"})
    };
    let v4 = |operation, method, parameters| {
        json!({"service": "s3", "operation": operation, "method": method, "parameters": parameters,
            "presign": 600, "signature_version": "s3v4"})
    };
    vec![
        (
            "json",
            json!({"service": "sagemaker", "operation": "DescribeModel", "parameters": {"ModelName": "wix"}}),
        ),
        (
            "token",
            json!({"service": "logs", "operation": "CreateLogGroup", "parameters": {"logGroupName": "/a"}, "token": TOKEN}),
        ),
        (
            "query",
            json!({"service": "iam", "operation": "SimulatePrincipalPolicy", "parameters": policy}),
        ),
        (
            "rest",
            json!({"service": "lambda", "operation": "GetFunction", "parameters": {"FunctionName": "arn:aws:lambda:us-west-2:123456789012:function:f", "Qualifier": "v 1"}}),
        ),
        ("put", json!({"service": "s3", "operation": "PutObject", "parameters": put})),
        (
            "put over tls",
            json!({"service": "s3", "operation": "PutObject", "parameters": put, "endpoint": "https://127.0.0.1:1856"}),
        ),
        (
            "list",
            json!({"service": "s3", "operation": "ListObjectsV2", "parameters": {"Bucket": "bkt", "Prefix": "a/b c", "Delimiter": "/"}}),
        ),
        ("v4 get", v4("GetObject", "GET", object.clone())),
        ("v4 put", v4("PutObject", "PUT", object.clone())),
        ("v2 get", v2("GetObject", "GET", object)),
        ("v2 version", v2("GetObject", "GET", versions)),
        ("v2 put", v2("PutObject", "PUT", upload)),
    ]
}

static SIGNED: LazyLock<Vec<Signed>> = LazyLock::new(|| {
    let mut boto = Boto::start();
    let sign = |(name, call): (&'static str, Value)| {
        let presigned = call.get("presign").is_some();
        let request = if presigned { boto.presigned(&call) } else { boto.request(&call) };
        Signed { name, request, token: call.get("token").map(|_| TOKEN) }
    };
    calls().into_iter().map(sign).collect()
});

impl Signed {
    fn find(name: &str) -> &'static Self {
        SIGNED.iter().find(|signed| signed.name == name).unwrap()
    }

    fn verify(&self) -> Result<bessemer_aws_wire::sigv4::Verified, AuthError> {
        self.request.verify(self.token, self.request.signed_at())
    }

    fn is_v2(&self) -> bool {
        self.name.starts_with("v2")
    }

    /// Whether the body is covered by the signature.
    fn covers_body(&self) -> bool {
        !self.name.starts_with('v') && self.name != "put over tls"
    }

    /// The headers that the signature covers, with the signature itself.
    fn covered_headers(&self) -> Vec<String> {
        let authorization = self.request.header("authorization");
        let list = match authorization {
            Some(text) => text.split("SignedHeaders=").nth(1).unwrap().split(',').next().unwrap(),
            None => self.request.parameter("X-Amz-SignedHeaders").unwrap_or_default(),
        };
        let mut names: Vec<String> = list.split(';').map(str::to_owned).collect();
        names.extend(authorization.map(|_| "authorization".to_owned()));
        names.retain(|name| self.request.headers.contains_key(name.as_str()));
        names
    }
}

#[test]
fn what_boto3_signs_is_taken() {
    for signed in SIGNED.iter() {
        let verified = signed.verify().unwrap_or_else(|error| panic!("{}: {error}", signed.name));
        assert_eq!(verified.access_key, ACCESS_KEY);
        let service = match signed.name {
            "json" => "sagemaker",
            "token" => "logs",
            "query" => "iam",
            "rest" => "lambda",
            _ => "s3",
        };
        assert_eq!(verified.service, service, "{}", signed.name);
        let region = if signed.is_v2() { "" } else { "us-west-2" };
        assert_eq!(verified.region, region, "{}", signed.name);
        assert_eq!(verified.presigned, signed.name.starts_with('v'), "{}", signed.name);
    }
}

#[test]
fn the_chunks_that_boto3_sends_over_tls_are_taken_apart() {
    let signed = Signed::find("put over tls");
    let Payload::Chunked(mut decoder) = signed.verify().unwrap().payload else {
        panic!("{:?}", signed.request.headers)
    };
    let mut payload = Vec::new();
    decoder.push(&signed.request.body, &mut payload).unwrap();
    assert_eq!(payload, b"hello world");
    let trailers = decoder.finish().unwrap();
    assert_eq!(trailers, [("x-amz-checksum-crc32".to_owned(), "DUoRhQ==".to_owned())]);
}

#[test]
fn headers_that_a_presigned_url_carries_are_found() {
    let signed = Signed::find("v2 put");
    let mut hoisted = hoisted_headers(&signed.request.request());
    hoisted.sort();
    let expected = [("content-type", "text/csv"), ("x-amz-meta-a", "b")];
    assert_eq!(hoisted, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

#[test]
fn times_are_limited() {
    let shifted = |name: &str, seconds: i64| {
        let signed = Signed::find(name);
        let at = signed.request.signed_at();
        let step = Duration::from_secs(seconds.unsigned_abs());
        let now = if seconds < 0 { at - step } else { at + step };
        signed.request.verify(signed.token, now).map(|_| ())
    };
    for name in ["json", "query", "put"] {
        assert_eq!(shifted(name, 900), Ok(()));
        assert_eq!(shifted(name, -900), Ok(()));
        assert!(matches!(shifted(name, 901), Err(AuthError::Skewed { late: true, .. })));
        assert!(matches!(shifted(name, -901), Err(AuthError::Skewed { late: false, .. })));
    }
    for name in ["v4 get", "v2 get"] {
        assert_eq!(shifted(name, 599), Ok(()), "{name}");
        assert_eq!(shifted(name, 601), Err(AuthError::Expired), "{name}");
    }
    assert!(matches!(shifted("v4 get", -901), Err(AuthError::Skewed { .. })));
}

#[test]
fn keys_and_sessions_must_be_known() {
    let signed = Signed::find("token");
    let at = signed.request.signed_at();
    assert!(matches!(signed.request.verify(None, at), Err(AuthError::Token)));
    assert!(matches!(signed.request.verify(Some("other"), at), Err(AuthError::Token)));
    let without = Signed::find("json");
    assert!(matches!(without.request.verify(Some(TOKEN), at), Err(AuthError::Token)));
}

#[test]
fn a_key_that_has_ended_is_refused() {
    let request = &Signed::find("json").request;
    let now = request.signed_at();
    let ends =
        |end| move |_: &str| Some(AccessKey { expires: Some(end), ..AccessKey::lasting(SECRET) });
    let body = Body::Whole(&request.body);
    assert!(verify(&request.request(), body, &ends(now + Duration::from_secs(1)), now).is_ok());
    let ended = verify(&request.request(), body, &ends(now), now);
    assert_eq!(ended.unwrap_err(), AuthError::ExpiredKey);
}

#[test]
fn a_body_can_be_checked_while_it_is_read() {
    let request = &Signed::find("put").request;
    let keys = |_: &str| Some(AccessKey::lasting(SECRET));
    let check = |body: &[&[u8]]| {
        let verified = verify(&request.request(), Body::Streamed, &keys, request.signed_at());
        let Payload::Hashed(mut hash) = verified.unwrap().payload else { panic!("not hashed") };
        for piece in body {
            hash.update(piece);
        }
        hash.finish()
    };
    assert_eq!(check(&[b"hello ", b"world"]), Ok(()));
    assert_eq!(check(&[b"hello"]), Err(AuthError::Payload));
    let json = &Signed::find("json").request;
    let refused = verify(&json.request(), Body::Streamed, &keys, json.signed_at());
    assert_eq!(refused.unwrap_err(), AuthError::PayloadHash);
}

#[test]
fn presigned_urls_last_a_week_at_most() {
    let mut boto = Boto::start();
    let mut presigned = |seconds: u64| {
        let request = boto.presigned(&json!({"service": "s3", "operation": "GetObject", "method": "GET",
            "parameters": {"Bucket": "b", "Key": "k"}, "presign": seconds, "signature_version": "s3v4"}));
        request.verify(None, request.signed_at()).map(|_| ())
    };
    assert_eq!(presigned(604_800), Ok(()));
    assert_eq!(presigned(604_801), Err(AuthError::Lifetime("604801".to_owned())));
}

#[test]
fn version_2_has_one_meaning_for_each_signature() {
    let signed = Signed::find("v2 version");
    let with = |query: String| {
        let request = Received { query, ..signed.request.clone() };
        request.verify(None, signed.request.signed_at()).unwrap_err()
    };
    // Both make the text that was signed, and would be read as a value that goes on.
    let query = signed.request.query.replace("&versionId=v1", "").replace("versionId=v1&", "");
    assert_ne!(query, signed.request.query);
    let joined = query.replace("text%2Fcsv", "text%2Fcsv%26versionId%3Dv1");
    assert_ne!(joined, query);
    assert_eq!(with(joined), AuthError::Mismatch);
    let line = format!("{}&content-type=a%0Ab", signed.request.query);
    assert_eq!(with(line), AuthError::Mismatch);
    let unsigned = format!("{}&prefix=a", signed.request.query);
    assert_eq!(with(unsigned), AuthError::UnsignedParameter("prefix".to_owned()));
}

#[test]
fn refusals_have_awss_codes() {
    let code = |error: AuthError, protocol| {
        let error = error.to_error(protocol);
        (error.code, error.status)
    };
    let table = [
        (
            AuthError::Missing,
            ("MissingAuthenticationTokenException", 400),
            ("MissingAuthenticationToken", 403),
            ("AccessDenied", 403),
        ),
        (
            AuthError::Incomplete(String::new()),
            ("IncompleteSignatureException", 400),
            ("IncompleteSignature", 400),
            ("AuthorizationHeaderMalformed", 400),
        ),
        (
            AuthError::UnknownKey(String::new()),
            ("UnrecognizedClientException", 400),
            ("InvalidClientTokenId", 403),
            ("InvalidAccessKeyId", 403),
        ),
        (
            AuthError::Mismatch,
            ("InvalidSignatureException", 400),
            ("SignatureDoesNotMatch", 403),
            ("SignatureDoesNotMatch", 403),
        ),
        (
            AuthError::ExpiredKey,
            ("ExpiredTokenException", 400),
            ("ExpiredToken", 403),
            ("ExpiredToken", 400),
        ),
        (
            AuthError::Skewed { signed: String::new(), now: String::new(), late: true },
            ("InvalidSignatureException", 400),
            ("SignatureDoesNotMatch", 403),
            ("RequestTimeTooSkewed", 403),
        ),
        (
            AuthError::Expired,
            ("InvalidSignatureException", 400),
            ("SignatureDoesNotMatch", 403),
            ("AccessDenied", 403),
        ),
    ];
    for (error, json, query, s3) in table {
        let own = |(code, status): (&str, u16)| (code.to_owned(), status);
        assert_eq!(code(error.clone(), Protocol::Json11), own(json), "{error:?}");
        assert_eq!(code(error.clone(), Protocol::Query), own(query), "{error:?}");
        assert_eq!(code(error.clone(), Protocol::RestXml), own(s3), "{error:?}");
    }
}

#[test]
fn malformed_signatures_are_refused() {
    let base = &Signed::find("json").request;
    let now = base.signed_at();
    let good = base.header("authorization").unwrap().to_owned();
    let with = |authorization: &str| {
        let mut request = base.clone();
        request.headers.insert("authorization", HeaderValue::from_str(authorization).unwrap());
        request.verify(None, now).unwrap_err()
    };
    let mut missing = base.clone();
    missing.headers.remove("authorization");
    assert_eq!(missing.verify(None, now).unwrap_err(), AuthError::Missing);
    assert!(matches!(with("AWS AKIDEXAMPLE:abc="), AuthError::Mechanism(_)));
    assert!(matches!(with("AWS4-HMAC-SHA256"), AuthError::Incomplete(_)));
    assert!(matches!(with(""), AuthError::Mechanism(_)));
    assert!(matches!(with(&format!("{good}, Signature=0")), AuthError::Incomplete(_)));
    assert!(matches!(with(&good.replace("aws4_request", "aws5_request")), AuthError::Scope(_)));
    assert!(matches!(with(&good.replace("host;", "")), AuthError::UnsignedHeader(_)));
    assert!(matches!(with(&good.replace(";x-amz-target", "")), AuthError::UnsignedHeader(_)));
    assert!(matches!(
        with(&good.replace("content-type;host", "host;content-type")),
        AuthError::Incomplete(_)
    ));
}

/// A kind of change.
#[derive(Debug, Clone, Copy)]
enum Part {
    Method,
    Path,
    Query,
    HeaderValue,
    HeaderGone,
    HeaderMore,
    ParameterGone,
    ParameterMore,
    Body,
    Time,
}

fn mutation() -> impl Strategy<Value = (Index, Part, Index, Index)> {
    let part = prop::sample::select(vec![
        Part::Method,
        Part::Path,
        Part::Query,
        Part::HeaderValue,
        Part::HeaderGone,
        Part::HeaderMore,
        Part::ParameterGone,
        Part::ParameterMore,
        Part::Body,
        Part::Time,
    ]);
    (any::<Index>(), part, any::<Index>(), any::<Index>())
}

/// `text` with one letter or digit replaced, taken out or put in. Escapes stay whole, and case is
/// kept where it means nothing, so that the meaning changes for certain.
fn changed(text: &str, at: Index, how: Index) -> Option<String> {
    let bytes = text.as_bytes();
    let in_escape =
        |at: usize| bytes[at] == b'%' || (1..=2).any(|back| at >= back && bytes[at - back] == b'%');
    let free: Vec<usize> = (0..bytes.len())
        .filter(|&at| bytes[at].is_ascii_alphanumeric() && !in_escape(at))
        .collect();
    if free.is_empty() {
        return None;
    }
    let at = *at.get(&free);
    let bits = (0..7).map(|bit| bytes[at] ^ (1 << bit)).filter(u8::is_ascii_alphanumeric);
    let mut results: Vec<Vec<u8>> = bits
        .map(|byte| {
            let mut changed = bytes.to_vec();
            changed[at] = byte;
            changed
        })
        .collect();
    results.push([&bytes[..at], &bytes[at + 1..]].concat());
    results.push([&bytes[..at], b"x", &bytes[at..]].concat());
    results.push([&bytes[..at], b"-", &bytes[at + 1..]].concat());
    Some(String::from_utf8(how.get(&results).clone()).unwrap())
}

fn mutate(signed: &Signed, part: Part, at: Index, how: Index) -> Option<(Received, SystemTime)> {
    let mut request = signed.request.clone();
    let mut now = request.signed_at();
    match part {
        Part::Method => {
            let all = [
                Method::GET,
                Method::PUT,
                Method::POST,
                Method::DELETE,
                Method::HEAD,
                Method::PATCH,
            ];
            let others: Vec<Method> =
                all.into_iter().filter(|other| *other != request.method).collect();
            request.method = at.get(&others).clone();
        }
        Part::Path => {
            request.path = changed(&request.path, at, how).unwrap_or_else(|| "/x".to_owned());
        }
        Part::Query => request.query = changed(&request.query, at, how)?,
        Part::HeaderValue => {
            let names = signed.covered_headers();
            let name = at.get(if names.is_empty() { return None } else { &names });
            let value = changed(request.header(name)?, how, at)?;
            let name: HeaderName = name.parse().unwrap();
            request.headers.insert(name, HeaderValue::from_str(&value).unwrap());
        }
        Part::HeaderGone => {
            let names = signed.covered_headers();
            request
                .headers
                .remove(at.get(if names.is_empty() { return None } else { &names }).as_str());
        }
        Part::HeaderMore => {
            let names =
                ["x-amz-acl", "x-amz-meta-more", "x-amz-copy-source", "x-amz-security-token"];
            let name: HeaderName = at.get(&names).parse().unwrap();
            request.headers.append(name, HeaderValue::from_static("more"));
        }
        Part::ParameterGone => {
            let pairs: Vec<&str> =
                request.query.split('&').filter(|pair| !pair.is_empty()).collect();
            let gone = at.index(if pairs.is_empty() { return None } else { pairs.len() });
            let kept = pairs.iter().enumerate().filter(|(index, _)| *index != gone);
            request.query = kept.map(|(_, pair)| *pair).collect::<Vec<_>>().join("&");
        }
        Part::ParameterMore => {
            let pair = at.get(&[
                "versionId=2",
                "acl",
                "more=1",
                "x-amz-acl=public-read",
                "Expires=9999999999",
                "X-Amz-Expires=604800",
            ]);
            let joint = if request.query.is_empty() { "" } else { "&" };
            request.query = format!("{}{joint}{pair}", request.query);
        }
        Part::Body if !signed.covers_body() => return None,
        Part::Body if request.body.is_empty() => request.body.push(0),
        Part::Body => {
            let at = at.index(request.body.len() * 8);
            match how.index(3) {
                0 => request.body[at / 8] ^= 1 << (at % 8),
                1 => drop(request.body.remove(at / 8)),
                _ => request.body.insert(at / 8, b'\0'),
            }
        }
        Part::Time => {
            let far = Duration::from_secs(901 + at.index(1_000_000) as u64);
            now = if how.index(2) == 0 || signed.is_v2() { now + far } else { now - far };
        }
    }
    Some((request, now))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn anything_changed_is_refused((which, part, at, how) in mutation()) {
        let signed = which.get(&SIGNED);
        // Every request has a path, where there is nothing else of that kind to change.
        let of_path = || mutate(signed, Part::Path, at, how);
        let (request, now) = mutate(signed, part, at, how).or_else(of_path).unwrap();
        let verified = request.verify(signed.token, now);
        prop_assert!(verified.is_err(), "{} {part:?}: {request:?}", signed.name);
    }
}
