//! What can go wrong with a location, and the exit code that it means.

use std::{io, path::Path};

use bessemer_domain::ExitCode;

/// A failure to find, read or write at a location. Its text is a fragment that follows "failed to";
/// it never holds a secret.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct ObjectsError {
    kind: ObjectsErrorKind,
    message: String,
    hint: Option<String>,
    #[source]
    source: Option<io::Error>,
}

/// What kind of failure an [`ObjectsError`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectsErrorKind {
    /// The file, object, bucket or folder is not there.
    NotFound,
    /// Permission was refused, or there are no credentials.
    Denied,
    /// The object store does not answer, or answers with errors of its own.
    Unreachable,
    /// What was asked for makes no sense: a malformed location, an unsafe name, a bad manifest.
    Invalid,
    /// The input is no longer what it was when the inputs were listed.
    Changed,
    /// Reading or writing failed: a full or broken disk, a failed fsync.
    Io,
}

impl ObjectsError {
    /// What kind of failure this is.
    #[must_use]
    pub fn kind(&self) -> ObjectsErrorKind {
        self.kind
    }

    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// The exit code of a command that ends with this failure.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        match self.kind {
            ObjectsErrorKind::NotFound => ExitCode::NotFound,
            ObjectsErrorKind::Denied => ExitCode::Denied,
            ObjectsErrorKind::Unreachable => ExitCode::Unreachable,
            ObjectsErrorKind::Invalid => ExitCode::Usage,
            ObjectsErrorKind::Changed | ObjectsErrorKind::Io => ExitCode::JobFailed,
        }
    }

    pub(crate) fn new(kind: ObjectsErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None, source: None }
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(ObjectsErrorKind::NotFound, message)
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(ObjectsErrorKind::Invalid, message)
    }

    pub(crate) fn changed(message: impl Into<String>) -> Self {
        Self::new(ObjectsErrorKind::Changed, message)
    }

    /// A failed system call on `path`; `action` is a verb in the infinitive.
    pub(crate) fn io(action: &str, path: &Path, source: io::Error) -> Self {
        let (kind, hint) = match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
                (ObjectsErrorKind::NotFound, None)
            }
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                (ObjectsErrorKind::Denied, None)
            }
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                (ObjectsErrorKind::Io, Some("free some space there, or choose another folder"))
            }
            _ => (ObjectsErrorKind::Io, None),
        };
        let message = format!("{action} `{}`", path.display());
        Self { kind, message, hint: hint.map(str::to_owned), source: Some(source) }
    }

    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    #[test]
    fn system_errors_keep_their_cause_and_tell_the_exit_code() {
        let cases = [
            (io::ErrorKind::NotFound, ExitCode::NotFound),
            (io::ErrorKind::PermissionDenied, ExitCode::Denied),
            (io::ErrorKind::StorageFull, ExitCode::JobFailed),
        ];
        for (kind, code) in cases {
            let error = ObjectsError::io("read", Path::new("a/b"), kind.into());
            assert_eq!(error.to_string(), "read `a/b`");
            assert_eq!(error.exit_code(), code);
            assert!(error.source().is_some());
        }
    }
}
