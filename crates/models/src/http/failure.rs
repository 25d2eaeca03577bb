//! A reply that is no answer, as what the engine does about it and what the user reads.

use bessemer_domain::RejectClass;
use bessemer_transform::model::{CallError, CallErrorKind};
use reqwest::{
    StatusCode,
    header::{LOCATION, RETRY_AFTER},
};
use serde_json::Value;

use super::client::{Reply, SendError};

/// Characters of a server's words in a message.
const EXCERPT: usize = 200;

/// The failure that a reply with a status other than 2xx stands for. `answered`: whether the server
/// has answered any call so far. Until then, a status that speaks of the address, the credentials
/// or the content type is taken for a wrong setting, which would reject every record.
pub(super) fn of_status(reply: &Reply, answered: bool) -> CallError {
    let (kind, class) = match reply.status {
        StatusCode::PAYLOAD_TOO_LARGE => (CallErrorKind::TooLarge, RejectClass::TooLarge),
        StatusCode::REQUEST_TIMEOUT | StatusCode::GATEWAY_TIMEOUT => {
            (CallErrorKind::Transient, RejectClass::Timeout)
        }
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE => (CallErrorKind::Transient, RejectClass::Model),
        status if !answered && speaks_of_settings(status) => {
            (CallErrorKind::Unreachable, RejectClass::Model)
        }
        status if status.is_server_error() => (CallErrorKind::Suspect, RejectClass::Model),
        _ => (CallErrorKind::Records, RejectClass::Model),
    };
    CallError { kind, class, message: message(reply) }
}

fn speaks_of_settings(status: StatusCode) -> bool {
    status.is_redirection() || matches!(status.as_u16(), 401 | 403..=407 | 415)
}

/// The status and what the body says, in one line.
pub(super) fn message(reply: &Reply) -> String {
    let mut parts = vec![reply.status.to_string()];
    if let Some(location) = reply.header(&LOCATION) {
        parts.push(format!(" to `{}`", excerpt(location)));
    }
    if let Some(after) = reply.header(&RETRY_AFTER) {
        parts.push(format!(" (retry after {})", excerpt(after)));
    }
    let said = said(&reply.body);
    if !said.is_empty() {
        parts.extend([": ".to_owned(), said]);
    }
    parts.concat()
}

/// The failure of a call to which no answer came. `at` is the server's address.
pub(super) fn of_send_error(error: &SendError, at: &str) -> CallError {
    let (kind, class) = match error {
        SendError::Connect(_) => (CallErrorKind::Unreachable, RejectClass::Model),
        SendError::Broken(_) => (CallErrorKind::Transient, RejectClass::Model),
        SendError::Timeout(_) => (CallErrorKind::Transient, RejectClass::Timeout),
        SendError::Malformed(_) => (CallErrorKind::Suspect, RejectClass::Model),
        SendError::TooLong { .. } => (CallErrorKind::TooLarge, RejectClass::Output),
        SendError::Unreadable(_) => (CallErrorKind::Records, RejectClass::Parse),
        SendError::Unwritten(_) => (CallErrorKind::Records, RejectClass::Output),
    };
    CallError { kind, class, message: format!("{error} (`{at}`)") }
}

/// What a body says in words: the message of a JSON error, the last line of a Python traceback, the
/// text of a page, else its beginning.
fn said(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let text = text.trim();
    if let Ok(value) = serde_json::from_str::<Value>(text) {
        return excerpt(&json_message(&value));
    }
    if text.starts_with("Traceback (most recent call last)") {
        return excerpt(text.lines().next_back().unwrap_or_default());
    }
    if text.starts_with('<') {
        return excerpt(&without_tags(text));
    }
    excerpt(text)
}

/// The text of the member that error bodies keep their message in, else the JSON itself.
fn json_message(value: &Value) -> String {
    if let Value::String(text) = value {
        return text.clone();
    }
    let names = ["error", "message", "Message", "detail", "errorMessage", "exception"];
    match names.iter().find_map(|name| value.get(name)) {
        Some(inner) => json_message(inner),
        None => value.to_string(),
    }
}

fn without_tags(page: &str) -> String {
    let mut text = String::new();
    let mut in_tag = false;
    for character in page.chars() {
        match character {
            '<' => in_tag = true,
            '>' => {
                in_tag = false;
                text.push(' ');
            }
            _ if !in_tag => text.push(character),
            _ => {}
        }
    }
    text
}

/// The beginning of `text` in one line: white space and control characters folded.
pub(super) fn excerpt(text: &str) -> String {
    let mut line = String::new();
    let words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|w| !w.is_empty());
    for word in words {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
        if line.len() > 4 * EXCERPT {
            break;
        }
    }
    match line.char_indices().nth(EXCERPT) {
        Some((cut, _)) => format!("{}…", &line[..cut]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use reqwest::header::{HeaderMap, HeaderValue};

    use super::*;

    fn reply(status: u16, body: &str) -> Reply {
        Reply {
            status: StatusCode::from_u16(status).unwrap(),
            headers: HeaderMap::new(),
            body: Bytes::copy_from_slice(body.as_bytes()),
        }
    }

    #[test]
    fn statuses_have_their_kinds() {
        use CallErrorKind::{Records, Suspect, TooLarge, Transient, Unreachable};
        let cases = [
            (400, true, Records),
            (400, false, Records),
            (422, false, Records),
            (404, true, Records),
            (404, false, Unreachable),
            (415, false, Unreachable),
            (302, false, Unreachable),
            (408, true, Transient),
            (413, true, TooLarge),
            (429, true, Transient),
            (500, true, Suspect),
            (501, false, Suspect),
            (502, true, Transient),
            (503, true, Transient),
            (504, true, Transient),
            (507, true, Suspect),
        ];
        for (status, answered, kind) in cases {
            assert_eq!(of_status(&reply(status, ""), answered).kind, kind, "{status} {answered}");
        }
        assert_eq!(of_status(&reply(504, ""), true).class, RejectClass::Timeout);
        assert_eq!(of_status(&reply(413, ""), true).class, RejectClass::TooLarge);
    }

    #[test]
    fn bodies_are_cut_to_what_they_say() {
        let cases = [
            (r#"{"error": "bad\n  row"}"#, "bad row"),
            (r#"{"error": {"code": 1, "message": "no"}}"#, "no"),
            (r#"{"detail": [{"loc": 1}]}"#, r#"[{"loc":1}]"#),
            ("\"quoted\"", "quoted"),
            (
                "Traceback (most recent call last):\n  File \"x\"\nValueError: no\n",
                "ValueError: no",
            ),
            ("<html><title>500</title>\n<h1>Oops</h1>", "500 Oops"),
            ("plain\r\n text\u{0}", "plain text"),
        ];
        for (body, expected) in cases {
            assert_eq!(said(body.as_bytes()), expected, "{body}");
        }
        assert_eq!(message(&reply(400, "")), "400 Bad Request");
        assert_eq!(message(&reply(400, "x")), "400 Bad Request: x");
        assert_eq!(said(b"\xff\xfe no text"), "\u{fffd}\u{fffd} no text");
        let long = "ä".repeat(5000);
        assert_eq!(said(long.as_bytes()).chars().count(), EXCERPT + 1);
    }

    #[test]
    fn retry_after_is_passed_on() {
        let mut busy = reply(429, "slow down");
        busy.headers.insert(RETRY_AFTER, HeaderValue::from_static("7"));
        assert_eq!(message(&busy), "429 Too Many Requests (retry after 7): slow down");
    }

    #[test]
    fn a_call_without_an_answer_has_the_kind_of_its_cause() {
        let of = |error| of_send_error(&error, "http://h/invocations");
        assert_eq!(of(SendError::Connect("no".into())).kind, CallErrorKind::Unreachable);
        assert_eq!(of(SendError::Broken("no".into())).kind, CallErrorKind::Transient);
        let slow = of(SendError::Timeout(Duration::from_millis(1500)));
        assert_eq!((slow.kind, slow.class), (CallErrorKind::Transient, RejectClass::Timeout));
        assert_eq!(slow.message, "no whole answer within 1.5 s (`http://h/invocations`)");
        let long = of(SendError::TooLong { limit: 10 });
        assert_eq!((long.kind, long.class), (CallErrorKind::TooLarge, RejectClass::Output));
    }
}
