//! AWS's own vectors for Signature Version 4, against the verifier and its parts.

use std::time::SystemTime;

use chrono::{DateTime, Utc};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::Value;

use super::{
    AccessKey, AuthError, Body,
    canonical::{self, PathRule},
    header, presigned,
    verify::verify_v4,
};
use crate::Request;

const VECTORS: &str = include_str!("../../tests/sigv4-vectors.json");

/// A request of a vector, as a server reads it.
struct Received {
    method: Method,
    path: String,
    query: String,
    headers: HeaderMap,
    body: String,
}

impl Received {
    fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
        let mut lines = head.lines();
        let line = lines.next().unwrap().trim_end_matches(" HTTP/1.1");
        let (method, target) = line.split_once(' ').unwrap();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut headers: Vec<(String, String)> = Vec::new();
        for line in lines.filter(|line| !line.is_empty()) {
            if line.starts_with(' ') {
                // A folded line, which servers join with a space.
                headers.last_mut().unwrap().1.push_str(&format!(" {}", line.trim()));
            } else {
                let (name, value) = line.split_once(':').unwrap();
                headers.push((name.to_owned(), value.to_owned()));
            }
        }
        let headers = headers.into_iter().map(|(name, value)| {
            let name = HeaderName::try_from(name).unwrap();
            (name, HeaderValue::from_bytes(value.as_bytes()).unwrap())
        });
        Self {
            method: method.parse().unwrap(),
            path: path.to_owned(),
            query: query.to_owned(),
            headers: headers.fold(HeaderMap::new(), |mut headers, (name, value)| {
                headers.append(name, value);
                headers
            }),
            body: body.to_owned(),
        }
    }

    fn request(&self) -> Request<'_> {
        Request {
            method: &self.method,
            path: &self.path,
            query: &self.query,
            headers: &self.headers,
            authority: None,
        }
    }
}

fn check(case: &Value, kind: &str) {
    let name = format!("{} ({kind})", case["name"].as_str().unwrap());
    let expected = &case[kind];
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let received = Received::parse(&text(&expected["request"]));
    let request = received.request();
    let parameters = presigned::parameters(&request).unwrap();
    let signature = match &parameters {
        Some(parameters) => parameters.signature().unwrap(),
        None => header::parse(&request).unwrap(),
    };
    let normalize = case["normalize"].as_bool().unwrap();
    let rule = if normalize { PathRule::Normalized } else { PathRule::Encoded };
    let token_is_signed = text(&expected["canonical"]).contains("X-Amz-Security-Token");
    let query = presigned::without_token(&request);
    let covered = if token_is_signed { request } else { Request { query: &query, ..request } };
    let hash = super::key::sha256(received.body.as_bytes());
    let canonical = canonical::request(&covered, &signature.signed_headers, rule, &hash).unwrap();
    assert_eq!(canonical, text(&expected["canonical"]), "{name}");
    let scope = signature.credential.scope();
    let to_sign = canonical::string_to_sign(&signature.date.text, &scope, &canonical);
    assert_eq!(to_sign, text(&expected["string_to_sign"]), "{name}");

    let keys = |id: &str| {
        (id == case["access_key"]).then(|| AccessKey {
            secret: text(&case["secret"]),
            token: case["token"].as_str().map(str::to_owned),
            expires: None,
        })
    };
    let now: DateTime<Utc> = text(&case["timestamp"]).parse().unwrap();
    let body = Body::Whole(received.body.as_bytes());
    let verified = verify_v4(&request, body, &keys, now.into(), &signature, Some(rule));
    let verified = verified.unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(verified.region, case["region"], "{name}");
    assert_eq!(verified.service, case["service"], "{name}");
    assert_eq!(verified.presigned, kind == "query", "{name}");
    assert_eq!(verified.signed_at, Some(SystemTime::from(now)), "{name}");

    let wrong = |_: &str| {
        Some(AccessKey { secret: "other".to_owned(), ..keys(&text(&case["access_key"]))? })
    };
    let refused = verify_v4(&request, body, &wrong, now.into(), &signature, Some(rule));
    assert_eq!(refused.unwrap_err(), AuthError::Mismatch, "{name}");
}

#[test]
fn the_verifier_agrees_with_awss_vectors() {
    let vectors: Value = serde_json::from_str(VECTORS).unwrap();
    let cases = vectors["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 38);
    for case in cases {
        check(case, "header");
        check(case, "query");
    }
}
