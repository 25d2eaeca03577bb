//! Who may call: access keys, as the server that mounts the services knows them.

use std::fmt;

/// Where access keys are looked up.
pub trait Keys: Send + Sync + 'static {
    /// The key of an access key id, if there is one that is valid now.
    fn find(&self, access_key_id: &str) -> Option<AccessKey>;
}

/// What belongs to an access key id. `Debug` does not show the secret.
#[derive(Clone)]
pub struct AccessKey {
    /// The secret access key.
    pub secret: String,
    /// Whether it may only read.
    pub is_read_only: bool,
}

impl fmt::Debug for AccessKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("AccessKey");
        shown.field("is_read_only", &self.is_read_only).finish_non_exhaustive()
    }
}
