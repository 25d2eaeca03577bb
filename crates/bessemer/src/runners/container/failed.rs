//! [`Failed`]: why an attempt ended early.

use bessemer_compute::{EnvironmentError, LaunchError};
use bessemer_domain::FailureClass;
use bessemer_objects::storage::StorageError;

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

    /// What the disk refuses is ours, but for want of room.
    pub(super) fn from_io(task: &str, error: &std::io::Error) -> Self {
        if is_for_want_of_room(error) {
            return Self::want_of_room(task);
        }
        Self::internal(format!("{task}: {error}"))
    }

    /// The disk is full, most likely with what the job's own program wrote: it comes to its end, so
    /// that its files go away, and would fill the disk again.
    fn want_of_room(task: &str) -> Self {
        let message = format!(
            "ClientError: {task}: the disk of the machine is full; write less, or make room"
        );
        Self { class: FailureClass::Algorithm, message }
    }

    /// What buckets refuse is the request's fault, but for their disk and an S3 that doesn't answer.
    pub(crate) fn from_storage(error: &StorageError) -> Self {
        let text = with_source(error);
        if is_for_want_of_room(error) {
            Self::want_of_room(&text)
        } else if error.may_pass() {
            Self::internal(text)
        } else {
            Self::client(text)
        }
    }

    /// Whether it is ours, and may pass.
    pub(super) fn may_pass(&self) -> bool {
        self.class == FailureClass::Infrastructure
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
