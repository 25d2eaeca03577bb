//! Shapes: the types of an API's values, with their constraints and their places in a message.

use std::{fmt, sync::OnceLock};

use regex::Regex;
use serde::{Deserialize, Deserializer, de};
use serde_json::Number;

use crate::timestamp::TimestampFormat;

/// What a shape is at its base.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Structure,
    List,
    Map,
    String,
    Character,
    Boolean,
    Byte,
    Short,
    Integer,
    Long,
    Float,
    Double,
    BigInteger,
    BigDecimal,
    Timestamp,
    Blob,
}

/// Where a member stands in a message of a REST protocol, if not in the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Location {
    Uri,
    #[serde(rename = "querystring")]
    Query,
    Header,
    /// All headers of a prefix, as a map.
    Headers,
    StatusCode,
}

/// A use of a shape: a structure's member, a list's element, a map's key or value.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Member {
    pub(crate) shape: String,
    pub(crate) location: Option<Location>,
    pub(crate) location_name: Option<String>,
    /// The name in the query protocol, where that of JSON is another.
    pub(crate) query_name: Option<String>,
    #[serde(default)]
    pub(crate) flattened: bool,
    pub(crate) timestamp_format: Option<TimestampFormat>,
}

impl Member {
    /// The name in forms and XML.
    pub(crate) fn query_name<'a>(&'a self, name: &'a str) -> &'a str {
        self.query_name.as_deref().unwrap_or_else(|| self.wire_name(name))
    }

    /// The name on the wire.
    pub(crate) fn wire_name<'a>(&'a self, name: &'a str) -> &'a str {
        self.location_name.as_deref().unwrap_or(name)
    }
}

/// What an error shape says of its code and status.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ErrorTraits {
    pub(crate) code: Option<String>,
    pub(crate) http_status_code: Option<u16>,
}

/// A type of values.
#[expect(clippy::struct_excessive_bools, reason = "each is a trait of the model's own")]
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Shape {
    #[serde(rename = "type")]
    pub(crate) kind: Kind,
    #[serde(default)]
    pub(crate) required: Vec<String>,
    #[serde(default, deserialize_with = "in_order")]
    pub(crate) members: Vec<(String, Member)>,
    pub(crate) member: Option<Member>,
    pub(crate) key: Option<Member>,
    pub(crate) value: Option<Member>,
    #[serde(default, rename = "enum")]
    pub(crate) values: Vec<String>,
    pub(crate) min: Option<Number>,
    pub(crate) max: Option<Number>,
    pub(crate) pattern: Option<String>,
    #[serde(default)]
    pub(crate) sensitive: bool,
    /// Any JSON value.
    #[serde(default)]
    pub(crate) document: bool,
    #[serde(default)]
    pub(crate) flattened: bool,
    /// The member that is the whole body.
    pub(crate) payload: Option<String>,
    pub(crate) timestamp_format: Option<TimestampFormat>,
    pub(crate) error: Option<ErrorTraits>,
    /// Whether the service is at fault, for an error.
    #[serde(default)]
    pub(crate) fault: bool,
    /// The pattern, once it was needed; `None` if it can't be had.
    #[serde(skip)]
    pub(super) regex: OnceLock<Option<Regex>>,
}

impl Shape {
    pub(crate) fn member_named(&self, name: &str) -> Option<&Member> {
        self.members.iter().find(|(other, _)| other == name).map(|(_, member)| member)
    }

    /// All shapes that this one refers to.
    pub(crate) fn parts(&self) -> impl Iterator<Item = &Member> {
        let members = self.members.iter().map(|(_, member)| member);
        members.chain(&self.member).chain(&self.key).chain(&self.value)
    }
}

/// A map of JSON as pairs in their order, which XML and messages keep.
fn in_order<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<(String, Member)>, D::Error> {
    struct Pairs;
    impl<'de> de::Visitor<'de> for Pairs {
        type Value = Vec<(String, Member)>;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("members by name")
        }

        fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut pairs = Vec::new();
            while let Some(pair) = map.next_entry()? {
                pairs.push(pair);
            }
            Ok(pairs)
        }
    }
    from.deserialize_map(Pairs)
}
