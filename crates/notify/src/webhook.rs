//! Webhooks: Slack's, and our own with a signature.

use std::{net::SocketAddr, time::Duration};

use bessemer_config::{HostPort, SecretText};
use bessemer_domain::hex;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::{Client, RequestBuilder, StatusCode, redirect};
use serde_json::json;
use sha2::Sha256;
use url::Url;

use crate::{address, deliver::DeliveryError, notification::Notification};

/// How long a webhook may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Sends a message as Slack's incoming webhooks take them.
pub(crate) async fn slack(
    url: &SecretText,
    notification: &Notification,
    allowed: &[HostPort],
) -> Result<(), DeliveryError> {
    // Slack's own characters: <https://api.slack.com/reference/surfaces/formatting#escaping>.
    let escaped = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let text =
        format!("*{}*\n{}", escaped(&notification.headline()), escaped(&notification.details()));
    post(url.reveal(), json!({ "text": text }).to_string(), allowed, |request| request).await
}

/// Sends the notification as JSON. `X-Bessemer-Signature` is `v1=` and the HMAC-SHA256 of
/// `v1:<X-Bessemer-Timestamp>:<body>` in hexadecimal.
pub(crate) async fn signed(
    url: &str,
    secret: &SecretText,
    notification: &Notification,
    allowed: &[HostPort],
    now: u64,
) -> Result<(), DeliveryError> {
    let body = serde_json::to_string(notification)
        .map_err(|error| DeliveryError::Refused(error.to_string()))?;
    let timestamp = now / 1_000;
    let signature = signature(secret.reveal(), timestamp, &body);
    let id = notification.id;
    post(url, body, allowed, |request| {
        request
            .header("x-bessemer-timestamp", timestamp.to_string())
            .header("x-bessemer-signature", signature)
            .header("x-bessemer-delivery", id.to_string())
    })
    .await
}

fn signature(secret: &str, timestamp: u64, body: &str) -> String {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(format!("v1:{timestamp}:{body}").as_bytes());
    format!("v1={}", hex(&mac.finalize().into_bytes()))
}

async fn post(
    url: &str,
    body: String,
    allowed: &[HostPort],
    with_headers: impl FnOnce(RequestBuilder) -> RequestBuilder,
) -> Result<(), DeliveryError> {
    let refused = |_| DeliveryError::Refused("the address is not a URL".to_owned());
    let url = Url::parse(url).map_err(refused)?;
    let address = address::checked(&url, allowed).await?;
    // The address may be the secret.
    let failed = |error: reqwest::Error| DeliveryError::Failed(said(&error.without_url()));
    let client = client(&url, address).map_err(failed)?;
    let request = client.post(url).header("content-type", "application/json").body(body);
    let response = with_headers(request).send().await.map_err(failed)?;
    let status = response.status();
    if status.is_success() {
        return Ok(());
    }
    let what = format!("the webhook answered {status}");
    Err(match status {
        StatusCode::BAD_REQUEST
        | StatusCode::PAYLOAD_TOO_LARGE
        | StatusCode::UNPROCESSABLE_ENTITY => DeliveryError::Refused(what),
        _ => DeliveryError::Failed(what),
    })
}

/// A client for one request: to the address that was checked, and nowhere else.
fn client(url: &Url, address: Option<SocketAddr>) -> Result<Client, reqwest::Error> {
    let client = Client::builder().no_proxy().redirect(redirect::Policy::none()).timeout(TIMEOUT);
    match (url.domain(), address) {
        (Some(name), Some(address)) => client.resolve(name, address),
        _ => client,
    }
    .build()
}

fn said(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        text.push_str(&format!(": {inner}"));
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_hmac_sha256_of_version_time_and_body() {
        // printf 'v1:1700000000:{}' | openssl dgst -sha256 -hmac key
        let expected = "v1=584e59c409146d134b9c5f3551be5110dcd1cf3262710509ae10c5cc17a991cb";
        assert_eq!(signature("key", 1_700_000_000, "{}"), expected);
    }
}
