//! The words of SageMaker's API for the kinds of jobs.

use bessemer_domain::JobKind;

/// How the API speaks of jobs of a kind.
pub(in super::super) struct JobWords {
    /// How members begin, as in `TrainingJobName`.
    pub(in super::super) prefix: &'static str,
    /// The type of its ARNs, as in `training-job`.
    pub(in super::super) resource: &'static str,
    /// What messages call it.
    pub(in super::super) noun: &'static str,
}

/// The words for `kind`.
pub(in super::super) fn words(kind: JobKind) -> JobWords {
    let (prefix, resource, noun) = match kind {
        JobKind::Transform => ("Transform", "transform-job", "transform job"),
        JobKind::Training => ("Training", "training-job", "training job"),
        JobKind::Processing => ("Processing", "processing-job", "processing job"),
        // None is listed or described by SageMaker.
        JobKind::Batch => ("Batch", "job", "job"),
    };
    JobWords { prefix, resource, noun }
}

impl JobWords {
    /// A member's name, as in `TrainingJobStatus` for `JobStatus`.
    pub(in super::super) fn member(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }
}
