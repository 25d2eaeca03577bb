//! `bessemer.toml`: what an operator sets, one file a section. Nothing here acts on it.
//!
//! A file is read whole: every key that is not known and every value that can't be is told at once,
//! each with its line.

mod config;
mod docker;
mod error;
mod functions;
mod images;
mod locate;
mod notifications;
mod queue;
mod quotas;
mod reader;
mod retries;
mod secret;
mod select;
mod server;
mod storage;
mod values;

pub use config::{Config, SAMPLE};
pub use docker::DockerSettings;
pub use error::{ConfigError, Problem};
pub use functions::FunctionSettings;
pub use images::ImageSettings;
pub use locate::{FILE_NAME, Located, data_dir_of, locate};
pub use notifications::{
    EmailTarget, HostPort, NotificationRule, Notifications, Outcome, SmtpSecurity, Target,
    TargetKind,
};
pub use queue::QueueSettings;
pub use quotas::Quota;
pub use retries::RetryRule;
pub use secret::{Secret, SecretError, SecretText};
pub use select::{Facts, Selector, TagPattern};
pub use server::ServerSettings;
pub use storage::{ExternalStorage, KeyPair, StorageSettings};
