//! Delivering a notification to a target, once.

use std::io;

use bessemer_config::{HostPort, SecretError, Target, TargetKind};

use crate::{command, mail, notification::Notification, webhook};

/// Why a notification was not delivered. No message has a secret in it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DeliveryError {
    /// It may go through later.
    #[error("{0}")]
    Failed(String),
    /// It can't go through as long as nothing is changed.
    #[error("{0}")]
    Refused(String),
}

impl From<SecretError> for DeliveryError {
    fn from(error: SecretError) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<io::Error> for DeliveryError {
    fn from(error: io::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

/// Delivers notifications.
#[derive(Debug, Clone)]
pub struct Deliverer {
    /// Private hosts that webhooks may reach.
    pub allow_private: Vec<HostPort>,
}

impl Deliverer {
    /// Delivers `notification` to `target`. `now` (milliseconds since 1970) is what signatures say.
    pub async fn deliver(
        &self,
        target: &Target,
        notification: &Notification,
        now: u64,
    ) -> Result<(), DeliveryError> {
        match &target.kind {
            TargetKind::Slack { url } => {
                webhook::slack(&url.load()?, notification, &self.allow_private).await
            }
            TargetKind::Webhook { url, secret } => {
                webhook::signed(url, &secret.load()?, notification, &self.allow_private, now).await
            }
            TargetKind::Email(email) => mail::send(email, notification).await,
            TargetKind::Command { command, timeout } => {
                command::run(command, *timeout, notification).await
            }
        }
    }
}
