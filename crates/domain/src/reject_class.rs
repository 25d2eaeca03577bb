//! Why a record was rejected.

use crate::named::named;

/// Why a record was rejected. Its name is what the `error_class` column of `_rejects` holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RejectClass {
    /// The record is not well formed: broken JSON or UTF-8, a ragged or unclosed CSV row.
    Parse,
    /// A feature that the model reads is absent or null.
    MissingFeature,
    /// A value can't be converted to the type that the model reads.
    Type,
    /// The record alone is larger than the payload limit.
    TooLarge,
    /// The model refused the record or raised an error on it.
    Model,
    /// The model answered this record with no record or with several.
    WrongCount,
    /// The model's process died on the record.
    WorkerDied,
    /// The model did not answer the record in time.
    Timeout,
    /// The model's answer does not fit the output columns.
    Output,
}

/// A text that names no reject class.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a reject class")]
pub struct ParseRejectClassError(String);

impl RejectClass {
    /// Every class, in the order of the enum.
    pub const ALL: [RejectClass; 9] = [
        Self::Parse,
        Self::MissingFeature,
        Self::Type,
        Self::TooLarge,
        Self::Model,
        Self::WrongCount,
        Self::WorkerDied,
        Self::Timeout,
        Self::Output,
    ];

    /// The class's name in files and messages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Parse => "parse",
            Self::MissingFeature => "missing_feature",
            Self::Type => "type",
            Self::TooLarge => "too_large",
            Self::Model => "model",
            Self::WrongCount => "wrong_count",
            Self::WorkerDied => "worker_died",
            Self::Timeout => "timeout",
            Self::Output => "output",
        }
    }
}

named!(ParseRejectClassError: RejectClass);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_reads_back_from_its_name() {
        for class in RejectClass::ALL {
            assert_eq!(class.as_str().parse(), Ok(class));
        }
    }
}
