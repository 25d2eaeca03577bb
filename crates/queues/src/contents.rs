//! What a message holds, and what SQS lets it hold.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::QueueError;

/// Bytes of a message, and of all messages of a batch, at most.
pub const MOST_BYTES: usize = 1_048_576;
/// Attributes of a message, at most.
const MOST_ATTRIBUTES: usize = 10;

/// A message that is to be sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Message {
    /// Its text.
    pub body: String,
    /// Its attributes.
    pub attributes: MessageAttributes,
    /// The header of a trace that it is part of.
    pub trace_header: Option<String>,
    /// How long it stays invisible, in seconds; without it, as the queue has it.
    pub delay_seconds: Option<i64>,
    /// The group that it is of. A FIFO queue keeps its order.
    pub group: Option<String>,
    /// What makes a second message one that a FIFO queue has already.
    pub deduplication_id: Option<String>,
    /// Who sends it.
    pub sender: String,
}

/// Attributes of a message by name.
pub type MessageAttributes = BTreeMap<String, MessageAttribute>;

/// An attribute of a message, as it is on the wire.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct MessageAttribute {
    /// `String`, `Number` or `Binary`, and a label of the client's own after a dot.
    #[serde(default)]
    pub data_type: String,
    /// The value, if it is text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub string_value: Option<String>,
    /// The value in base64, if it is binary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub binary_value: Option<String>,
}

/// What is kept of a message beside its body.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Details {
    pub(crate) sender: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) attributes: MessageAttributes,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) trace_header: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) group: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) deduplication_id: Option<String>,
    /// The ARN of the queue that a dead letter came from. The store sets it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) dead_letter_source: Option<String>,
}

impl Message {
    /// Bytes that count: the body, and the names, types and values of attributes.
    pub fn size(&self) -> usize {
        let attribute = |(name, attribute): (&String, &MessageAttribute)| {
            name.len() + attribute.data_type.len() + attribute.value_size()
        };
        self.body.len() + self.attributes.iter().map(attribute).sum::<usize>()
    }

    /// Checks all that does not hang on the queue's kind.
    pub(crate) fn check(&self, most_bytes: usize) -> Result<(), QueueError> {
        if self.body.is_empty() {
            return Err(QueueError::Missing("MessageBody"));
        }
        if self.attributes.len() > MOST_ATTRIBUTES {
            return Err(QueueError::Parameter(format!(
                "Number of message attributes [{}] exceeds the allowed maximum [{MOST_ATTRIBUTES}].",
                self.attributes.len()
            )));
        }
        for (name, attribute) in &self.attributes {
            attribute.check(name)?;
        }
        if self.size() > most_bytes {
            return Err(QueueError::Parameter(format!(
                "One or more parameters are invalid. Reason: Message must be shorter than \
                 {most_bytes} bytes."
            )));
        }
        check_text(&self.body)
    }

    /// Its deduplication id, or the one that its body gives.
    pub(crate) fn deduplication(&self, by_content: bool) -> Option<String> {
        let by_body = || hex(&Sha256::digest(self.body.as_bytes()));
        self.deduplication_id.clone().or_else(|| by_content.then(by_body))
    }
}

fn hex(bytes: &[u8]) -> String {
    bessemer_domain::hex(bytes)
}

impl MessageAttribute {
    /// Whether its value is binary.
    pub fn is_binary(&self) -> bool {
        self.data_type.split('.').next() == Some("Binary")
    }

    fn value_size(&self) -> usize {
        match (&self.string_value, &self.binary_value) {
            (Some(text), _) => text.len(),
            // Base64 has four characters for three bytes.
            (None, Some(base64)) => base64.trim_end_matches('=').len() * 3 / 4,
            (None, None) => 0,
        }
    }

    fn check(&self, name: &str) -> Result<(), QueueError> {
        let refuse = |message: String| Err(QueueError::Parameter(message));
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
        let lower = name.to_ascii_lowercase();
        let is_reserved = lower.starts_with("aws.") || lower.starts_with("amazon.");
        if name.is_empty() || !name.bytes().all(plain) {
            return refuse(format!(
                "The message attribute name '{name}' is invalid. Attribute name can contain A-Z, \
                 a-z, 0-9, underscore (_), hyphen (-), and period (.) characters."
            ));
        }
        if name.len() > 256 {
            return refuse(
                "Message (user) attribute name must be shorter than 256 bytes.".to_owned(),
            );
        }
        if is_reserved || name.starts_with('.') || name.ends_with('.') || name.contains("..") {
            return refuse(
                "You can't use message attribute names beginning with 'AWS.' or 'Amazon.'. These \
                 strings are reserved for internal use. Additionally, they cannot start or end \
                 with '.' or have successive '.' in their names."
                    .to_owned(),
            );
        }
        if self.data_type.is_empty() {
            return refuse(format!(
                "The message attribute '{name}' must contain non-empty message attribute type."
            ));
        }
        let kind = self.data_type.split('.').next().unwrap_or_default();
        if !["Binary", "Number", "String"].contains(&kind) || self.data_type.len() > 256 {
            return refuse(format!(
                "The type of message (user) attribute '{name}' is invalid. You must use only the \
                 following supported type prefixes: 'Binary', 'Number', 'String'."
            ));
        }
        let value = if kind == "Binary" { &self.binary_value } else { &self.string_value };
        let Some(value) = value.as_deref().filter(|value| !value.is_empty()) else {
            return refuse(format!(
                "The message attribute '{name}' must contain non-empty message attribute value for \
                 message attribute type '{}'.",
                self.data_type
            ));
        };
        if kind == "Number" && value.parse::<f64>().is_err() {
            return refuse(format!(
                "Can't cast the value of message (user) attribute '{name}' to a number."
            ));
        }
        if kind == "Binary" { Ok(()) } else { check_text(value) }
    }
}

/// That all characters are such that XML can hold them.
fn check_text(text: &str) -> Result<(), QueueError> {
    let allowed = |character: char| match character {
        '\t' | '\n' | '\r' => true,
        '\u{FFFE}' | '\u{FFFF}' => false,
        character => character >= ' ',
    };
    if text.chars().all(allowed) { Ok(()) } else { Err(QueueError::Contents) }
}

/// Checks the name of a group, a deduplication or an attempt.
pub(crate) fn check_token(value: &str, parameter: &str) -> Result<(), QueueError> {
    if (1..=128).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(());
    }
    let reason = format!(
        "{parameter} can only include alphanumeric and punctuation characters. 1 to 128 in length."
    );
    Err(QueueError::value(value, parameter, &reason))
}
