//! [`Failed`]: why an attempt ended early.

use bessemer_compute::{EnvironmentError, LaunchError};
use bessemer_domain::FailureClass;
use bessemer_objects::buckets::BucketError;

/// An attempt that ended early, in SageMaker's words: `ClientError: …` is the request's fault,
/// `AlgorithmError: …` that of the user's program, `InternalServerError: …` ours.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) class: FailureClass,
    pub(crate) message: String,
}

impl Failed {
    /// What can't be carried out, however often it is tried.
    pub(crate) fn client(message: impl std::fmt::Display) -> Self {
        Self { class: FailureClass::Invalid, message: format!("ClientError: {message}") }
    }

    /// What may pass.
    pub(crate) fn internal(message: impl std::fmt::Display) -> Self {
        let message = format!("InternalServerError: {message}");
        Self { class: FailureClass::Infrastructure, message }
    }

    /// A full disk is told of in words that everybody understands.
    pub(super) fn from_io(task: &str, error: &std::io::Error) -> Self {
        if is_for_want_of_room(error) {
            return Self::internal(format!("{task}: {FULL}"));
        }
        Self::internal(format!("{task}: {error}"))
    }

    /// What buckets refuse is the request's fault, but for their disk.
    pub(crate) fn from_bucket(error: &BucketError) -> Self {
        let text = with_source(error);
        match error {
            BucketError::Io { action, .. } if is_for_want_of_room(error) => {
                Self::internal(format!("failed to {action}: {FULL}"))
            }
            BucketError::Io { .. } => Self::internal(text),
            _ => Self::client(text),
        }
    }

    /// A program that can't be run is the user's, anything else ours.
    pub(super) fn from_launch(error: &LaunchError) -> Self {
        match error {
            LaunchError::Sandbox(setup) if setup.command => Self {
                class: FailureClass::Algorithm,
                message: format!("AlgorithmError: failed to {setup}"),
            },
            error => Self::internal(format!("failed to {}", with_source(error))),
        }
    }

    pub(super) fn from_environment(error: &EnvironmentError) -> Self {
        match error {
            EnvironmentError::Failed { .. } => Self::client(format!("failed to {error}")),
            error => Self::internal(format!("failed to {}", with_source(error))),
        }
    }
}

/// What to say of a full disk.
const FULL: &str = "the disk of the machine is full; write less, or make room";

fn is_for_want_of_room(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        let kind = error.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
        if kind == Some(std::io::ErrorKind::StorageFull) {
            return true;
        }
        next = error.source();
    }
    false
}

fn with_source(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
