//! Signatures in the `Authorization` header.

use super::{
    AuthError,
    credential::{Credential, SigningDate},
    verify::Signature,
};
use crate::Request;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// Reads `AWS4-HMAC-SHA256 Credential=…, SignedHeaders=…, Signature=…`.
pub(super) fn parse<'a>(request: &Request<'a>) -> Result<Signature<'a>, AuthError> {
    let mut values = request.headers.get_all("authorization").iter();
    let value = values.next().ok_or(AuthError::Missing)?;
    let value = value.to_str().ok().filter(|_| values.next().is_none());
    let value = value.ok_or_else(|| AuthError::Mechanism("unreadable".to_owned()))?;
    let (algorithm, rest) = value.trim().split_once(' ').unwrap_or((value, ""));
    if algorithm != ALGORITHM {
        return Err(AuthError::Mechanism(algorithm.chars().take(32).collect()));
    }
    let part = |name: &str| {
        let mut found = rest.split(',').filter_map(|part| {
            let (key, value) = part.trim().split_once('=')?;
            (key == name && !value.is_empty()).then_some(value)
        });
        let first = found.next();
        first.filter(|_| found.next().is_none())
    };
    let parts = (part("Credential"), part("SignedHeaders"), part("Signature"));
    let (Some(credential), Some(signed_headers), Some(signature)) = parts else {
        let names = [(parts.0, "Credential"), (parts.1, "SignedHeaders"), (parts.2, "Signature")];
        let missing = names.iter().filter(|(part, _)| part.is_none());
        let missing: Vec<String> = missing
            .map(|(_, name)| format!("Authorization header requires '{name}' parameter."))
            .collect();
        return Err(AuthError::Incomplete(missing.join(" ")));
    };
    let (date_header, date) = signing_date(request)?;
    let signature = Signature {
        credential: Credential::parse(credential)?,
        signed_headers: signed_headers.split(';').collect(),
        digest: signature,
        date,
        lifetime: None,
        token: request.header("x-amz-security-token").map(str::to_owned),
    };
    if signature.signed_headers.contains(&date_header) {
        Ok(signature)
    } else {
        Err(AuthError::UnsignedHeader(date_header.to_owned()))
    }
}

/// The date of the request and the header it is from.
fn signing_date(request: &Request<'_>) -> Result<(&'static str, SigningDate), AuthError> {
    let (name, date) = match request.header("x-amz-date") {
        Some(date) => ("x-amz-date", SigningDate::parse(date)),
        None => ("date", request.header("date").and_then(SigningDate::parse_header)),
    };
    let missing = "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' \
        header.";
    Ok((name, date.ok_or_else(|| AuthError::Incomplete(missing.to_owned()))?))
}
