//! Names of queues, and where they stand in ARNs and URLs.

use crate::error::QueueError;

/// What the name of a FIFO queue ends with.
pub(crate) const FIFO: &str = ".fifo";

/// The queue's name in an ARN, as in `arn:aws:sqs:us-east-1:000000000000:jobs`. Neither its region
/// nor its account are looked at.
pub fn name_of_arn(arn: &str) -> Option<&str> {
    let parts: Vec<&str> = arn.split(':').collect();
    match parts.as_slice() {
        ["arn", _, "sqs", _, _, name] if !name.is_empty() => Some(name),
        _ => None,
    }
}

/// The queue's name in a URL, whatever its host: the last part of its path, which stands behind an
/// account.
pub fn name_of_url(url: &str) -> Option<&str> {
    let path = match url.split_once("://") {
        Some((_, rest)) => rest.split_once('/')?.1,
        None => url.strip_prefix('/')?,
    };
    let mut parts = path.trim_end_matches('/').rsplit('/');
    let (name, account) = (parts.next()?, parts.next()?);
    (!name.is_empty() && !account.is_empty()).then_some(name)
}

/// Checks the name of a queue that is to be.
pub(crate) fn check(name: &str, is_fifo: bool) -> Result<(), QueueError> {
    let stem = if is_fifo { name.strip_suffix(FIFO) } else { Some(name) };
    let fits = |stem: &str| {
        let mut characters = stem.bytes();
        !stem.is_empty()
            && name.len() <= 80
            && characters.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    if stem.is_some_and(fits) {
        return Ok(());
    }
    let message = if is_fifo {
        "The name of a FIFO queue can only include alphanumeric characters, hyphens, or \
         underscores, must end with .fifo suffix and be 1 to 80 in length."
    } else {
        "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length"
    };
    Err(QueueError::Parameter(message.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_is_found_by_any_host_and_account() {
        for url in [
            "http://127.0.0.1:1856/000000000000/jobs",
            "https://sqs.us-west-2.amazonaws.com/123456789012/jobs",
            "http://localhost/queue/123456789012/jobs/",
            "/000000000000/jobs",
        ] {
            assert_eq!(name_of_url(url), Some("jobs"), "{url}");
        }
        for url in ["jobs", "http://localhost", "http://localhost/jobs", "/jobs", "", "//"] {
            assert_eq!(name_of_url(url), None, "{url}");
        }
        assert_eq!(name_of_arn("arn:aws:sqs:us-west-2:123456789012:a.fifo"), Some("a.fifo"));
        assert_eq!(name_of_arn("arn:aws:s3:::a"), None);
        assert_eq!(name_of_arn("dummy"), None);
    }

    #[test]
    fn names_are_as_long_and_plain_as_sqs_has_them() {
        let most = "q".repeat(80);
        for (name, is_fifo) in [("a-B_3", false), (most.as_str(), false), ("a.fifo", true)] {
            check(name, is_fifo).expect("it is a name");
        }
        let long = "q".repeat(81);
        let long_fifo = format!("{}.fifo", "q".repeat(76));
        for (name, is_fifo) in
            [("", false), ("a.fifo", false), ("a b", false), ("ä", false), (&long, false)]
        {
            check(name, is_fifo).expect_err(name);
        }
        for name in ["a", ".fifo", "a.b.fifo", &long_fifo] {
            check(name, true).expect_err(name);
        }
    }
}
