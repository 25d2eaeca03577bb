//! `s3://bucket/key`.

use std::fmt;

use super::Failed;

/// A key or a prefix of a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Uri {
    pub(crate) bucket: String,
    pub(crate) key: String,
}

impl Uri {
    pub(crate) fn parse(uri: &str) -> Result<Self, Failed> {
        Self::read(uri).map_err(Failed::client)
    }

    /// The same, with the bare reason why it is none.
    pub(crate) fn read(uri: &str) -> Result<Self, String> {
        let rest = uri.strip_prefix("s3://").ok_or_else(|| format!("`{uri}` is no s3:// URI"))?;
        let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
        Ok(Self { bucket: bucket.to_owned(), key: key.to_owned() })
    }

    /// `name` below this prefix.
    pub(crate) fn below(&self, name: &str) -> Self {
        let key = match self.key.trim_end_matches('/') {
            "" => name.to_owned(),
            prefix => format!("{prefix}/{name}"),
        };
        Self { bucket: self.bucket.clone(), key }
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}", self.bucket, self.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_below_a_prefix_with_one_slash_between() {
        for (prefix, expected) in [
            ("s3://b", "s3://b/x"),
            ("s3://b/", "s3://b/x"),
            ("s3://b/a", "s3://b/a/x"),
            ("s3://b/a/", "s3://b/a/x"),
        ] {
            assert_eq!(Uri::parse(prefix).unwrap().below("x").to_string(), expected);
        }
        assert!(Uri::parse("https://b/a").is_err());
    }
}
