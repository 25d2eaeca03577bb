//! [`BucketName`]: a name that S3 allows, and that is safe as a folder's.

use std::{fmt, net::Ipv4Addr};

use super::BucketError;

/// The name of a bucket: 3 to 63 of a-z, 0-9, `-` and `.`, starting and ending with a letter or a
/// digit, without `..`, not an IPv4 address.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BucketName(String);

impl BucketName {
    /// Takes `name` if S3's rules allow it.
    pub fn parse(name: &str) -> Result<Self, BucketError> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let ends_plain = |byte: Option<&u8>| byte.is_some_and(|byte| plain(*byte));
        let bytes = name.as_bytes();
        let allowed = (3..=63).contains(&bytes.len())
            && bytes.iter().all(|byte| plain(*byte) || matches!(byte, b'-' | b'.'))
            && ends_plain(bytes.first())
            && ends_plain(bytes.last())
            && !name.contains("..")
            && name.parse::<Ipv4Addr>().is_err();
        if allowed {
            Ok(Self(name.to_owned()))
        } else {
            Err(BucketError::InvalidBucketName(name.to_owned()))
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BucketName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_what_s3_allows_and_nothing_else() {
        for name in ["abc", "a-b.c", "0ab", "sagemaker-eu-west-1-123456789012"] {
            assert_eq!(BucketName::parse(name).unwrap().as_str(), name);
        }
        let long = "a".repeat(64);
        let wrong = [
            "",
            "ab",
            ".",
            "..",
            "...",
            ".bessemer",
            "a..b",
            "-ab",
            "ab-",
            "Abc",
            "a_b",
            "a/b",
            "a\\b",
            "a%2fb",
            "a\0b",
            "äbc",
            "1.2.3.4",
            &long,
        ];
        for name in wrong {
            assert!(BucketName::parse(name).is_err(), "{name:?}");
        }
    }
}
