//! Who makes a call, and for which region.

use bessemer_aws_wire::ServiceError;

use crate::platform::ACCOUNT;

/// The sender of a verified request.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The access key's id.
    pub access_key: String,
    /// Whether the key may only read.
    pub read_only: bool,
    /// The region that the request is signed for, such as `us-east-1`.
    pub region: String,
}

/// How the names of operations begin that change nothing.
const READS: [&str; 7] = ["Describe", "List", "Get", "Search", "Filter", "Simulate", "Head"];

impl Caller {
    /// The ARN of something of this account in the caller's region, as in
    /// `arn:aws:sagemaker:us-east-1:000000000000:model/churn`.
    pub fn arn(&self, service: &str, resource: &str) -> String {
        format!("arn:aws:{service}:{}:{ACCOUNT}:{resource}", self.region)
    }

    /// Who the caller is, as STS says it.
    pub fn identity_arn(&self) -> String {
        format!("arn:aws:sts::{ACCOUNT}:assumed-role/bessemer/{}", self.access_key)
    }

    /// Refuses an operation that the caller's key is not for.
    pub(crate) fn may(&self, service: &str, operation: &str) -> Result<(), ServiceError> {
        if !self.read_only || READS.iter().any(|verb| operation.starts_with(verb)) {
            return Ok(());
        }
        let message = format!(
            "User: {} is not authorized to perform: {service}:{operation} because the access key \
             is read-only",
            self.identity_arn()
        );
        Err(ServiceError::new("AccessDeniedException", message))
    }
}
